"""The pointer file, by which the command line finds the last platform of this user."""

import json
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from modelyard.process.atomic_files import replace_file


def pointer_file(environment: Mapping[str, str]) -> Path:
    base = environment.get("XDG_CONFIG_HOME")
    return (Path(base) if base else Path(environment.get("HOME", "/")) / ".config") / "modelyard" / "platform.json"


def remember_platform(
    environment: Mapping[str, str],
    url: str,
    token_file: Path,
    *,
    https_url: str | None = None,
    certificates: Path | None = None,
) -> None:
    """`https_url` is the same platform over TLS, and `certificates` the authorities that its clients trust."""
    path = pointer_file(environment)
    document = {"url": url, "token_file": str(token_file)}
    if https_url:
        document["https_url"] = https_url
    if certificates:
        document["certificates"] = str(certificates)
    # A read-only home costs the comfort, not the platform.
    with suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        replace_file(path, json.dumps(document), mode=0o600)
