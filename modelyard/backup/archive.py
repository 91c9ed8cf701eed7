"""The archive of a backup: a tar file of small numbered members, compressed or not.

    0000000000.modelyard-backup   {"format": 1}
    0000000001.begin              {"kind": "table" | "object", "name": …, …}
    0000000002.data               at most 4 MB; an entry has any number of them
    0000000003.end                {"sha256", "size"} of the entry; or .void: the entry was not read to its end
    …
    0000001234.manifest           counts, and the SHA-256 over all entries in their order
    0000001235.checksum           SHA-256 of the manifest

Entries of unknown size are written and read with bounded memory. The manifest is last: an archive without a manifest
is incomplete. A reader takes only regular members with the expected number, of bounded size: no member's name becomes
a path, and links, long names and extended headers are refused.
"""

import hashlib
import json
import re
import tarfile
import zlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from modelyard.backup.options import RestoreRefused
from modelyard.core.domain.documents import UnreadableFormat, check_format

SEGMENT_BYTES = 4 << 20
_HEADER_BYTES = 4 << 20
"""Largest member that is read as JSON."""
_FORMAT = 1
_BLOCK = 512
_GZIP_BEGINNING = b"\x1f\x8b"
_GZIP = 31
_READ_BYTES = 1 << 20
_PLAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9.+_-]{0,63}")


class EntryKind(StrEnum):
    TABLE = "table"
    OBJECT = "object"


class _Member(StrEnum):
    MAGIC = "modelyard-backup"
    BEGIN = "begin"
    DATA = "data"
    END = "end"
    VOID = "void"
    MANIFEST = "manifest"
    CHECKSUM = "checksum"


@dataclass(frozen=True, slots=True)
class Manifest:
    """The last word of an archive."""

    modelyard: str
    """Version that wrote the archive."""
    created_at: str
    """UTC, ISO 8601: the moment of the database's snapshot."""
    schema: str
    """Revision of the database's schema."""
    with_logs: bool
    with_wheels: bool
    missing_objects: int
    """Objects that rows refer to and that the object store did not have."""
    tables: int = 0
    objects: int = 0
    size: int = 0
    """Bytes of all entries."""
    entries_sha256: str = ""
    """Over a line for each entry, in order: header, size and SHA-256."""
    secrets: Mapping[str, str] | None = None
    """Encrypted. None: the backup has no secrets."""


class DamagedArchive(RestoreRefused):
    """Not a complete archive, or not the content that was written."""


class EntryVoided(Exception):
    """The writer could not read the entry to its end."""


@dataclass(slots=True)
class _Tally:
    """Counts and digest of the complete entries."""

    tables: int = 0
    objects: int = 0
    size: int = 0
    digest: Any = field(default_factory=hashlib.sha256)

    def add(self, header: Mapping[str, Any], ending: Mapping[str, Any]) -> None:
        if header["kind"] == EntryKind.TABLE:
            self.tables += 1
        else:
            self.objects += 1
        self.size += ending["size"]
        self.digest.update(_json({**header, **ending}))

    def facts(self) -> dict[str, Any]:
        return {
            "tables": self.tables,
            "objects": self.objects,
            "size": self.size,
            "entries_sha256": self.digest.hexdigest(),
        }


# Writing.


class ArchiveWriter:
    """Each method yields the next bytes of the archive."""

    def __init__(self) -> None:
        self._number = 0
        self.tally = _Tally()

    def beginning(self) -> Iterator[bytes]:
        yield self._member(_Member.MAGIC, _json({"format": _FORMAT}))

    def entry(self, header: Mapping[str, Any], chunks: Iterable[bytes]) -> Iterator[bytes]:
        """Write an entry with "kind" and "name". An error of `chunks` leaves a void entry in the archive."""
        yield self._member(_Member.BEGIN, _json(header))
        digest, size = hashlib.sha256(), 0
        try:
            for segment in _segments(chunks):
                digest.update(segment)
                size += len(segment)
                yield self._member(_Member.DATA, segment)
        except Exception:
            yield self._member(_Member.VOID, b"")
            raise
        ending = {"size": size, "sha256": digest.hexdigest()}
        yield self._member(_Member.END, _json(ending))
        self.tally.add(header, ending)

    def ending(self, manifest: Manifest) -> Iterator[bytes]:
        content = _json(asdict(manifest))
        yield self._member(_Member.MANIFEST, content)
        yield self._member(_Member.CHECKSUM, hashlib.sha256(content).hexdigest().encode())
        yield bytes(2 * _BLOCK)

    def _member(self, kind: _Member, content: bytes) -> bytes:
        info = tarfile.TarInfo(_member_name(self._number, kind))
        info.size, info.mode = len(content), 0o600
        self._number += 1
        return info.tobuf(tarfile.USTAR_FORMAT) + content + bytes(-len(content) % _BLOCK)


def compressed(chunks: Iterable[bytes]) -> Iterator[bytes]:
    # The fastest level: most bytes are model weights and wheels, which hardly shrink.
    compressor = zlib.compressobj(1, zlib.DEFLATED, _GZIP)
    for chunk in chunks:
        yield compressor.compress(chunk)
    yield compressor.flush()


def _segments(chunks: Iterable[bytes]) -> Iterator[bytes]:
    held = bytearray()
    for chunk in chunks:
        held += chunk
        while len(held) >= SEGMENT_BYTES:
            yield bytes(held[:SEGMENT_BYTES])
            del held[:SEGMENT_BYTES]
    if held:
        yield bytes(held)


# Reading.


class ArchiveReader:
    """Reads an archive from front to back. Every method raises RestoreRefused for anything but a complete archive."""

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self._bytes = _ByteReader(_decompressed(chunks))
        self._number = 0
        self._tally = _Tally()
        self._manifest: Manifest | None = None

    def entries(self) -> "Iterator[ArchiveEntry]":
        """Yield the entries. The rest of an entry is skipped, and checked, before the next one."""
        self._begin()
        while True:
            kind, content = self._next()
            if kind is _Member.MANIFEST:
                self._end(content)
                return
            if kind is not _Member.BEGIN:
                raise DamagedArchive(
                    f"the backup is damaged: member {self._number - 1} is {kind.value!r} between entries"
                )
            entry = ArchiveEntry(self._header(content), self)
            yield entry
            entry.skip()

    @property
    def manifest(self) -> Manifest:
        """The manifest, after the last entry."""
        assert self._manifest is not None, "all entries are read"
        return self._manifest

    def content(self, header: Mapping[str, Any]) -> Iterator[bytes]:
        """Stream the present entry. Raises EntryVoided at the end of a void entry."""
        digest, size = hashlib.sha256(), 0
        while True:
            kind, content = self._next()
            match kind:
                case _Member.DATA:
                    digest.update(content)
                    size += len(content)
                    yield content
                case _Member.VOID:
                    raise EntryVoided(header["name"])
                case _Member.END:
                    ending = {"size": size, "sha256": digest.hexdigest()}
                    if _document(content) != ending:
                        raise DamagedArchive(
                            f"the backup is damaged: {header['kind']} {header['name']!r} has other content"
                        )
                    self._tally.add(header, ending)
                    return
                case _:
                    raise DamagedArchive(f"the backup is damaged: {header['kind']} {header['name']!r} does not end")

    def _begin(self) -> None:
        not_a_backup = RestoreRefused("this is not a backup of Modelyard")
        try:
            kind, content = self._next()
        except DamagedArchive:
            raise not_a_backup from None
        if kind is not _Member.MAGIC:
            raise not_a_backup
        try:
            document = _document(content)
            check_format({"version": document.get("format")}, noun="the backup", newest=_FORMAT)
        except UnreadableFormat as unreadable:
            raise RestoreRefused(str(unreadable)) from None

    def _header(self, content: bytes) -> Mapping[str, Any]:
        header = _document(content)
        kinds = {kind.value for kind in EntryKind}
        if header.get("kind") not in kinds or not isinstance(header.get("name"), str):
            raise DamagedArchive(f"the backup is damaged: member {self._number - 1} begins an unknown entry")
        return header

    def _end(self, content: bytes) -> None:
        kind, checksum = self._next()
        if kind is not _Member.CHECKSUM or checksum.decode("latin-1") != hashlib.sha256(content).hexdigest():
            raise DamagedArchive("the backup is damaged: the manifest's checksum differs")
        self._manifest = _manifest(_document(content))
        differing = [name for name, value in self._tally.facts().items() if getattr(self._manifest, name) != value]
        if differing:
            raise DamagedArchive(
                f"the backup is damaged: the entries differ from the manifest in {', '.join(differing)}"
            )

    def _next(self) -> tuple[_Member, bytes]:
        block = self._bytes.read(_BLOCK)
        if len(block) < _BLOCK or not any(block):
            raise DamagedArchive("the backup is incomplete: it ends before the manifest")
        try:
            info = tarfile.TarInfo.frombuf(block, "ascii", "strict")
            number, _, kind_name = info.name.partition(".")
            kind = _Member(kind_name)
        except (tarfile.HeaderError, ValueError):
            raise self._refused_member() from None
        if info.type != tarfile.REGTYPE or number != f"{self._number:010d}":
            raise self._refused_member()
        largest = SEGMENT_BYTES if kind is _Member.DATA else _HEADER_BYTES
        if not 0 <= info.size <= largest:
            raise DamagedArchive(f"the backup is damaged: member {self._number} claims {info.size} bytes")
        self._number += 1
        content = self._bytes.read(info.size)
        padding = self._bytes.read(-info.size % _BLOCK)
        if len(content) < info.size or len(padding) < -info.size % _BLOCK:
            raise DamagedArchive("the backup is incomplete: it ends before the manifest")
        return kind, content

    def _refused_member(self) -> RestoreRefused:
        return DamagedArchive(
            f"the backup is damaged: member {self._number} is not a numbered regular file, as modelyard backup writes"
        )


@dataclass(slots=True)
class ArchiveEntry:
    header: Mapping[str, Any]
    _reader: ArchiveReader
    _content: Iterator[bytes] | None = None

    @property
    def kind(self) -> EntryKind:
        return EntryKind(self.header["kind"])

    @property
    def name(self) -> str:
        name: str = self.header["name"]
        return name

    def chunks(self) -> Iterator[bytes]:
        """Stream the content, once, checked at its end. Raises EntryVoided."""
        self._content = self._reader.content(self.header)
        return self._content

    def skip(self) -> None:
        try:
            for _ in self._content or self.chunks():
                pass
        except EntryVoided:
            return


class _ByteReader:
    """Exact reads from a stream of chunks. At most one chunk more than a read's size is in memory."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks
        self._held = bytearray()

    def read(self, size: int) -> bytes:
        """Return fewer bytes only at the end of the stream."""
        while len(self._held) < size:
            chunk = next(self._chunks, None)
            if chunk is None:
                break
            self._held += chunk
        content = bytes(self._held[:size])
        del self._held[:size]
        return content


def _decompressed(chunks: Iterable[bytes]) -> Iterator[bytes]:
    stream = iter(chunks)
    first = next(stream, b"")
    while len(first) < len(_GZIP_BEGINNING) and (more := next(stream, None)) is not None:
        first += more
    if not first.startswith(_GZIP_BEGINNING):
        yield first
        yield from stream
        return
    decompressor = zlib.decompressobj(_GZIP)
    try:
        for chunk in _with(first, stream):
            while chunk and not decompressor.eof:
                # A small piece can stand for gigabytes: it is expanded in steps.
                yield decompressor.decompress(chunk, _READ_BYTES)
                chunk = decompressor.unconsumed_tail
        yield decompressor.flush()
    except zlib.error:
        raise DamagedArchive("the backup is damaged: its gzip stream cannot be read") from None


def _with(first: bytes, rest: Iterator[bytes]) -> Iterator[bytes]:
    yield first
    yield from rest


def _member_name(number: int, kind: _Member) -> str:
    return f"{number:010d}.{kind}"


def _manifest(document: Mapping[str, Any]) -> Manifest:
    try:
        manifest = Manifest(**document)
        datetime.fromisoformat(manifest.created_at)
        texts_are_plain = all(map(_PLAIN.fullmatch, (manifest.modelyard, manifest.schema)))
        is_valid = texts_are_plain and isinstance(manifest.missing_objects, int)
    except (TypeError, ValueError):
        is_valid = False
    if not is_valid:
        raise DamagedArchive("the backup is damaged: the manifest has other fields than those of format 1")
    return manifest


def _json(document: Mapping[str, Any]) -> bytes:
    return json.dumps(document, sort_keys=True, separators=(",", ":")).encode() + b"\n"


def _document(content: bytes) -> dict[str, Any]:
    try:
        document = json.loads(content)
    except (ValueError, RecursionError):
        document = None
    if not isinstance(document, dict):
        raise DamagedArchive("the backup is damaged: a member is not a JSON object")
    return document
