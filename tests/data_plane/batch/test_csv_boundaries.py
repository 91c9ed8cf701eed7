"""Blocks of plain CSV, counted piece by piece, against the count of the joined text."""

from collections.abc import Iterator

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from data_plane.batch.input.csv_boundaries import plain_blocks, row_count

_TEXTS = st.text(alphabet='12,\n\r "', max_size=60).map(str.encode)


def pieces_of(text: bytes, size: int) -> Iterator[bytes]:
    return (text[start : start + size] for start in range(0, len(text), size))


@settings(max_examples=500, deadline=None)
@given(_TEXTS, st.integers(1, 20), st.integers(1, 20))
@example(b"1\n\n2\n", 2, 100)
@example(b"1\n 2\n", 2, 100)
@example(b" 1\n", 1, 100)
@example(b"1\n2", 2, 1)
def test_lines_of_plain_blocks_are_the_rows_of_the_text(text: bytes, piece: int, size: int) -> None:
    start = 0
    for length, lines in plain_blocks(pieces_of(text, piece), size):
        block = text[start : start + length]
        start += length
        assert block.endswith(b"\n") or start == len(text)
        assert lines == row_count(block, 2)


@pytest.mark.parametrize("odd", [b'1,"2"\n', b"1,2\r\n", b"\n", b" \n"])
@pytest.mark.parametrize("piece", [1, 3, 7, 1000])
def test_plain_blocks_end_before_a_line_that_is_not_plain(odd: bytes, piece: int) -> None:
    plain = b"1,2\n" * 50
    counted = list(plain_blocks(pieces_of(plain + odd + plain, piece), 40))
    assert sum(length for length, _ in counted) <= len(plain)
    assert sum(lines for _, lines in counted) == sum(length for length, _ in counted) // len(b"1,2\n")


@pytest.mark.parametrize("piece", [1, 3, 7, 1000])
def test_plain_text_is_counted_to_its_end(piece: int) -> None:
    counted = list(plain_blocks(pieces_of(b"1,2\n" * 50 + b"3,4", piece), 40))
    assert (sum(length for length, _ in counted), sum(lines for _, lines in counted)) == (203, 51)
