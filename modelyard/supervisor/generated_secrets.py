"""Secrets that a platform makes for itself, once: files with mode 0600 below the data dir's secrets/."""

import os
import secrets
from collections.abc import Callable
from pathlib import Path


def made_once(path: Path, make: Callable[[], str] = lambda: secrets.token_urlsafe(32)) -> str:
    """The secret in `path`; made and stored when there is none yet."""
    try:
        return path.read_text().strip()
    except FileNotFoundError:
        return stored(path, make())


def stored(path: Path, secret: str) -> str:
    """Write a secret so that nobody else can read it, not even for a moment."""
    unfinished = path.with_suffix(".part")
    unfinished.unlink(missing_ok=True)
    descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(secret + "\n")
    os.replace(unfinished, path)
    return secret
