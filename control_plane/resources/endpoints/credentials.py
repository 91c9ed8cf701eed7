"""The keys of an endpoint, online or batch."""

import hashlib
import secrets
from dataclasses import dataclass

from control_plane.resources.arm_body import ArmEnum
from modelyard.core.errors import InvalidRequest

_SHORTEST_KEY = 16
_LONGEST_KEY = 512
_KEY_BYTES = 32


class AuthMode(ArmEnum):
    KEY = "Key"
    AML_TOKEN = "AMLToken"
    AAD_TOKEN = "AADToken"


class KeyType(ArmEnum):
    PRIMARY = "Primary"
    SECONDARY = "Secondary"


@dataclass(frozen=True, slots=True)
class EndpointKeys:
    primary: str
    secondary: str

    def __post_init__(self) -> None:
        for key in (self.primary, self.secondary):
            check_key(key)

    @classmethod
    def generate(cls, primary: str | None = None, secondary: str | None = None) -> "EndpointKeys":
        return cls(primary or new_key(), secondary or new_key())

    def of(self, kind: KeyType) -> str:
        return self.primary if kind == KeyType.PRIMARY else self.secondary


def new_key() -> str:
    return secrets.token_urlsafe(_KEY_BYTES)


def check_key(key: str) -> str:
    """Check that a key fits into a header. The error does not contain the key."""
    is_visible = all("!" <= char <= "~" for char in key)
    if not _SHORTEST_KEY <= len(key) <= _LONGEST_KEY or not is_visible:
        raise InvalidRequest(
            f"a key must be {_SHORTEST_KEY} to {_LONGEST_KEY} visible ASCII characters; "
            "leave the key out to get a random key",
            target="keyValue",
        )
    return key


def key_digest(key: str) -> str:
    """SHA-256 of a key. Keys are long and random, so a slow digest adds no protection."""
    return hashlib.sha256(key.encode()).hexdigest()
