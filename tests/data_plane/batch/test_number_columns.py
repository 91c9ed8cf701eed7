import json
from contextlib import suppress

import pyarrow
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from data_plane.batch.failures import UnreadableFile
from data_plane.batch.input import number_columns, real_csv_blocks
from data_plane.batch.input.csv_blocks import Layout, read_block
from data_plane.batch.input.number_columns import is_plain
from data_plane.batch.input.real_csv_blocks import real_table

_DOUBLES = Layout(("a", "b"), {"a": "double", "b": "double"}, frozenset())
_NEARLY_NUMBERS = st.text(alphabet='0123459.-+eE \t"nax_', max_size=7)
_NUMBERS = st.one_of(st.floats(allow_nan=False, allow_infinity=False).map(repr), st.integers().map(str))
_VALUES = st.one_of(_NUMBERS, _NEARLY_NUMBERS, st.just(""))
_BLOCKS = st.lists(st.tuples(_VALUES, _VALUES), min_size=1, max_size=5).map(
    lambda rows: "\n".join(map(",".join, rows)).encode() + b"\n"
)


def numbers_read(block: bytes) -> list[float] | None:
    """None where the block was left to the signature's rules, as text."""
    table = read_block(block, _DOUBLES, 0)
    if table.column("a").type != pyarrow.float64():
        return None
    return [value for pair in zip(*table.to_pydict().values(), strict=True) for value in pair]


def of_json(text: str) -> float | None:
    return None if text == "" else float(json.loads(text))


@settings(max_examples=500, deadline=None)
@given(_BLOCKS)
@example(b".5,1\n")
@example(b"5.,1\n")
@example(b"-.5,1\n")
@example(b"1,05\n")
@example(b"-05,1\n")
@example(b"nan,1\n")
@example(b"Infinity,1\n")
@example(b"+1,1\n")
@example(b"1e05,1e-05\n")
@example(b" 1,1\n")
def test_numbers_read_by_arrow_are_those_of_json(block: bytes) -> None:
    with suppress(UnreadableFile):  # A quote may hide the end of a line.
        numbers = numbers_read(block)
        if numbers is not None:
            texts = block.decode().removesuffix("\n").replace("\n", ",").split(",")
            assert numbers == [of_json(text) for text in texts]


@pytest.mark.parametrize("text", ["0.5", "-0.25e-05", "12345.678E-7", "1e05", "0", "-0"])
def test_plain_number_is_plain_across_the_parts_of_a_block(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(number_columns, "_PART", 16)
    for shift in range(20):
        block = b"1" * shift + f",{text}\n".encode() * 5
        assert is_plain(block), block


@pytest.mark.parametrize(
    "text", [".5", "5.", "-.5", "05", "-05", "nan", "1_0", "0x1", "5.e3", ".", "é", '"1"', " 1", "1\t", "+1"]
)
def test_text_that_is_no_json_number_is_found_across_the_parts_of_a_block(
    text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(number_columns, "_PART", 16)
    for shift in range(1, 20):
        assert not is_plain(b"1" * shift + f",{text}\n".encode() + b"2,2\n" * 5), shift


def reals_read(block: bytes) -> list[float] | None:
    table = real_table(block, _DOUBLES)
    if table is None:
        return None
    return [
        value for row in zip(*(column.values for column in table.columns), strict=True) for value in map(float, row)
    ]


@settings(max_examples=500, deadline=None)
@given(_BLOCKS, st.sampled_from([b"\n", b"\r\n"]))
@example(b"[1,2]\n", b"\n")
@example(b"1,2,1e300,3,4\n", b"\n")
@example(b"1,2,1e300\n3\n", b"\n")
@example(b"1\n2,3,4\n", b"\n")
@example(b"1e300,1\n", b"\n")
@example(b"-0,1\n1,-0\n", b"\n")
@example(b"-0.0,1e-400\n", b"\n")
@example(b"9007199254740993,1\n", b"\n")
@example(b"1,2\n\n3,4\n", b"\n")
@example(b"true,null\n", b"\n")
def test_numbers_read_by_the_json_parser_are_those_of_arrow(block: bytes, line_end: bytes) -> None:
    numbers = reals_read(block.replace(b"\n", line_end))
    if numbers is not None:
        assert list(map(repr, numbers)) == list(map(repr, numbers_read(block) or ()))


@pytest.mark.parametrize("last", [b"", b"\n"])
def test_plain_lines_of_any_number_are_read_by_the_json_parser(last: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(real_csv_blocks, "_PART", 16)
    lines = [f"{number}.5,-0.{number}" for number in range(50)]
    assert reals_read("\n".join(lines).encode() + last) == [float(text) for line in lines for text in line.split(",")]


@pytest.mark.parametrize("line", [b"1", b"1,2,3", b"1,", b"-0,1", b"1,1e300", b" 1,2", b"[1,2]", b"1,+2", b"", b"1\r2"])
def test_line_that_json_reads_differently_leaves_the_block_to_arrow(line: bytes) -> None:
    assert real_table(b"1,2\n" * 9 + line + b"\n" + b"1,2\n", _DOUBLES) is None
