"""Large JSON documents parsed in small pieces give the values and errors of a single call."""

import json
from typing import Any

import orjson
import pytest

from data_plane.scoring.payload.large_json import LARGE
from data_plane.scoring.signature import parse_json, parse_large

NAMES = ["a", "b", "c"]
# Texts with the characters of an entry's end.
TRICKY = ['],["', "]],[[", '},{"', '\\"],[\\"', "[[", "{", "\\", '"a": [1], "b": [', "é\u2028"]
ROWS = 40_000
NUMBERS = [[place / 7, -place, place * 1e30] for place in range(ROWS)]
RECORDS = [dict(zip(NAMES, row, strict=True)) for row in NUMBERS]
COLUMNS = {name: [row[place] for row in NUMBERS] for place, name in enumerate(NAMES)}
TEXTS = [[TRICKY[place % len(TRICKY)] + "x" * 40] for place in range(ROWS)]

IN_PIECES: dict[str, Any] = {
    "rows": {"input_data": NUMBERS},
    "split": {"input_data": {"columns": NAMES, "data": NUMBERS}},
    "split with an index and params": {
        "input_data": {"columns": NAMES, "index": list(range(ROWS)), "data": NUMBERS},
        "params": {"list": [1, 2], "nothing": None},
    },
    "records": {"dataframe_records": RECORDS},
    "records at the top": RECORDS,
    "records that hold lists": {"inputs": [{"l": [[place], [1.5, 2.5]], "s": "[["} for place in range(ROWS)]},
    "columns": {"inputs": COLUMNS},
    "columns of texts": {"inputs": {name: [text for (text,) in TEXTS] for name in NAMES}},
    "numbers": {"inputs": [number for row in NUMBERS for number in row]},
    "tensor of three dimensions": {"inputs": [[row, row] for row in NUMBERS]},
    "tensor of four dimensions": {"inputs": [[[row], [row]] for row in NUMBERS]},
    "integers beyond 64 bits": {"inputs": [[2**70 + place, 2**64] for place in range(ROWS)]},
}
IN_ONE_CALL: dict[str, Any] = {
    "rows of texts that look like rows": {"dataframe_split": {"columns": ["s"], "data": TEXTS}},
    "one text": {"inputs": "],[" * LARGE},
    "a list of texts": {"inputs": [text for (text,) in TEXTS]},
    "rows of several kinds": {"inputs": [[1], {"a": 1}, "],[", None] * ROWS * 2},
    "rows of unequal depth": {"inputs": [[1], [[2]], [[[3]]]] * ROWS * 2},
    "a tensor whose rows are shorter than its depth": {"inputs": [[[[[[1]]]]]] * ROWS * 3},
    "two large lists": {"inputs": NUMBERS, "params": {"p": NUMBERS}},
}
LAYOUTS = {
    "as Python writes it": {},
    "dense, without ASCII": {"separators": (",", ":"), "ensure_ascii": False},
}


def test_indented_document_is_parsed_like_a_dense_document() -> None:
    text = json.dumps(IN_PIECES["split"], indent=1).encode()
    assert parse_large(text) == orjson.loads(text)


class TestLargeDocument:
    @pytest.mark.parametrize("layout", LAYOUTS)
    @pytest.mark.parametrize("kind", [*IN_PIECES, *IN_ONE_CALL])
    def test_large_document_equals_the_result_of_a_single_call(self, kind: str, layout: str) -> None:
        text = json.dumps((IN_PIECES | IN_ONE_CALL)[kind], **LAYOUTS[layout]).encode()
        assert len(text) > LARGE
        assert parse_large(text) == orjson.loads(text)

    @pytest.mark.parametrize("kind", IN_PIECES)
    def test_large_document_is_parsed_in_small_pieces(self, kind: str) -> None:
        sizes: list[int] = []

        def parse(piece: bytes) -> Any:
            sizes.append(len(piece))
            return orjson.loads(piece)

        text = json.dumps(IN_PIECES[kind]).encode()
        parse_large(text, parse)
        assert max(sizes) < len(text) * 0.6

    def test_large_document_keeps_integers_beyond_64_bits_exact(self) -> None:
        document = IN_PIECES["integers beyond 64 bits"]
        assert parse_json(json.dumps(document).encode()) == document

    def test_last_of_two_equal_keys_wins_in_a_large_document(self) -> None:
        text = b'{"a": [1], %b, "a": [3]}' % json.dumps(COLUMNS).encode()[1:-1]
        assert parse_large(text) == orjson.loads(text)


class TestBrokenLargeDocument:
    @pytest.mark.parametrize("kind", ["split", "records", "columns", "tensor of four dimensions"])
    def test_broken_large_document_gives_the_error_of_a_single_call(self, kind: str) -> None:
        text = json.dumps(IN_PIECES[kind]).encode()
        place = text.index(b",", len(text) // 2)
        for broken in (text[:-1], text[:place], text + b"]", text[:place] + b"," + text[place:], b"[" + text):
            with pytest.raises(orjson.JSONDecodeError) as expected:
                orjson.loads(broken)
            with pytest.raises(orjson.JSONDecodeError) as raised:
                parse_large(broken)
            assert (raised.value.msg, raised.value.pos) == (expected.value.msg, expected.value.pos)
