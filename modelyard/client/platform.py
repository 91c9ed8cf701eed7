"""The URL and the token of the platform.

`MODELYARD_URL` and `MODELYARD_TOKEN` take precedence over the pointer file of the platform that the user started last.
`MODELYARD_WORKSPACE` names the workspace of all calls.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from modelyard.client.errors import NoPlatform
from modelyard.core.domain.resource_ids import DEFAULT_RESOURCE_GROUP, DEFAULT_SUBSCRIPTION, workspace_id
from modelyard.supervisor.pointer import pointer_file

DEFAULT_WORKSPACE = "default"


@dataclass(frozen=True, slots=True)
class Platform:
    url: str
    token: str = field(repr=False)
    subscription: str = DEFAULT_SUBSCRIPTION
    resource_group: str = DEFAULT_RESOURCE_GROUP
    workspace: str = DEFAULT_WORKSPACE

    def __post_init__(self) -> None:
        if not self.url.startswith(("http://", "https://")):
            raise NoPlatform(f"the platform URL {self.url!r} must begin with http:// or https://")

    @property
    def workspace_id(self) -> str:
        return workspace_id(self.subscription, self.resource_group, self.workspace)


@dataclass(frozen=True, slots=True)
class _Pointer:
    url: str
    token_file: Path


def find_platform(environment: Mapping[str, str]) -> Platform:
    """Return the platform. Raises NoPlatform without a URL or a token in the variables and in the pointer file."""
    pointer = _read_pointer(environment)
    named = environment.get("MODELYARD_URL", "").rstrip("/")
    url = named or (pointer.url if pointer else "")
    if not url:
        raise NoPlatform(
            "no platform is known: start one with `modelyard up`, or set MODELYARD_URL and MODELYARD_TOKEN"
        )
    token = environment.get("MODELYARD_TOKEN") or _own_token(url, pointer)
    return Platform(url, token, workspace=environment.get("MODELYARD_WORKSPACE") or DEFAULT_WORKSPACE)


def _read_pointer(environment: Mapping[str, str]) -> _Pointer | None:
    try:
        document = json.loads(pointer_file(environment).read_text())
        return _Pointer(str(document["url"]).rstrip("/"), Path(document["token_file"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _own_token(url: str, pointer: _Pointer | None) -> str:
    """Return the token of the platform at `url`. The token of one platform is never sent to another platform."""
    if pointer is None or pointer.url != url:
        raise NoPlatform(f"no token is known for {url}: set MODELYARD_TOKEN")
    try:
        return pointer.token_file.read_text().strip()
    except OSError as error:
        reason = error.strerror or "unreadable"
        raise NoPlatform(f"no token in {pointer.token_file} ({reason}): set MODELYARD_TOKEN") from None
