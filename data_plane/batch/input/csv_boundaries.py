"""Boundaries of CSV records, by pandas' rules: a newline inside of quotes ends no record.

A quote opens a value only at the value's beginning. In a text where every quote stands at a beginning or an end, a line
break is outside of quotes if the number of quotes before it is even.
"""

import re
from collections.abc import Iterable, Iterator

import numpy as np
import numpy.typing as npt

_CACHE_BYTES = 1 << 17
_LF, _CR, _SPACE, _QUOTE = 10, 13, 32, 34
_OPENS = np.zeros(256, dtype=bool)
_OPENS[list(b',\r\n"')] = True
_BLANKS = np.zeros(256, dtype=bool)
_BLANKS[list(b"\r\n \t")] = True
_OPENING_QUOTE = re.compile(rb'(?:^|[,\r\n])"')
_REST_OF_QUOTED = re.compile(rb'[^"]*+(?:""[^"]*+)*+"')

Positions = npt.NDArray[np.intp]


def last_end(text: bytes) -> int:
    """Return the end of the last whole record in a text that begins with a record; 0 for none."""
    # A carriage return at the end may be the first half of a line break.
    known = len(text) - text.endswith(b"\r")
    if b'"' not in text:
        return max(text.rfind(b"\n", 0, known), text.rfind(b"\r", 0, known) if b"\n" not in text else -1) + 1
    breaks = _breaks(text)
    breaks = breaks[breaks < known]
    return int(breaks[-1]) + 1 if len(breaks) else 0


def header_end(text: bytes) -> int:
    """Return the end of the first record that is not blank."""
    start = 0
    for place in _breaks(text):
        if text[start:place].strip(b"\r\n \t"):
            return int(place) + 1
        start = int(place) + 1
    return len(text)


def ends_in_quotes(text: bytes) -> bool:
    return b'"' in text and len(_quotes(text)) % 2 == 1


def plain_blocks(pieces: Iterable[bytes], size: int) -> Iterator[tuple[int, int]]:
    """Yield the bytes and lines of each block of about `size` bytes, without joining the pieces of the text.

    Stops before the first block with a quote, a carriage return or a line that may be blank.
    """
    length = lines = 0
    before = b"\n"
    for piece in pieces:
        # A line break at the end of the last piece is looked at with the first byte of this piece.
        found = None if b'"' in piece or b"\r" in piece else _break_count(before, piece)
        if found is None or length > 2 * size:
            return
        before = piece[-1:]
        length, lines = length + len(piece), lines + found
        if length >= size and found:
            rest = len(piece) - piece.rfind(b"\n") - 1
            yield length - rest, lines
            length, lines = rest, 0
    if length:
        yield length, lines + (before != b"\n")


def _break_count(before: bytes, text: bytes) -> int | None:
    """Count line breaks; None if a blank line may follow one of them, or the byte `before` the text."""
    codes = np.frombuffer(text, dtype=np.uint8)
    if before == b"\n" and len(codes) and codes[0] <= _SPACE:
        return None
    count = 0
    for start in range(0, len(codes), _CACHE_BYTES):
        ending = codes[start : start + _CACHE_BYTES] == _LF
        following = codes[start + 1 : start + 1 + _CACHE_BYTES] <= _SPACE
        if (ending[: len(following)] & following).any():
            return None
        count += int(np.count_nonzero(ending))
    return count


def row_count(text: bytes, width: int) -> int:
    """Count the records of a text of whole records. Blank lines do not count, as in pandas."""
    breaks = None if b'"' in text or b"\r" in text else _break_count(b"\n", text)
    if breaks is None:
        return _careful_row_count(text, np.frombuffer(text, dtype=np.uint8), width)
    return breaks + (not text.endswith(b"\n") and bool(text))


def _careful_row_count(text: bytes, codes: npt.NDArray[np.uint8], width: int) -> int:
    starts = np.concatenate((np.zeros(1, dtype=np.intp), _breaks(text) + 1))
    if starts[-1] == len(codes):
        starts = starts[:-1]
    blank = b"\r\n \t" if width > 1 else b"\r\n"
    suspects = np.flatnonzero(_BLANKS[codes[starts]]).tolist()
    ends = [*starts[1:].tolist(), len(codes)] if suspects else []
    return len(starts) - sum(not text[starts[line] : ends[line]].strip(blank) for line in suspects)


def _breaks(text: bytes) -> Positions:
    """Return the position of the last byte of each line break outside of quotes."""
    codes = np.frombuffer(text, dtype=np.uint8)
    ending = codes == _LF
    if b"\r" in text:
        returns = codes == _CR
        returns[:-1] &= codes[1:] != _LF
        ending |= returns
    positions = np.flatnonzero(ending)
    if b'"' not in text:
        return positions
    outside: Positions = positions[np.searchsorted(_quotes(text), positions) % 2 == 0]
    return outside


def _quotes(text: bytes) -> Positions:
    """Return the quotes that open and close values by turns; a doubled quote closes and opens."""
    codes = np.frombuffer(text, dtype=np.uint8)
    quotes = np.flatnonzero(codes == _QUOTE)
    opening = quotes[::2]
    before = codes[opening[opening > 0] - 1]
    return quotes if _OPENS[before].all() else _quotes_by_search(text)


def _quotes_by_search(text: bytes) -> Positions:
    """The slow path for texts with a quote in the middle of a value, where the quote is a plain character."""
    positions: list[int] = []
    at = 0
    while opened := _OPENING_QUOTE.search(text, at):
        positions.append(opened.end() - 1)
        closed = _REST_OF_QUOTED.match(text, opened.end())
        if closed is None:
            break
        at = closed.end()
        positions.append(at - 1)
    return np.array(positions, dtype=np.intp)
