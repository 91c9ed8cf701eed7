"""Blobs, and the conditions and ranges of requests."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from control_plane.features.blobs.errors import (
    ConditionNotMet,
    InvalidBlobRequest,
    InvalidRange,
    InvalidResourceName,
    NotModified,
    PermissionMissing,
    blob_exists,
)
from control_plane.resources.datastore import DatastorePath
from control_plane.resources.workspaces.workspace import Workspace
from modelyard.core.errors import InvalidRequest

_LONGEST_PART = 255
"""Bytes of a file's name on most file systems."""
_RANGE = re.compile(r"bytes=(\d{1,18})-(\d{1,18})?")


@dataclass(frozen=True, slots=True)
class ContainerAccess:
    """A container, and the permissions of the request in the container, in Azure's letters."""

    workspace: Workspace
    store: str
    """Name of the datastore."""
    permissions: frozenset[str]

    def require(self, letters: str) -> None:
        """Raises PermissionMissing without at least one of the letters."""
        if not self.permissions & set(letters):
            raise PermissionMissing(letters)

    @property
    def base(self) -> str:
        """What the keys of the container's objects begin with."""
        return f"{self.workspace.datastores}/{self.store}/"

    def key(self, name: str) -> str:
        """Key of a blob's object. Raises InvalidResourceName."""
        parts = name.split("/")
        if any(not part or len(part.encode(errors="replace")) > _LONGEST_PART for part in parts):
            raise InvalidResourceName(name)
        try:
            return DatastorePath(self.store, name).key_in(self.workspace.datastores)
        except InvalidRequest:
            raise InvalidResourceName(name) from None


@dataclass(frozen=True, slots=True)
class Blob:
    name: str
    key: str
    """Of the object."""
    size: int
    object_etag: str
    modified_at: datetime
    revision: int = 0
    """Number of changes of headers and metadata since the content was written."""
    headers: Mapping[str, str] = field(default_factory=dict)
    """Content-Type, Content-MD5 and their like, by name in lower case."""
    metadata: Mapping[str, str] = field(default_factory=dict)
    blocks: Sequence[tuple[str, int]] = ()
    """Committed blocks: id and size."""
    is_registered: bool = False
    """A file of a model or data version, which no request changes."""

    @property
    def etag(self) -> str:
        return f'"{self.object_etag}{f".{self.revision}" if self.revision else ""}"'


@dataclass(frozen=True, slots=True)
class Conditions:
    """The conditional headers of a request."""

    if_match: frozenset[str] = frozenset()
    if_none_match: frozenset[str] = frozenset()
    modified_since: datetime | None = None
    unmodified_since: datetime | None = None

    @classmethod
    def of_headers(cls, headers: Mapping[str, str]) -> "Conditions":
        return cls(
            _etags(headers.get("if-match")),
            _etags(headers.get("if-none-match")),
            _date(headers, "if-modified-since"),
            _date(headers, "if-unmodified-since"),
        )

    @property
    def are_given(self) -> bool:
        return self != Conditions()

    @property
    def wants_absence(self) -> bool:
        return "*" in self.if_none_match

    def check_read(self, blob: Blob) -> None:
        """Raises ConditionNotMet or NotModified."""
        if self._is_other(blob):
            raise ConditionNotMet
        if self._is_same(blob):
            raise NotModified

    def check_write(self, blob: Blob | None, name: str) -> None:
        """`blob` is the present version. Raises ConditionNotMet or BlobAlreadyExists."""
        if blob is None:
            if self.if_match:
                raise ConditionNotMet
            return
        if self.wants_absence:
            raise blob_exists(name)
        if self._is_other(blob) or self._is_same(blob):
            raise ConditionNotMet

    def _is_other(self, blob: Blob) -> bool:
        return (bool(self.if_match) and not self.if_match & {"*", blob.etag}) or (
            self.unmodified_since is not None and _seconds(blob.modified_at) > self.unmodified_since
        )

    def _is_same(self, blob: Blob) -> bool:
        if self.if_none_match:
            return bool(self.if_none_match & {"*", blob.etag})
        return self.modified_since is not None and _seconds(blob.modified_at) <= self.modified_since


def _etags(header: str | None) -> frozenset[str]:
    if not header:
        return frozenset()
    etags = (each.strip().removeprefix("W/") for each in header.split(","))
    # Some clients send an etag without quotation marks.
    return frozenset(each if each == "*" or each.startswith('"') else f'"{each}"' for each in etags)


def _date(headers: Mapping[str, str], name: str) -> datetime | None:
    text = headers.get(name)
    if not text:
        return None
    try:
        date = parsedate_to_datetime(text)
        return (date if date.tzinfo else date.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        raise InvalidBlobRequest("InvalidHeaderValue", f"{name} is not a date of HTTP: {text[:100]!r}") from None


def _seconds(moment: datetime) -> datetime:
    return moment.replace(microsecond=0)


@dataclass(frozen=True, slots=True)
class ByteRange:
    start: int
    length: int

    @classmethod
    def requested(cls, headers: Mapping[str, str], size: int) -> "ByteRange | None":
        """The range of a request in a blob of `size` bytes. None: the whole blob. Raises InvalidRange."""
        found = _RANGE.fullmatch((headers.get("x-ms-range") or headers.get("range") or "").strip().lower())
        if found is None:
            return None
        start = int(found[1])
        last = size - 1 if found[2] is None else min(int(found[2]), size - 1)
        if found[2] is not None and int(found[2]) < start:
            return None
        if start >= size:
            raise InvalidRange(size)
        return cls(start, last - start + 1)


@dataclass(frozen=True, slots=True)
class BlockReference:
    """An entry of a block list."""

    kind: str
    """Committed, Uncommitted or Latest."""
    block_id: str


@dataclass(frozen=True, slots=True)
class UncommittedBlock:
    block_id: str
    size: int
    key: str
    """Key of the temporary object."""


@dataclass(frozen=True, slots=True)
class ListQuery:
    prefix: str
    delimiter: str
    after: str
    """Name behind which the page begins. Empty for the first page."""
    most: int

    def below(self, folder: str) -> "ListQuery":
        """The same list of a folder's blobs. `folder` is empty or ends in "/"."""
        return replace(self, prefix=folder + self.prefix, after=self.after and folder + self.after)


@dataclass(frozen=True, slots=True)
class BlobPage:
    blobs: Sequence[Blob]
    prefixes: Sequence[str]
    """Common beginnings up to the delimiter, in place of the blobs below."""
    next_after: str | None
    """None for the last page."""

    def within(self, folder: str) -> "BlobPage":
        """The page with names below the folder."""
        start = len(folder)
        return BlobPage(
            [replace(blob, name=blob.name[start:]) for blob in self.blobs],
            [prefix[start:] for prefix in self.prefixes],
            None if self.next_after is None else self.next_after[start:],
        )
