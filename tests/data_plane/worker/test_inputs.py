"""From the platform's payloads to the model's input, in the environment of the tests."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
from mlflow.models.utils import _enforce_schema
from mlflow.types.schema import Schema
from mlflow.types.utils import ColSpec

from data_plane.scoring.payload.values import (
    ArrayPayload,
    ArraysPayload,
    BlockPayload,
    Column,
    FramePayload,
    JsonPayload,
    Payload,
)
from data_plane.scoring.types import WIRE_DTYPES, LogicalType
from data_plane.scoring.wire.encode import encode_score
from data_plane.worker.frames import FrameReader, ProtocolError, unpack_meta
from data_plane.worker.inputs import read_input


def received(payload: Payload) -> Any:
    (frame,) = FrameReader().feed(b"".join(encode_score(payload, request_id=1)))
    return read_input(unpack_meta(frame.meta)["payload"], frame.body)


def nulls(*missing: bool) -> np.ndarray:
    return np.array(missing)


class TestDataFrameInput:
    @pytest.mark.parametrize(
        ("column", "as_a_server_parses_it"),
        [
            (Column("c", "boolean", np.array([True, False])), [True, False]),
            (Column("c", "boolean", np.array([True, False]), nulls(False, True)), [True, None]),
            (Column("c", "integer", np.array([1, 2], dtype="i4")), np.array([1, 2], dtype="i4")),
            (Column("c", "long", np.array([1, 2])), [1, 2]),
            (Column("c", "float", np.array([1.5, 2], dtype="f4")), np.array([1.5, 2], dtype="f4")),
            (Column("c", "double", np.array([1.5, 0]), nulls(False, True)), [1.5, None]),
            (Column("c", "string", ["a", "ä"]), ["a", "ä"]),
            (Column("c", "string", ["a", None]), ["a", None]),
            (Column("c", "binary", [b"\xff", b""]), [b"\xff", b""]),
            (
                Column("c", "datetime", np.array(["2024-01-02T03:04:05.000000006", "NaT"], dtype="M8[ns]")),
                np.array(["2024-01-02T03:04:05.000000006", "NaT"], dtype="M8[ns]"),
            ),
        ],
        ids=lambda value: getattr(value, "type", None),
    )
    def test_dtypes_are_those_that_mlflow_enforces(self, column: Column, as_a_server_parses_it: Any) -> None:
        schema = Schema([ColSpec(column.type, "c")])
        enforced = _enforce_schema(pd.DataFrame({"c": as_a_server_parses_it}), schema)
        pd.testing.assert_frame_equal(received(FramePayload((column,), 2)), enforced)

    def test_integers_with_missing_values_become_python_objects(self) -> None:
        frame = received(FramePayload((Column("c", "long", np.array([1, 0]), nulls(False, True)),), 2))
        assert frame["c"].dtype == object
        assert frame["c"].tolist() == [1, None]

    def test_nested_values_are_unchanged(self) -> None:
        values = [{"a": [1, {"b": None}]}, [2.5, "x"]]
        frame = received(FramePayload((Column("c", "json", values),), 2))
        assert frame["c"].tolist() == values

    def test_columns_keep_names_and_order(self) -> None:
        columns = [Column(name, "double", np.array([float(i)])) for i, name in enumerate(["b", 7, "a", "b"])]
        for mixed in (tuple(columns), (*columns, Column("s", "string", ["x"]))):
            frame = received(FramePayload(mixed, 1))
            assert list(frame.columns[:4]) == ["b", 7, "a", "b"]
            assert frame.iloc[0, :4].tolist() == [0, 1, 2, 3]

    @pytest.mark.parametrize("logical_type", ["boolean", "integer", "long", "float", "double"])
    def test_block_gives_the_same_frame_as_its_columns(self, logical_type: LogicalType) -> None:
        block = np.array([[0, 1, 1], [1, 0, 1]], dtype=WIRE_DTYPES[logical_type])
        payload = BlockPayload(("b", "a"), logical_type, block)
        pd.testing.assert_frame_equal(received(payload), received(FramePayload(payload.columns, 3)))

    @pytest.mark.parametrize("rows", [1, 3])
    def test_frame_is_writable(self, rows: int) -> None:
        columns = tuple(Column(name, "integer", np.arange(rows, dtype="i4")) for name in "abc")
        for payload in (
            FramePayload(columns, rows),
            FramePayload((*columns, Column("d", "float", np.ones(rows))), rows),
            BlockPayload(("a", "b", "c"), "integer", np.tile(np.arange(rows, dtype="i4"), (3, 1))),
        ):
            frame = received(payload)
            frame.loc[0, "a"] = 9
            frame["b"].to_numpy(copy=True)[0] = 1
            frame["new"] = frame["a"] * 2
            assert frame["new"].iloc[0] == 18

    def test_frames_of_one_layout_do_not_share_label_attributes(self) -> None:
        payload = FramePayload((Column("a", "double", np.array([1.0])),), 1)
        received(payload).columns.name = "changed by a model"
        assert received(payload).columns.name is None

    def test_frame_may_have_no_rows_or_no_columns(self) -> None:
        assert received(FramePayload((Column("a", "double", np.array([])), Column("s", "string", [])), 0)).shape == (
            0,
            2,
        )
        assert received(FramePayload((), 3)).shape == (3, 0)


class TestArrayInput:
    @pytest.mark.parametrize(
        "array",
        [
            np.arange(6.0).reshape(2, 3),
            np.array([True]),
            np.array(["ab", "ä"]),
            np.array([b"ab"]),
            np.zeros((0, 3), dtype="f4"),
            np.array(5, dtype="i2"),
            np.array(["2024-01-01"], dtype="M8[D]"),
        ],
    )
    def test_array_is_unchanged_and_writable(self, array: np.ndarray) -> None:
        arrived = received(ArrayPayload(array))
        assert arrived.dtype == array.dtype
        np.testing.assert_array_equal(arrived, array)
        assert arrived.flags.writeable

    def test_several_arrays_arrive_by_name(self) -> None:
        arrived = received(ArraysPayload({"x": np.array([1.5]), "y": np.array([[2, 3]])}))
        assert {name: array.tolist() for name, array in arrived.items()} == {"x": [1.5], "y": [[2, 3]]}


class TestJsonInput:
    def test_json_arrives_as_python_values(self) -> None:
        value = {"messages": [{"role": "user", "content": "ä"}], "n": None}
        assert received(JsonPayload(value)) == value


class TestInvalidPayload:
    @pytest.mark.parametrize(
        "payload",
        [
            {"kind": "frame", "rows": 3, "columns": [{"name": "a", "type": "double", "data": [0, 8]}]},
            {"kind": "frame", "rows": 1, "columns": [{"name": "a", "type": "complex", "data": [0, 8]}]},
            {"kind": "frame", "rows": 1, "columns": [{"name": "a", "type": "string", "data": [0, 8]}]},
            {"kind": "array", "dtype": "|O", "shape": [1], "data": [0, 8]},
            {"kind": "array", "dtype": "<f8", "shape": [2], "data": [0, 8]},
            {"kind": "array", "dtype": "<f8", "shape": [1], "data": [8, 8]},
            {"kind": "arrays", "arrays": 5},
        ],
    )
    def test_invalid_payload_raises_protocol_error(self, payload: dict[str, Any]) -> None:
        with pytest.raises(ProtocolError):
            read_input(payload, bytearray(8))
