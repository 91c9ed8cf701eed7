"""Secrets that a platform generates for itself once: files with mode 0600 in the data dir's `secrets` folder."""

import base64
import secrets
from collections.abc import Callable
from pathlib import Path

from modelyard.process.atomic_files import replace_file

_MASTER_KEY_BYTES = 32


def new_master_key() -> str:
    """Return a Fernet key: 32 random bytes in URL-safe base64."""
    return base64.urlsafe_b64encode(secrets.token_bytes(_MASTER_KEY_BYTES)).decode()


def load_or_generate(path: Path, generate: Callable[[], str] = lambda: secrets.token_urlsafe(32)) -> str:
    """Return the secret in `path`; generate and store a secret if the file is missing."""
    try:
        return path.read_text().strip()
    except FileNotFoundError:
        return store_secret(path, generate())


def store_secret(path: Path, secret: str) -> str:
    """Write and return the secret. No other account can read the file at any time."""
    replace_file(path, secret + "\n", mode=0o600)
    return secret
