"""A stream of text into blocks that end where a record ends."""

from collections.abc import Callable, Iterable, Iterator
from itertools import chain

from data_plane.batch.failures import UnreadableFile

BLOCK_BYTES = 8 << 20
"""What is read at once: memory is bounded by it, and the parts of a large file have its size."""
_LONGEST_RECORD = 64 << 20

LastEnd = Callable[[bytes], int]
"""Where in a text that begins with a record the last whole record ends; 0 where none does."""
FirstEnd = Callable[[bytes], int]
"""Where the first record ends; at the text's own end where that is not known yet."""


def _is_whole(rest: bytes) -> None:
    """Each line is a record, the last one, too."""


def blocks(
    pieces: Iterable[bytes], last_end: LastEnd, size: int, check_rest: Callable[[bytes], None] = _is_whole
) -> Iterator[bytes]:
    """Blocks of about `size` bytes. The last is whatever is left; `check_rest` raises if that is half a record."""
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
            _refuse_endless(length)
        # Twice as much, so that a long record is not looked at again with every piece.
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
    """The first record, and in pieces what follows it."""
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
        _refuse_endless(length)
        gathered, wanted = [text], 2 * length
    text = b"".join(gathered)
    end = first_end(text)
    if end == length:
        check_rest(text)
    return text[:end], iter([text[end:]])


def _refuse_endless(length: int) -> None:
    if length > _LONGEST_RECORD:
        raise UnreadableFile(
            f"a row is longer than {_LONGEST_RECORD >> 20} MiB, or quotes were opened and never closed"
        )
