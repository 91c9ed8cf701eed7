"""Uploaded files before registration: a file is a sequence of chunks, one chunk a PUT."""

import re
from dataclasses import dataclass
from urllib.parse import unquote
from uuid import UUID

from control_plane.resources.workspaces.workspace import WorkspacePath
from modelyard.core.errors import InvalidRequest

_UPLOAD_URI = re.compile(r"(?:^|/)uploads/(?P<id>[0-9a-fA-F-]{36})/(?P<path>[^?#]+)")
_RANGE = re.compile(r"bytes (?P<first>\d{1,18})-(?P<last>\d{1,18})/(?P<total>\d{1,18})")
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Chunk:
    start: int
    size: int
    sha256: str
    key: str
    """Key in the object store."""


@dataclass(frozen=True, slots=True)
class UploadedFile:
    path: str
    chunks: tuple[Chunk, ...]
    total: int | None
    """Size of the complete file. None: the sender has not given the size yet."""
    sha256: str | None
    """Of the complete file, as the sender gives the hash."""

    @property
    def received(self) -> int:
        return sum(chunk.size for chunk in self.chunks)

    @property
    def is_complete(self) -> bool:
        return self.total == self.received


@dataclass(frozen=True, slots=True)
class SentPart:
    """The part of a file that a PUT sends, from the headers of the PUT."""

    start: int
    total: int | None
    """None: the file ends with the body."""
    sha256: str | None

    @classmethod
    def of_headers(cls, content_range: str | None, content_length: str | None, sha256: str | None) -> "SentPart":
        if sha256 is not None and not _SHA256.fullmatch(sha256):
            raise InvalidRequest("x-modelyard-sha256 must be 64 hexadecimal digits", target="x-modelyard-sha256")
        length = int(content_length) if content_length is not None and content_length.isdecimal() else None
        if content_range is None:
            return cls(0, length, sha256)
        return cls(*_range(content_range, length), sha256)


def _range(text: str, length: int | None) -> tuple[int, int]:
    found = _RANGE.fullmatch(text.strip())
    first, last, total = (int(found[name]) for name in ("first", "last", "total")) if found else (0, 0, 0)
    fits = first <= last == total - 1 and length in (None, last - first + 1)
    if not found or not fits:
        raise InvalidRequest(
            f"Content-Range {text!r} is not valid: send 'bytes <first>-<last>/<total>' up to the end of the file",
            target="Content-Range",
        )
    return first, total


@dataclass(frozen=True, slots=True)
class UploadReference:
    """A folder or file of an upload, from the URI in a version's PUT."""

    upload_id: UUID
    path: str

    @classmethod
    def in_uri(cls, uri: str) -> "UploadReference | None":
        """Read the blobUri of an upload with a path, or its azureml:// form. None: the URI names no upload."""
        found = _UPLOAD_URI.search(uri)
        if found is None:
            return None
        return cls(UUID(found["id"]), unquote(found["path"]).strip("/"))

    @property
    def name(self) -> str:
        """Name of the folder or file. Folders above are not registered."""
        return self.path.rpartition("/")[2]

    @property
    def parent(self) -> str:
        above = self.path.rpartition("/")[0]
        return f"{above}/" if above else ""


def stored_uri(workspace: WorkspacePath, uri: str) -> str:
    """Replace the host of an upload's URI by Azure's form, because the platform may move. Other URIs stay as sent."""
    reference = UploadReference.in_uri(uri)
    if reference is None:
        return uri
    return (
        f"azureml://subscriptions/{workspace.subscription}/resourcegroups/{workspace.resource_group}"
        f"/workspaces/{workspace.name}/datastores/workspaceblobstore/paths/uploads/{reference.upload_id}"
        f"/{reference.path}"
    )
