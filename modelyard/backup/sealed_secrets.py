"""The platform's secrets in an archive: AES-256-GCM under a key that scrypt derives from a passphrase.

The tag also covers the digest of the archive's entries: a passphrase that opens the secrets proves that tables and
objects are those of the backup.
"""

import base64
import binascii
import hashlib
import json
import os
from collections.abc import Mapping

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from modelyard.backup.options import RestoreRefused

# 64 MB and some 0.2 s for each guess. Fixed by the format: an archive cannot ask for more.
_SCRYPT = {"n": 2**16, "r": 8, "p": 1, "maxmem": 128 << 20, "dklen": 32}
_SALT_BYTES = 16
_NONCE_BYTES = 12


def seal(secrets: Mapping[str, str], passphrase: str, *, entries_sha256: str) -> dict[str, str]:
    salt, nonce = os.urandom(_SALT_BYTES), os.urandom(_NONCE_BYTES)
    content = json.dumps(dict(secrets)).encode()
    sealed = AESGCM(_key(passphrase, salt)).encrypt(nonce, content, entries_sha256.encode())
    parts = {"salt": salt, "nonce": nonce, "content": sealed}
    return {name: base64.b64encode(part).decode() for name, part in parts.items()}


def unseal(sealed: Mapping[str, str], passphrase: str, *, entries_sha256: str) -> dict[str, str]:
    """Raises RestoreRefused for a wrong passphrase, or other entries than those of the backup."""
    try:
        salt, nonce, content = (base64.b64decode(sealed[name], validate=True) for name in ("salt", "nonce", "content"))
        opened = AESGCM(_key(passphrase, salt)).decrypt(nonce, content, entries_sha256.encode())
    except InvalidTag:
        raise RestoreRefused(
            "the passphrase does not open the secrets of the backup: give the passphrase of the backup, or pass "
            "--without-secrets to restore without them"
        ) from None
    except (KeyError, TypeError, ValueError, binascii.Error):
        raise RestoreRefused("the backup is damaged: its secrets cannot be read") from None
    secrets: dict[str, str] = json.loads(opened)
    return secrets


def _key(passphrase: str, salt: bytes) -> bytes:
    return hashlib.scrypt(passphrase.encode(), salt=salt, **_SCRYPT)
