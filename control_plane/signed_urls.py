"""URLs that carry their own permission, for a while: files are sent and fetched without the admin token.

The query looks like Azure's shared access signatures. The key comes from the master key and is used for nothing else;
like the master key it can be rotated, the newest signs and any verifies.
"""

import base64
import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import Enum
from urllib.parse import urlencode

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from modelyard.core.errors import UploadUrlExpired

LIFETIME = timedelta(hours=1)
_VERSION = "2023-01-03"
_TIME = "%Y-%m-%dT%H:%M:%SZ"


class Permission(Enum):
    """The action that a signed URL allows. The name is part of the signature."""

    UPLOAD = "upload"
    DOWNLOAD_BLOB = "download"
    DOWNLOAD_STORED_FILE = "fetch"

    @property
    def sas(self) -> str:
        """The permission in the letters of Azure's shared access signatures."""
        return "rcw" if self is Permission.UPLOAD else "r"


@dataclass(frozen=True, slots=True)
class Grant:
    permission: Permission
    subject: str
    """Id of the upload, SHA-256 of the blob, or key of the stored file."""


class UrlSigner:
    def __init__(self, master_keys: str) -> None:
        self._keys = [_derived(key.strip()) for key in master_keys.split(",")]

    def query(self, grant: Grant, *, now: datetime) -> str:
        """The query string that allows `grant` until an hour from `now`."""
        expires = (now + LIFETIME).astimezone(UTC).strftime(_TIME)
        signature = _signature(self._keys[0], grant, expires)
        return urlencode({"sv": _VERSION, "sr": "c", "sp": grant.permission.sas, "se": expires, "sig": signature})

    def check(self, grant: Grant, query: Mapping[str, str], *, now: datetime) -> None:
        """Raises UploadUrlExpired for a signature that is not ours, for something else, or over."""
        expires, signature = query.get("se", ""), query.get("sig", "")
        ours = [_signature(key, grant, expires) for key in self._keys]
        if not any(hmac.compare_digest(each.encode(), signature.encode()) for each in ours):
            raise UploadUrlExpired("the signature in this URL is missing or not for this path: ask for a new URL")
        if now > datetime.strptime(expires, _TIME).replace(tzinfo=UTC):
            raise UploadUrlExpired(f"this URL was good until {expires}: ask for a new one and go on")


def _derived(master_key: str) -> bytes:
    return HKDF(SHA256(), 32, salt=None, info=b"modelyard signed urls").derive(master_key.encode())


def _signature(key: bytes, grant: Grant, expires: str) -> str:
    message = f"{grant.permission.value}\n{grant.subject}\n{expires}"
    return base64.urlsafe_b64encode(hmac.digest(key, message.encode(), hashlib.sha256)).decode().rstrip("=")
