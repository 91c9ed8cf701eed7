"""The bytes of an input file: as they lie in the object store, unpacked, and as a file that can be sought in."""

import gzip
import io
import zlib
from collections.abc import Iterable, Iterator

import pyarrow

from data_plane.batch.failures import UnreadableFile
from data_plane.batch.formats import Compression, compression_of
from data_plane.batch.spans import Span
from modelyard.core.ports.object_store import ObjectStore

_PIECE = 1 << 20
_UTF8_MARK = b"\xef\xbb\xbf"
_OTHER_MARKS = {b"\xff\xfe": "UTF-16", b"\xfe\xff": "UTF-16"}


def text_of(store: ObjectStore, span: Span) -> Iterator[bytes]:
    """The span's text, unpacked, in pieces and without a byte order mark. Raises UnreadableFile."""
    length = None if span.end is None else span.end - span.start
    pieces = store.get(span.key, start=span.start, length=length)
    unpacked = _unpacked(pieces, compression_of(span.path))
    return unpacked if span.start else _without_mark(unpacked)


def _without_mark(pieces: Iterable[bytes]) -> Iterator[bytes]:
    first = b""
    rest = iter(pieces)
    for piece in rest:
        first += piece
        if len(first) >= len(_UTF8_MARK):
            break
    if (encoding := _OTHER_MARKS.get(first[:2])) is not None:
        raise UnreadableFile(f"the file is {encoding}: save it as UTF-8")
    yield first.removeprefix(_UTF8_MARK)
    yield from rest


def mark_length(first: bytes) -> int:
    return len(_UTF8_MARK) if first.startswith(_UTF8_MARK) else 0


def _unpacked(pieces: Iterator[bytes], compression: Compression | None) -> Iterator[bytes]:
    match compression:
        case None:
            return pieces
        case Compression.GZIP:
            return _read(gzip.GzipFile(fileobj=io.BufferedReader(_Pieces(pieces), _PIECE)), "gzip")
        case Compression.ZSTD:
            packed = pyarrow.PythonFile(_Pieces(pieces), mode="r")
            return _read(pyarrow.CompressedInputStream(packed, "zstd"), "zstd")


def _read(unpacking: gzip.GzipFile | pyarrow.NativeFile, called: str) -> Iterator[bytes]:
    with unpacking:
        while True:
            try:
                piece = unpacking.read(_PIECE)
            except (gzip.BadGzipFile, EOFError, zlib.error, pyarrow.ArrowException, OSError) as error:
                raise UnreadableFile(f"the file is damaged, or no {called} file: {error}") from None
            if not piece:
                return
            yield piece


class _Pieces(io.RawIOBase):
    """Pieces as a file that is read from its beginning to its end."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces
        self._left = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, target: bytearray | memoryview) -> int:  # type: ignore[override] # any buffer that can be written
        while not self._left:
            piece = next(self._pieces, None)
            if piece is None:
                return 0
            self._left = memoryview(piece)
        count = min(len(target), len(self._left))
        target[:count] = self._left[:count]
        self._left = self._left[count:]
        return count


class StoredFile(io.RawIOBase):
    """An object as a file that can be sought in."""

    def __init__(self, store: ObjectStore, key: str) -> None:
        self._store = store
        self._key = key
        self._size = store.size(key)
        self._place = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._place

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self._place = offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._place, io.SEEK_END: self._size}[whence]
        return self._place

    def read(self, size: int | None = -1) -> bytes:
        length = None if size is None or size < 0 else size
        read = b"".join(self._store.get(self._key, start=self._place, length=length))
        self._place += len(read)
        return read
