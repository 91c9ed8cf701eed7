"""The bytes of an input file: decompressed text in pieces, and a seekable file over an object."""

import gzip
import io
import zlib
from collections.abc import Iterable, Iterator

import pyarrow

from data_plane.batch.failures import UnreadableFile
from data_plane.batch.input.formats import Compression, compression_of
from data_plane.batch.input.spans import Span
from modelyard.core.ports.object_store import ObjectStore

_PIECE = 1 << 20
_UTF8_MARK = b"\xef\xbb\xbf"
_OTHER_MARKS = {b"\xff\xfe": "UTF-16", b"\xfe\xff": "UTF-16"}


def text_of(store: ObjectStore, span: Span) -> Iterator[bytes]:
    """Yield the span's text in pieces, decompressed and without a byte order mark. Raises UnreadableFile."""
    length = None if span.end is None else span.end - span.start
    pieces = store.get(span.key, start=span.start, length=length)
    text = _decompressed(pieces, compression_of(span.path))
    return text if span.start else _without_mark(text)


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


def _decompressed(pieces: Iterator[bytes], compression: Compression | None) -> Iterator[bytes]:
    match compression:
        case None:
            return pieces
        case Compression.GZIP:
            return _read(gzip.GzipFile(fileobj=io.BufferedReader(_Pieces(pieces), _PIECE)), "gzip")
        case Compression.ZSTD:
            compressed = pyarrow.PythonFile(_Pieces(pieces), mode="r")
            return _read(pyarrow.CompressedInputStream(compressed, "zstd"), "zstd")


def _read(stream: gzip.GzipFile | pyarrow.NativeFile, name: str) -> Iterator[bytes]:
    with stream:
        while True:
            try:
                piece = stream.read(_PIECE)
            except (gzip.BadGzipFile, EOFError, zlib.error, pyarrow.ArrowException, OSError) as error:
                raise UnreadableFile(f"the file is damaged, or is not a {name} file: {error}") from None
            if not piece:
                return
            yield piece


class _Pieces(io.RawIOBase):
    """Pieces as a file, read once from beginning to end."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces
        self._left = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, target: bytearray | memoryview) -> int:  # type: ignore[override] # any writable buffer
        while not self._left:
            piece = next(self._pieces, None)
            if piece is None:
                return 0
            self._left = memoryview(piece)
        count = min(len(target), len(self._left))
        target[:count] = self._left[:count]
        self._left = self._left[count:]
        return count


class SeekableObject(io.RawIOBase):
    """An object of the object store as a seekable file."""

    def __init__(self, store: ObjectStore, key: str) -> None:
        self._store = store
        self._key = key
        self._size = store.size(key)
        self._position = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self._position = offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._size}[whence]
        return self._position

    def read(self, size: int | None = -1) -> bytes:
        length = None if size is None or size < 0 else size
        read = b"".join(self._store.get(self._key, start=self._position, length=length))
        self._position += len(read)
        return read
