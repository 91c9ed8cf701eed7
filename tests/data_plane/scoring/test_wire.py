import json
import math
from typing import Any

import numpy as np
import pytest

from data_plane.scoring.payload.result_json import result_to_json
from data_plane.scoring.payload.values import (
    ArrayPayload,
    ArrayResult,
    ArraysPayload,
    Column,
    FramePayload,
    FrameResult,
    JsonPayload,
    JsonResult,
    Payload,
)
from data_plane.scoring.wire.decode import decode_result
from data_plane.scoring.wire.encode import encode_score, row_count
from data_plane.worker.frames import SCORE, Frame, FrameReader, ProtocolError, unpack_meta


def sent(payload: Payload, **details: Any) -> tuple[dict[str, Any], Frame]:
    """Return the meta and the frame that a worker reads."""
    encoded = encode_score(payload, **{"request_id": 1, **details})
    (frame,) = FrameReader().feed(b"".join(encoded))
    return unpack_meta(frame.meta), frame


class TestEncodeScore:
    def test_meta_has_kind_ids_params_rows_and_deadline(self) -> None:
        meta, frame = sent(JsonPayload([1]), request_id=9, params={"k": 1}, request_ids=["a"], deadline=12.5)
        assert (frame.kind, frame.request_id) == (SCORE, 9)
        assert {key: meta[key] for key in ("params", "request_ids", "deadline", "rows")} == {
            "params": {"k": 1},
            "request_ids": ["a"],
            "deadline": 12.5,
            "rows": 1,
        }

    def test_numbers_travel_as_little_endian_buffers(self) -> None:
        meta, frame = sent(FramePayload((Column("x", "double", np.array([1.5, 2.5])),), 2))
        (column,) = meta["payload"]["columns"]
        offset, length = column["data"]
        assert np.frombuffer(frame.body[offset : offset + length], "<f8").tolist() == [1.5, 2.5]

    def test_transposed_big_endian_array_is_sent_contiguous_and_little_endian(self) -> None:
        meta, frame = sent(ArrayPayload(np.arange(6, dtype=">i4").reshape(2, 3).T))
        assert (meta["payload"]["dtype"], meta["payload"]["shape"]) == ("<i4", [3, 2])
        assert np.frombuffer(frame.body, "<i4").tolist() == [0, 3, 1, 4, 2, 5]

    def test_column_without_missing_values_has_no_null_bitmap(self) -> None:
        meta, _ = sent(FramePayload((Column("s", "string", ["a", "b"]), Column("t", "string", ["a", None])), 2))
        assert ["nulls" in column for column in meta["payload"]["columns"]] == [False, True]

    def test_object_array_is_sent_as_json(self) -> None:
        meta, frame = sent(ArrayPayload(np.array([["a", None]], dtype=object)))
        assert (meta["payload"]["kind"], meta["payload"]["dtype"], meta["payload"]["shape"]) == (
            "array",
            "object",
            [1, 2],
        )
        assert json.loads(frame.body) == ["a", None]

    def test_integer_beyond_64_bits_is_sent_exactly(self) -> None:
        _, frame = sent(JsonPayload({"n": 2**70}))
        assert json.loads(frame.body) == {"n": 2**70}

    @pytest.mark.parametrize(
        ("payload", "rows"),
        [
            (FramePayload((), 4), 4),
            (ArrayPayload(np.zeros((3, 2))), 3),
            (ArrayPayload(np.array(1.0)), 1),
            (ArraysPayload({"x": np.zeros((5, 1))}), 5),
            (ArraysPayload({}), 0),
            (JsonPayload([1, 2]), 2),
            (JsonPayload({"a": [1, 2]}), 1),
        ],
    )
    def test_row_count_of_a_payload(self, payload: Payload, rows: int) -> None:
        assert row_count(payload) == rows


class TestDecodeResult:
    @pytest.mark.parametrize(
        "result",
        [
            {"kind": "array", "dtype": "<f8", "shape": [1], "data": [0, 99]},
            {"kind": "array", "dtype": "<f8", "shape": [3], "data": [0, 8]},
            {"kind": "array", "dtype": "no", "shape": [1], "data": [0, 8]},
            {"kind": "frame", "rows": 2, "columns": [{"name": "x", "type": "double", "data": [0, 8]}]},
            {"kind": "poem"},
            {},
            None,
        ],
    )
    def test_malformed_result_raises_protocol_error(self, result: Any) -> None:
        with pytest.raises(ProtocolError):
            decode_result({"result": result}, bytes(8))


class TestResultToJson:
    @pytest.mark.parametrize(
        ("array", "text"),
        [
            (np.array([1.5, math.nan, math.inf, -math.inf]), "[1.5,null,null,null]"),
            (np.array([[1, 2], [3, 4]]), "[[1,2],[3,4]]"),
            (np.array([[1, 2], [3, 4]]).T, "[[1,3],[2,4]]"),
            (np.array([True, False]), "[true,false]"),
            (np.array([2**64 - 1], dtype="u8"), "[18446744073709551615]"),
            (np.array(2.5), "2.5"),
            (np.array(math.nan), "null"),
            (np.zeros((0,)), "[]"),
            (np.zeros((2, 0)), "[[],[]]"),
            (np.array([1], dtype=">i4"), "[1]"),
        ],
    )
    def test_array_is_written_as_nested_lists(self, array: np.ndarray, text: str) -> None:
        assert result_to_json(ArrayResult(array)).decode() == text

    def test_single_precision_is_written_as_the_equal_double(self) -> None:
        array = np.array([0.1, math.nan], dtype="f4")
        assert json.loads(result_to_json(ArrayResult(array))) == [float(np.float32(0.1)), None]

    def test_frame_is_written_as_records(self) -> None:
        columns = (
            Column("score", "double", np.array([0.5, math.nan])),
            Column(1, "string", ["a", "b"], np.array([False, True])),
            Column("when", "datetime", np.array(["2024-01-02", "2024-01-03T04:05"], dtype="M8[ns]")),
            Column("raw", "binary", [b"\xff", b""]),
            Column("more", "json", [{"k": [1]}, None]),
        )
        assert json.loads(result_to_json(FrameResult(columns, 2))) == [
            {"score": 0.5, "1": "a", "when": "2024-01-02T00:00:00", "raw": "/w==", "more": {"k": [1]}},
            {"score": None, "1": None, "when": "2024-01-03T04:05:00", "raw": "", "more": None},
        ]

    def test_frame_without_columns_is_written_as_empty_records(self) -> None:
        assert result_to_json(FrameResult((), 2)) == b"[{},{}]"

    def test_json_result_is_passed_on_unchanged(self) -> None:
        assert result_to_json(JsonResult(b'{"a":1}')) == b'{"a":1}'
