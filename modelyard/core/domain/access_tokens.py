"""The text of an access token, and the digest by which the database knows the token."""

import hashlib
import re
import secrets

from modelyard.core.errors import InvalidName

_PREFIX = "modelyard_"
"""Begins every access token, so that scanners find a token in a repository or a log."""
_RANDOM_BYTES = 32
_SUBJECT = re.compile(r"[!-~]{1,255}")
_ADMIN = "admin"
_SYSTEM = "system:"
_SHORTEST_MADE = 43
"""Characters of 32 random bytes in URL-safe base64."""
_MADE = re.compile(r"[A-Za-z0-9_-]+")


def new_access_token() -> str:
    return _PREFIX + secrets.token_urlsafe(_RANDOM_BYTES)


def token_digest(token: str) -> str:
    """SHA-256 in hex. A token of 256 random bits cannot be guessed, so a slow digest adds no protection."""
    return hashlib.sha256(token.encode(errors="surrogateescape")).hexdigest()


def is_access_token(text: str) -> bool:
    """Whether the text has the form of an access token."""
    return text.startswith(_PREFIX)


def is_long_as_a_made_token(text: str) -> bool:
    """Whether the text has the form of a secret with 256 random bits. A shorter text may be a password."""
    return len(text) >= _SHORTEST_MADE and _MADE.fullmatch(text) is not None


def check_subject(subject: str) -> str:
    """Return the subject of a token: 1 to 255 visible ASCII characters. Raises InvalidName.

    The names of the admin and of the platform's processes are refused: an audit event must tell them apart.
    """
    if not _SUBJECT.fullmatch(subject):
        raise InvalidName(
            f"subject {subject!r} is not allowed: use 1 to 255 visible ASCII characters", target="properties.subject"
        )
    if subject.lower() == _ADMIN or subject.lower().startswith(_SYSTEM):
        raise InvalidName(
            f"subject {subject!r} is reserved for the platform: choose another subject", target="properties.subject"
        )
    return subject
