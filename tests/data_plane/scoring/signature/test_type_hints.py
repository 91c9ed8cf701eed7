"""Tables for models with type hints: one column gives its values, several columns give records."""

from typing import Any

import numpy as np
import pytest

from data_plane.scoring.payload.values import JsonPayload
from data_plane.scoring.signature import CompiledSignature, SignatureViolations, Table, TypedColumn
from data_plane.scoring.wire.encode import encode_score
from data_plane.worker.frames import FrameReader, unpack_meta
from data_plane.worker.inputs import read_input
from tests.data_plane.scoring.signature.signatures import compiled

POINT = {
    "type": "object",
    "properties": {
        "x": {"type": "double", "required": True},
        "label": {"type": "string", "required": True},
        "size": {"type": "long", "required": False},
    },
}
COUNTS = {"type": "map", "values": {"type": "long"}}
LISTS = {"type": "array", "items": {"type": "long"}}


def hinted(item: Any) -> CompiledSignature:
    """`item` is the type of the list's items in the MLmodel file."""
    entry = item if isinstance(item, dict) else {"type": item}
    return compiled([{**entry, "required": True}], type_hints=True)


def csv(**columns: list[str | None]) -> Table:
    typed = tuple(TypedColumn(list(column)) for column in columns.values())
    return Table(tuple(columns), typed, len(typed[0].values), is_text=True)


def parquet(**columns: Any) -> Table:
    typed = tuple(map(TypedColumn, columns.values()))
    return Table(tuple(columns), typed, len(typed[0].values))


def given(signature: CompiledSignature, table: Table) -> Any:
    payload = signature.enforce_table(table, None).payload
    assert isinstance(payload, JsonPayload)
    return payload.value


@pytest.mark.parametrize(
    ("item", "texts", "expected"),
    [
        ("string", ["hello", "5", None], ["hello", "5", None]),
        ("long", ["1", "-2", None], [1, -2, None]),
        ("double", ["1", "2.5", None], [1.0, 2.5, None]),
        ("boolean", ["True", "false"], [True, False]),
        ("datetime", ["2024-05-31"], ["2024-05-31"]),
        ("binary", ["aGk="], ["aGk="]),
        ("any", ["1", "2"], [1, 2]),
        (LISTS, ["[1, 2]", "[]"], [[1, 2], []]),
        (COUNTS, ['{"a": 1}', "{}"], [{"a": 1}, {}]),
        (POINT, ['{"x": 0.5, "label": "a"}'], [{"x": 0.5, "label": "a"}]),
    ],
)
def test_one_csv_column_gives_values_of_the_hinted_type(item: Any, texts: list[Any], expected: list[Any]) -> None:
    values = given(hinted(item), csv(column=texts))
    assert values == expected
    assert list(map(type, values)) == list(map(type, expected))


def test_several_csv_columns_give_records_with_the_types_of_the_properties() -> None:
    table = csv(x=["0.5", "1"], label=["1", "b"], size=["3", None], more=["7", "8"])
    assert given(hinted(POINT), table) == [
        {"x": 0.5, "label": "1", "size": 3, "more": 7},
        {"x": 1.0, "label": "b", "size": None, "more": 8},
    ]
    assert given(hinted(COUNTS), csv(a=["1", "2"], b=["3", "4"])) == [{"a": 1, "b": 3}, {"a": 2, "b": 4}]
    assert given(hinted("any"), csv(a=["1", "2"], b=["x", None])) == [{"a": 1, "b": "x"}, {"a": 2, "b": None}]


def test_only_column_with_the_name_of_a_property_is_a_part_of_each_record() -> None:
    label = {"type": "object", "properties": {"label": {"type": "string", "required": True}}}
    assert given(hinted(label), csv(label=["a", "b"])) == [{"label": "a"}, {"label": "b"}]
    assert given(hinted(COUNTS), csv(a=["1", "2"])) == [{"a": 1}, {"a": 2}]


@pytest.mark.parametrize(
    ("item", "column", "expected"),
    [
        ("long", np.array([1, 2], dtype="int32"), [1, 2]),
        ("double", np.array([1, 2]), [1.0, 2.0]),
        ("double", np.array([1.5, np.nan]), [1.5, None]),
        ("boolean", np.array([True, False]), [True, False]),
        ("string", ["a", None], ["a", None]),
        ("any", np.array([1, 2]), [1, 2]),
        (LISTS, [[1], []], [[1], []]),
        (POINT, [{"x": 0.5, "label": "a"}], [{"x": 0.5, "label": "a"}]),
    ],
)
def test_one_typed_column_gives_python_values(item: Any, column: Any, expected: list[Any]) -> None:
    values = given(hinted(item), parquet(column=column))
    assert values == expected
    assert list(map(type, values)) == list(map(type, expected))


def test_bytes_and_datetimes_of_a_typed_column_reach_the_worker_as_such() -> None:
    for item, column, kind in (
        ("binary", [b"\x00\xff"], bytes),
        ("datetime", np.array(["2024-05-31T12:30"], dtype="datetime64[us]"), "Timestamp"),
    ):
        payload = hinted(item).enforce_table(parquet(column=column), None).payload
        (frame,) = FrameReader().feed(b"".join(encode_score(payload, request_id=1)))
        (value,) = read_input(unpack_meta(frame.meta)["payload"], frame.body)
        assert type(value) is kind or type(value).__name__ == kind


def test_frame_in_split_orientation_is_a_table() -> None:
    signature = hinted(POINT)
    split = {"columns": ["x", "label"], "data": [[0.5, "a"]]}
    assert signature.enforce(split, None).payload == JsonPayload([{"x": 0.5, "label": "a"}])


@pytest.mark.parametrize(
    ("item", "table", "message"),
    [
        ("string", csv(a=["x"], b=["y"]), "one column of string values, got 2 columns"),
        ("long", csv(n=["1", "x"]), "column 'n', row 1: expected long"),
        (POINT, csv(x=["much"], label=["a"]), "column 'x', row 0: expected double"),
        (LISTS, csv(a=["[" * 300 + "]" * 300]), "nested at most 200 deep"),
    ],
)
def test_table_that_no_hint_takes_is_refused_with_the_place(item: Any, table: Table, message: str) -> None:
    with pytest.raises(SignatureViolations, match=message.replace("(", "\\(")):
        given(hinted(item), table)
