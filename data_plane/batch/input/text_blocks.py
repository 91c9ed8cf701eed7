"""Splits a stream of text into blocks that end where a record ends."""

from collections.abc import Callable, Iterable, Iterator
from itertools import chain

from data_plane.batch.failures import UnreadableFile

BLOCK_BYTES = 8 << 20
"""Size of a block: bounds the memory, and is the size of a large file's parts."""
_MAX_RECORD_BYTES = 64 << 20

LastEnd = Callable[[bytes], int]
"""Returns the end of the last whole record in a text that begins with a record; 0 for none."""
FirstEnd = Callable[[bytes], int]
"""Returns the end of the first record; the text's length while the end is not known."""


def _accept_rest(rest: bytes) -> None:
    """Accept a last line without a line break."""


def blocks(
    pieces: Iterable[bytes], last_end: LastEnd, size: int, check_rest: Callable[[bytes], None] = _accept_rest
) -> Iterator[bytes]:
    """Yield blocks of about `size` bytes. `check_rest` raises if the last block ends within a record."""
    gathered: list[bytes] = []
    length, wanted = 0, size
    for piece in pieces:
        gathered.append(piece)
        length += len(piece)
        if length < wanted:
            continue
        text = b"".join(gathered)
        end = last_end(text)
        if not end:
            _check_record_length(length)
        # Doubled, so that a long record is not searched again with every piece.
        wanted = size if end else 2 * length
        if end:
            yield text[:end]
        gathered, length = [text[end:]], length - end
    rest = b"".join(gathered)
    if rest:
        check_rest(rest)
        yield rest


def first_record(
    pieces: Iterable[bytes], first_end: FirstEnd, check_rest: Callable[[bytes], None]
) -> tuple[bytes, Iterator[bytes]]:
    """Return the first record, and the rest of the text in pieces."""
    gathered: list[bytes] = []
    length, wanted, rest = 0, 0, iter(pieces)
    for piece in rest:
        gathered.append(piece)
        length += len(piece)
        if length < wanted:
            continue
        text = b"".join(gathered)
        end = first_end(text)
        if end < length:
            return text[:end], chain([text[end:]], rest)
        _check_record_length(length)
        gathered, wanted = [text], 2 * length
    text = b"".join(gathered)
    end = first_end(text)
    if end == length:
        check_rest(text)
    return text[:end], iter([text[end:]])


def _check_record_length(length: int) -> None:
    if length > _MAX_RECORD_BYTES:
        raise UnreadableFile(
            f"a row is longer than {_MAX_RECORD_BYTES >> 20} MiB, or quotes were opened and never closed"
        )
