"""Scoring tokens (`auth_mode: aml_token`): the control plane signs, the gateway verifies without a secret.

A token is `<payload>.<signature>`, both base64url without padding; the payload is {"ep": endpoint, "exp": unix
seconds}.
"""

import base64
import binascii
import json
from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat


@dataclass(frozen=True, slots=True)
class TokenKeys:
    """An endpoint's Ed25519 key pair, each key 32 raw bytes in base64. The database holds the private key encrypted."""

    private: str
    public: str

    @classmethod
    def generate(cls) -> "TokenKeys":
        key = Ed25519PrivateKey.generate()
        private = key.private_bytes(Encoding.Raw, PrivateFormat.Raw, NoEncryption())
        public = key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
        return cls(base64.b64encode(private).decode(), base64.b64encode(public).decode())


def issue_token(private_key: str, endpoint: str, expires_at: int) -> str:
    payload = json.dumps({"ep": endpoint, "exp": expires_at}, separators=(",", ":")).encode()
    signature = Ed25519PrivateKey.from_private_bytes(base64.b64decode(private_key)).sign(payload)
    return f"{_encode(payload)}.{_encode(signature)}"


def token_expiry(public_key: str, endpoint: str, token: str) -> int | None:
    """Expiry of the token (unix seconds). None: the token is not valid for the endpoint."""
    try:
        payload, signature = (_decode(part) for part in token.split("."))
        Ed25519PublicKey.from_public_bytes(base64.b64decode(public_key)).verify(signature, payload)
        claims = json.loads(payload)
        return int(claims["exp"]) if claims["ep"] == endpoint else None
    except (ValueError, KeyError, TypeError, binascii.Error, InvalidSignature):
        return None


def _encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _decode(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
