"""How the command line finds the platform that this user started last, without being told."""

import json
from collections.abc import Mapping
from pathlib import Path

from modelyard.process.atomic_files import replace_file


def pointer_file(environment: Mapping[str, str]) -> Path:
    base = environment.get("XDG_CONFIG_HOME")
    return (Path(base) if base else Path(environment.get("HOME", "/")) / ".config") / "modelyard" / "platform.json"


def remember_platform(environment: Mapping[str, str], url: str, token_file: Path) -> None:
    path = pointer_file(environment)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        replace_file(path, json.dumps({"url": url, "token_file": str(token_file)}), mode=0o600)
    except OSError:
        return  # a home that cannot be written to costs the comfort, not the platform


def forget_platform(environment: Mapping[str, str], url: str) -> None:
    """Remove the pointer, unless another platform has written it since."""
    path = pointer_file(environment)
    try:
        if json.loads(path.read_text())["url"] == url:
            path.unlink()
    except (OSError, ValueError, KeyError):
        return
