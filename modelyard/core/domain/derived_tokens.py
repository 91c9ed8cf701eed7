"""Short-lived tokens that are derived from the admin token or an access token. The platform keeps no row for them.

The control plane signs a derived token; a public key is enough to verify the token. A derived token names its parent by
a fingerprint of the parent's digest, and works as long as the parent does, at most until its own end.

The text is `modelyard_short_<payload>.<signature>`; both are base64url without padding, and the payload is
{"parent": fingerprint, "exp": unix seconds}.
"""

import base64
import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

_PREFIX = "modelyard_short_"
_LONGEST = 512
_PURPOSE = b"modelyard derived tokens"
_FINGERPRINT_CHARACTERS = 32


@dataclass(frozen=True, slots=True)
class DerivedToken:
    parent: str
    """Fingerprint of the parent."""
    expires_at: int
    """Unix seconds."""


def is_derived_token(text: str) -> bool:
    """Whether the text has the form of a derived token."""
    return text.startswith(_PREFIX)


def parent_fingerprint(digest: str) -> str:
    """The name of a token with this digest. The name tells neither the token nor the digest."""
    return hashlib.sha256(_PURPOSE + digest.encode()).hexdigest()[:_FINGERPRINT_CHARACTERS]


class DerivedTokenReader:
    def __init__(self, public_keys: Iterable[str]) -> None:
        """Ed25519 keys, each 32 raw bytes in base64."""
        self._keys = [Ed25519PublicKey.from_public_bytes(base64.b64decode(key)) for key in public_keys]

    def read(self, text: str) -> DerivedToken | None:
        """None: the text is no derived token of this platform. The expiry is the caller's to check."""
        if not is_derived_token(text) or len(text) > _LONGEST:
            return None
        try:
            payload, signature = (_decode(part) for part in text.removeprefix(_PREFIX).split("."))
            if not any(_is_signed(key, payload, signature) for key in self._keys):
                return None
            claims = json.loads(payload)
            return DerivedToken(str(claims["parent"]), int(claims["exp"]))
        except (ValueError, KeyError, TypeError):
            return None


class DerivedTokenSigner:
    """Master keys can be rotated: the first key signs, and every key verifies."""

    def __init__(self, master_keys: str) -> None:
        self._keys = [_private_key(key.strip()) for key in master_keys.split(",")]
        self._reader = DerivedTokenReader(self.public_keys)

    @property
    def public_keys(self) -> tuple[str, ...]:
        """For readers in other processes."""
        raw = [key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw) for key in self._keys]
        return tuple(base64.b64encode(key).decode() for key in raw)

    def issue(self, token: DerivedToken) -> str:
        payload = json.dumps({"parent": token.parent, "exp": token.expires_at}, separators=(",", ":")).encode()
        return f"{_PREFIX}{_encode(payload)}.{_encode(self._keys[0].sign(payload))}"

    def read(self, text: str) -> DerivedToken | None:
        return self._reader.read(text)


def _private_key(master_key: str) -> Ed25519PrivateKey:
    seed = HKDF(SHA256(), 32, salt=None, info=_PURPOSE).derive(master_key.encode())
    return Ed25519PrivateKey.from_private_bytes(seed)


def _is_signed(key: Ed25519PublicKey, payload: bytes, signature: bytes) -> bool:
    try:
        key.verify(signature, payload)
    except InvalidSignature:
        return False
    return True


def _encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _decode(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
