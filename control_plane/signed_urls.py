"""Signed URLs, by which a client uploads and downloads files for a limited time without the admin token.

The query string looks like Azure's shared access signatures. The signature of a blob container covers the container,
the permissions and the expiry. The signing key is derived from the master key for this purpose only. Master keys can be
rotated: the first key signs, and every key verifies.
"""

import base64
import hashlib
import hmac
import re
from collections.abc import Mapping, Sequence
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
_CONTAINER = "container"
_PERMISSIONS = re.compile(r"[a-z]{1,16}")


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
        """The query string that grants the permission for an hour from `now`."""
        return self._query((grant.permission.value, grant.subject), grant.permission.sas, now + LIFETIME)

    def container_query(self, container: str, permissions: str, *, expires: datetime) -> str:
        """The query string that grants the permissions, in Azure's letters, in a blob container."""
        return self._query((_CONTAINER, container, permissions), permissions, expires)

    def check(self, grant: Grant, query: Mapping[str, str], *, now: datetime) -> None:
        """Raises UploadUrlExpired unless the signature is valid, for this grant, and not expired."""
        self._check((grant.permission.value, grant.subject), query, now)

    def permissions_in(self, container: str, query: Mapping[str, str], *, now: datetime) -> frozenset[str]:
        """The letters that the query grants in the container.

        Raises UploadUrlExpired unless the signature is valid, for this container, and not expired.
        """
        permissions = query.get("sp", "")
        if not _PERMISSIONS.fullmatch(permissions):
            raise UploadUrlExpired("the permissions (sp) of this URL are not valid: ask for a new URL")
        self._check((_CONTAINER, container, permissions), query, now)
        return frozenset(permissions)

    def _query(self, signed: Sequence[str], permissions: str, expires: datetime) -> str:
        expiry = expires.astimezone(UTC).strftime(_TIME)
        signature = _signature(self._keys[0], signed, expiry)
        return urlencode({"sv": _VERSION, "sr": "c", "sp": permissions, "se": expiry, "sig": signature})

    def _check(self, signed: Sequence[str], query: Mapping[str, str], now: datetime) -> None:
        expires, signature = query.get("se", ""), query.get("sig", "")
        valid = [_signature(key, signed, expires) for key in self._keys]
        if not any(hmac.compare_digest(each.encode(), signature.encode()) for each in valid):
            raise UploadUrlExpired("the signature of this URL is missing or belongs to another path: ask for a new URL")
        if now > datetime.strptime(expires, _TIME).replace(tzinfo=UTC):
            raise UploadUrlExpired(f"this URL expired at {expires}: ask for a new URL and continue")


def _derived(master_key: str) -> bytes:
    return HKDF(SHA256(), 32, salt=None, info=b"modelyard signed urls").derive(master_key.encode())


def _signature(key: bytes, signed: Sequence[str], expires: str) -> str:
    message = "\n".join((*signed, expires))
    return base64.urlsafe_b64encode(hmac.digest(key, message.encode(), hashlib.sha256)).decode().rstrip("=")
