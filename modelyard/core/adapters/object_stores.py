"""From a storage URL to an object store."""

from pathlib import Path
from urllib.parse import unquote, urlsplit

from modelyard.core.adapters.folder_store import FolderStore
from modelyard.core.errors import InvalidRequest
from modelyard.core.ports.object_store import ObjectStore


def open_store(url: str) -> ObjectStore:
    """The store at `url`; `file:///absolute/folder` is the one kind there is today."""
    parts = urlsplit(url)
    if parts.scheme != "file" or parts.netloc or not parts.path:
        raise InvalidRequest(f"MODELYARD_STORAGE_URL {url!r} is not supported: give file:///absolute/folder")
    return FolderStore(Path(unquote(parts.path)))
