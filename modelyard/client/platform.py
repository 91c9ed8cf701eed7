"""The URL and the token of the platform.

`MODELYARD_URL` and `MODELYARD_TOKEN` take precedence over the pointer file of the platform that the user started last.
`MODELYARD_WORKSPACE` names the workspace of all calls.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from urllib.parse import urlsplit

from modelyard.client.errors import NoPlatform
from modelyard.core.domain.resource_ids import DEFAULT_RESOURCE_GROUP, DEFAULT_SUBSCRIPTION, workspace_id
from modelyard.supervisor.pointer import pointer_file

DEFAULT_WORKSPACE = "default"
LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
_CERTIFICATE_VARIABLES = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE")


@dataclass(frozen=True, slots=True)
class Platform:
    url: str
    token: str = field(repr=False)
    subscription: str = DEFAULT_SUBSCRIPTION
    resource_group: str = DEFAULT_RESOURCE_GROUP
    workspace: str = DEFAULT_WORKSPACE
    certificates: tuple[Path, ...] = ()
    """Files of certificate authorities that requests trust beside those of the machine."""

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
    https_url: str | None = None
    """The same platform over TLS."""
    certificates: Path | None = None


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
    workspace = environment.get("MODELYARD_WORKSPACE") or DEFAULT_WORKSPACE
    return Platform(url, token, workspace=workspace, certificates=_certificates(url, pointer, environment))


def find_https_platform(environment: Mapping[str, str]) -> Platform:
    """Like `find_platform`, at its https:// URL. Raises NoPlatform for a platform that is known by http:// alone."""
    platform = find_platform(environment)
    if platform.url.startswith("https:"):
        return platform
    pointer = _read_pointer(environment)
    if pointer is None or pointer.url != platform.url or pointer.https_url is None:
        raise NoPlatform(
            f"{platform.url} is known without TLS alone: start the platform with `modelyard up --tls`, or set "
            "MODELYARD_URL to its https:// URL"
        )
    url = pointer.https_url
    return replace(platform, url=url, certificates=_certificates(url, pointer, environment))


def _read_pointer(environment: Mapping[str, str]) -> _Pointer | None:
    try:
        document = json.loads(pointer_file(environment).read_text())
        https_url, certificates = document.get("https_url"), document.get("certificates")
        return _Pointer(
            str(document["url"]).rstrip("/"),
            Path(document["token_file"]),
            str(https_url).rstrip("/") if https_url else None,
            Path(certificates) if certificates else None,
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def _own_token(url: str, pointer: _Pointer | None) -> str:
    """Return the token of the platform at `url`. The token of one platform is never sent to another platform."""
    if pointer is None or url not in {pointer.url, pointer.https_url}:
        raise NoPlatform(f"no token is known for {url}: set MODELYARD_TOKEN")
    try:
        return pointer.token_file.read_text().strip()
    except OSError as error:
        reason = error.strerror or "unreadable"
        raise NoPlatform(f"no token in {pointer.token_file} ({reason}): set MODELYARD_TOKEN") from None


def _certificates(url: str, pointer: _Pointer | None, environment: Mapping[str, str]) -> tuple[Path, ...]:
    if not url.startswith("https:"):
        return ()
    files = [Path(environment[name]) for name in _CERTIFICATE_VARIABLES if environment.get(name)]
    # An authority of this machine signs for this machine's platform alone.
    if pointer is not None and (url == pointer.https_url or urlsplit(url).hostname in LOOPBACK):
        files += [pointer.certificates] if pointer.certificates is not None else []
    return tuple(dict.fromkeys(path for path in files if path.is_file()))
