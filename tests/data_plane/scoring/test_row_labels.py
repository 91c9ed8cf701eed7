"""A frame's row labels (pandas' index) reach the model: from the request, over the wire, alone and in a batch."""

import io
import json
from typing import Any

import numpy as np
import pandas as pd
import pytest

from data_plane.gateway.parquet_program import index_fields
from data_plane.scoring.errors import InvalidBody
from data_plane.scoring.payload.values import BlockPayload, FramePayload, Payload
from data_plane.scoring.signature import SignatureViolations
from data_plane.scoring.signature.table import Table
from data_plane.scoring.tables.json_frames import split_table
from data_plane.scoring.tables.parquet_frames import frame_table
from data_plane.scoring.wire.concatenate import concatenate, shape_of, size_of
from data_plane.scoring.wire.encode import encode_score
from data_plane.worker.frames import FrameReader, unpack_meta
from data_plane.worker.inputs import read_input
from tests.data_plane.scoring.signature.signatures import columns, compiled

DOUBLES, MIXED, UNSIGNED = columns(x="double"), columns(x="double", s="string?"), compiled()
LABELS = {
    "texts": ["2024-06-01", "b"],
    "numbers": [7, 8],
    "fractions": [0.5, 1],
    "a missing text": ["a", None],
    "a missing number": [None, 2],
    "booleans": [True, False],
    "default numbers as fractions": [0.0, 1.0],
    "levels": [["a", "b"], [1, 2]],
    "nested values": [{"a": 1}, [2]],
}


def split(labels: Any, rows: int = 2, **more: Any) -> dict[str, Any]:
    return {"columns": ["x"], "index": labels, "data": [[float(row)] for row in range(rows)], **more}


def in_the_model(payload: Payload) -> Any:
    (frame,) = FrameReader().feed(b"".join(encode_score(payload, request_id=1)))
    return read_input(unpack_meta(frame.meta)["payload"], frame.body)


def parquet_table(frame: pd.DataFrame, declared: set[str] | None = None) -> Table:
    import pyarrow.parquet as pq

    sink = io.BytesIO()
    frame.to_parquet(sink)
    read = pq.read_table(io.BytesIO(sink.getvalue()))
    return frame_table(read, index_fields(read.schema.metadata), declared or set())


class TestSplit:
    @pytest.mark.parametrize("labels", LABELS.values(), ids=LABELS)
    @pytest.mark.parametrize("signature", [DOUBLES, MIXED, UNSIGNED], ids=["one type", "two types", "unsigned"])
    def test_labels_have_the_index_that_pandas_makes(self, signature: Any, labels: Any) -> None:
        expected = pd.DataFrame(**split(labels)).index
        pd.testing.assert_index_equal(in_the_model(signature.enforce(split(labels), None).payload).index, expected)

    def test_labels_of_rows_without_names_and_of_an_unsigned_split_reach_the_model(self) -> None:
        without_names = {"index": ["a", "b"], "data": [[1], [2]]}
        assert list(in_the_model(DOUBLES.enforce(without_names, None).payload).index) == ["a", "b"]
        enforced = UNSIGNED.enforce_table(split_table(without_names), None)
        assert list(in_the_model(enforced.payload).index) == ["a", "b"]

    @pytest.mark.parametrize("labels", [None, [0, 1]])
    def test_default_labels_cost_nothing_on_the_wire(self, labels: Any) -> None:
        for signature in (DOUBLES, MIXED, UNSIGNED):
            payload = signature.enforce(split(labels), None).payload
            assert isinstance(payload, BlockPayload | FramePayload)
            assert payload.row_index == ()
            assert isinstance(in_the_model(payload).index, pd.RangeIndex)

    @pytest.mark.parametrize(
        ("labels", "message"),
        [
            ([1], "expected an index of 2 labels, one per row, got 1 label"),
            ([], "expected an index of 2 labels, one per row, got 0 labels"),
            ([[1, 2], [3]], "expected an index of 2 labels in the list of each level, one per row, got 1 label"),
            ("ab", "expected a list of labels under 'index', one per row, got the text \"ab\""),
            (5, "expected a list of labels under 'index', one per row, got the number 5"),
            ({"a": 1, "b": 2}, "expected a list of labels under 'index', one per row, got an object"),
            ([[[]] * 2, json.loads("[" * 300 + "]" * 300)], "expected an index of 2 labels in the list of each level"),
            ([1, json.loads("[" * 500 + "]" * 500)], "expected values nested at most 200 deep, got deeper ones"),
        ],
    )
    def test_labels_that_are_not_one_per_row_are_refused(self, labels: Any, message: str) -> None:
        for enforce in (DOUBLES.enforce, MIXED.enforce, UNSIGNED.enforce):
            with pytest.raises(SignatureViolations) as refused:
                enforce(split(labels), None)
            assert message in refused.value.message
        with pytest.raises(SignatureViolations):
            split_table(split(labels))


class TestBatchOfRequests:
    @pytest.mark.parametrize("kind", ["texts", "numbers", "fractions", "a missing number", "booleans", "levels"])
    @pytest.mark.parametrize("signature", [DOUBLES, MIXED], ids=["one type", "two types"])
    def test_labels_of_one_kind_are_concatenated_in_order(self, signature: Any, kind: str) -> None:
        payloads = [signature.enforce(split(LABELS[kind]), None).payload for _ in range(3)]
        assert len({shape_of(payload) for payload in payloads}) == 1
        expected = pd.concat([in_the_model(payload) for payload in payloads])
        pd.testing.assert_frame_equal(in_the_model(concatenate(payloads)), expected)

    def test_frames_with_and_without_labels_do_not_share_a_call(self) -> None:
        given = [None, ["a", "b"], [7, 8], [0.5, 1], [["a", "b"], [1, 2]]]
        shapes = [shape_of(DOUBLES.enforce(split(labels), None).payload) for labels in given]
        assert len(set(shapes)) == len(given)
        assert None not in shapes

    @pytest.mark.parametrize("kind", ["a missing text", "nested values"])
    def test_labels_with_a_dtype_that_depends_on_all_labels_are_scored_alone(self, kind: str) -> None:
        assert shape_of(DOUBLES.enforce(split(LABELS[kind]), None).payload) is None

    def test_size_counts_the_labels(self) -> None:
        assert size_of(DOUBLES.enforce(split(["a" * 1000, "b"]), None).payload) == 16 + 1001


class TestParquet:
    @pytest.mark.parametrize(
        "index",
        [
            pd.Index([3, 1], name="id"),
            pd.Index(["a", None]),
            pd.Index([b"\xff", b""], dtype=object),
            pd.DatetimeIndex(["2024-06-01", None], name="day"),
            pd.DatetimeIndex(["2024-06-01", "2024-12-01"], tz="Asia/Kolkata"),
            pd.MultiIndex.from_arrays([["a", "b"], [0.5, 1.5]], names=["key", None]),
            pd.Index([10, 20]),
        ],
        ids=lambda index: f"{index.dtype} {list(index.names)}",
    )
    def test_index_has_labels_names_and_dtypes_of_the_written_frame(self, index: pd.Index) -> None:
        frame = pd.DataFrame({"x": [1.0, 2.0]}, index=index)
        for signature in (DOUBLES, UNSIGNED):
            model_input = in_the_model(signature.enforce_table(parquet_table(frame), None).payload)
            pd.testing.assert_frame_equal(model_input, frame)

    def test_range_that_is_not_the_default_has_its_numbers_and_name(self) -> None:
        frame = pd.DataFrame({"x": [1.0, 2.0]}, index=pd.RangeIndex(9, 5, -2, name="n"))
        index = in_the_model(DOUBLES.enforce_table(parquet_table(frame), None).payload).index
        assert (list(index), index.name) == ([9, 7], "n")
        assert parquet_table(pd.DataFrame({"x": [1.0]})).row_index == ()

    def test_level_with_the_name_of_a_declared_column_is_the_column(self) -> None:
        index = pd.MultiIndex.from_arrays([["a", "b"], [1.5, 2.5]], names=["key", "x"])
        table = parquet_table(pd.DataFrame({"y": [1, 2]}, index=index), {"x"})
        assert table.names == ("y", "x")
        assert [level.name for level in table.row_index] == ["key"]

    @pytest.mark.parametrize(
        "index",
        [
            pd.PeriodIndex(["2024-01", "2024-02"], freq="M"),
            pd.IntervalIndex.from_breaks([0, 1, 2]),
            pd.TimedeltaIndex(["1s", "2s"]),
        ],
        ids=["periods", "intervals", "durations"],
    )
    def test_index_of_a_type_without_a_form_is_refused_and_not_dropped(self, index: pd.Index) -> None:
        with pytest.raises(InvalidBody, match=r"which no model input type matches"):
            parquet_table(pd.DataFrame({"x": [1.0, 2.0]}, index=index))

    def test_datetimes_beyond_nanoseconds_are_refused_and_not_wrapped(self) -> None:
        index = pd.Index(np.array(["3000-01-01", "2024-01-01"], "M8[us]"))
        with pytest.raises(InvalidBody, match=r"from 1677 to 2262"):
            parquet_table(pd.DataFrame({"x": [1.0, 2.0]}, index=index))

    @pytest.mark.parametrize(
        "level",
        [{"start": 2**63, "step": 1}, {"start": 0, "step": 2**40}, {"start": "no", "step": 1}, {"kind": "range"}, 7],
    )
    def test_malformed_description_of_the_index_raises(self, level: Any) -> None:
        with pytest.raises((ValueError, KeyError, TypeError)):
            index_fields({b"pandas": json.dumps({"index_columns": [level]}).encode()})
