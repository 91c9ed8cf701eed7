"""Open an object store by URL. Credentials and endpoints come from the environment, never from the URL."""

import os
import re
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import SplitResult, unquote, urlsplit

from modelyard.core.adapters.azure_store import azure_store
from modelyard.core.adapters.folder_store import FolderStore
from modelyard.core.adapters.s3_store import s3_store
from modelyard.core.errors import InvalidRequest
from modelyard.core.ports.object_store import ObjectStore
from modelyard.core.settings import ObjectStoreSettings

_DEFAULT_SETTINGS = ObjectStoreSettings()
_FORMS = (
    "file:///absolute/folder, s3://bucket/prefix, az://account/container/prefix "
    "or https://account.blob.core.windows.net/container/prefix"
)
_AZURE_HOST = re.compile(r"(?P<account>[^.]+)\.(blob|dfs)\.core\.[a-z0-9.]+")
_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_CONTAINER = re.compile(r"(?=.{3,63}$)[a-z0-9](-?[a-z0-9])*|\$root")
_ACCOUNT = re.compile(r"[a-z0-9]{3,24}")


def open_store(
    url: str,
    environment: Mapping[str, str] | None = None,
    *,
    settings: ObjectStoreSettings = _DEFAULT_SETTINGS,
    subject: str = "MODELYARD_STORAGE_URL",
) -> ObjectStore:
    """Return the store at `url` without a request. Raises InvalidRequest for a malformed URL, in one line.

    `subject` is the source of the URL, for the message.
    """
    try:
        return _store(url, os.environ if environment is None else environment, settings)
    except _NotAStore as malformed:
        raise InvalidRequest(f"{subject} {malformed}") from None


class _NotAStore(ValueError):
    """The text follows the subject of the sentence."""


def _store(url: str, variables: Mapping[str, str], settings: ObjectStoreSettings) -> ObjectStore:
    try:
        parts = urlsplit(url)
        user_info = parts.username is not None
        parts.port  # noqa: B018 - urlsplit checks the port only here
    except ValueError:
        raise _not_a_store(url, "its host or port is malformed") from None
    if user_info or parts.query or parts.fragment:
        raise _NotAStore(
            "must not have credentials, a signature or other options (no '@', '?' or '#'): "
            "credentials come from the environment, such as AWS_SECRET_ACCESS_KEY or AZURE_STORAGE_CONNECTION_STRING"
        )
    match parts.scheme:
        case "file":
            return _folder(url, parts)
        case "s3":
            return _s3(url, parts, variables, settings)
        case "az" | "https":
            return _azure(url, parts, variables, settings)
    raise _not_a_store(
        url, f"the scheme {parts.scheme!r} is unknown" if parts.scheme else "the scheme before '://' is missing"
    )


def _folder(url: str, parts: SplitResult) -> ObjectStore:
    if parts.netloc:
        raise _not_a_store(url, f"a folder has no host; write three slashes: file:///{parts.netloc}{parts.path}")
    if not parts.path.startswith("/") or parts.path == "/":
        raise _not_a_store(url, "the absolute path of a folder is missing")
    return FolderStore(Path(unquote(parts.path)))


def _s3(url: str, parts: SplitResult, environment: Mapping[str, str], settings: ObjectStoreSettings) -> ObjectStore:
    if not _BUCKET.fullmatch(parts.netloc):
        raise _not_a_store(url, f"{parts.netloc!r} is not a bucket name")
    return s3_store(parts.netloc, _prefix(url, parts.path), environment, settings)


def _azure(url: str, parts: SplitResult, environment: Mapping[str, str], settings: ObjectStoreSettings) -> ObjectStore:
    account = parts.netloc
    if parts.scheme == "https":
        host = _AZURE_HOST.fullmatch(parts.netloc)
        if host is None:
            raise _not_a_store(url, f"{parts.netloc!r} is not a host of Azure Blob Storage")
        account = host["account"]
    if not _ACCOUNT.fullmatch(account):
        raise _not_a_store(url, f"{account!r} is not the name of a storage account")
    container, _, prefix = parts.path.lstrip("/").partition("/")
    if not _CONTAINER.fullmatch(container):
        raise _not_a_store(url, f"{container!r} is not a container name")
    return azure_store(account, container, _prefix(url, prefix), environment, settings)


def _prefix(url: str, path: str) -> str:
    prefix = unquote(path).strip("/")
    if prefix and any(part in {"", ".", ".."} for part in prefix.split("/")):
        raise _not_a_store(url, "the path has an empty part, '.' or '..'")
    return prefix


def _not_a_store(url: str, why: str) -> _NotAStore:
    return _NotAStore(f"{url!r} is not supported: {why}; use {_FORMS}")
