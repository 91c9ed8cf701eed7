"""Encryption of endpoint keys, for showing a key again, and digests of admin tokens."""

import hashlib
import hmac
import os

from cryptography.fernet import Fernet, InvalidToken, MultiFernet

from modelyard.core.errors import PlatformError

_SCRYPT = {"n": 2**14, "r": 8, "p": 1}


class MasterKeyLost(PlatformError):
    code = "MasterKeyLost"

    def __init__(self) -> None:
        super().__init__(
            "the stored keys were encrypted with another master key: start the platform with the old key beside the "
            "new one in MODELYARD_MASTER_KEY (comma-separated, newest first), or regenerate the endpoint's keys"
        )


class SecretBox:
    """Encrypts with the first Fernet key and decrypts with any key, for the rotation of keys."""

    def __init__(self, master_keys: str) -> None:
        self._fernet = MultiFernet([Fernet(key.strip()) for key in master_keys.split(",")])

    def encrypt(self, secret: str) -> str:
        return self._fernet.encrypt(secret.encode()).decode()

    def decrypt(self, encrypted: str) -> str:
        try:
            return self._fernet.decrypt(encrypted.encode()).decode()
        except InvalidToken:
            raise MasterKeyLost from None


def digest_token(token: str, salt: bytes | None = None) -> str:
    """Return a salted scrypt digest, `salt$digest` in hex. A salt, because a preset token may be short."""
    salt = salt or os.urandom(16)
    return f"{salt.hex()}${hashlib.scrypt(token.encode(), salt=salt, **_SCRYPT).hex()}"


def token_matches(token: str, digest: str) -> bool:
    salt = bytes.fromhex(digest.partition("$")[0])
    return hmac.compare_digest(digest_token(token, salt), digest)
