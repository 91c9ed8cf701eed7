"""Columns of CSV, Parquet and Open Inference follow the same rules as JSON."""

import math
from typing import Any

import numpy as np
import pytest

from data_plane.scoring.payload.values import ArrayPayload, ArraysPayload, BlockPayload, FramePayload, JsonPayload
from data_plane.scoring.signature import CompiledSignature, SignatureViolations, Table, TypedColumn, Violation
from tests.data_plane.scoring.signature.signatures import columns, compiled, tensor, values


def table(*, is_text: bool = False, **given: Any) -> Table:
    typed = [column if isinstance(column, TypedColumn) else TypedColumn(column) for column in given.values()]
    return Table(tuple(given), tuple(typed), len(typed[0].values), is_text)


def held(signature: CompiledSignature, given: Table) -> dict[Any, list[Any]]:
    payload = signature.enforce_table(given, None).payload
    assert isinstance(payload, FramePayload | BlockPayload)
    return {column.name: values(column) for column in payload.columns}


def refused(signature: CompiledSignature, given: Table) -> tuple[Violation, ...]:
    with pytest.raises(SignatureViolations) as error:
        signature.enforce_table(given, None)
    return error.value.violations


class TestTypedArrays:
    @pytest.mark.parametrize(
        ("kind", "array", "dtype"),
        [
            ("double", np.array([1, 2**53]), "float64"),
            ("double", np.array([1.5, np.inf], dtype="f4"), "float64"),
            ("float", np.array([0.1, 2.0]), "float32"),
            ("long", np.array([1.0, -2.0]), "int64"),
            ("long", np.array([255], dtype="u1"), "int64"),
            ("integer", np.array([2**31 - 1]), "int32"),
            ("boolean", np.array([True]), "bool"),
            ("datetime", np.array(["2024-05-31"], dtype="M8[us]"), "datetime64[ns]"),
        ],
    )
    def test_array_is_converted_when_the_type_holds_all_values(self, kind: str, array: Any, dtype: str) -> None:
        payload = columns(a=kind).enforce_table(table(a=array), None).payload
        assert isinstance(payload, FramePayload | BlockPayload)
        assert payload.columns[0].values.dtype == dtype  # type: ignore[union-attr]
        assert np.array_equal(payload.columns[0].values, array.astype(dtype))

    @pytest.mark.parametrize(
        ("kind", "array"),
        [
            ("long", np.array([0, 1.5])),
            ("long", np.array([0.0, 2.0**63])),
            ("long", np.array([0, 2**63], dtype="u8")),
            ("integer", np.array([0, 2**31])),
            ("double", np.array([0, 2**53 + 1])),
            ("float", np.array([0, 1e39])),
            ("boolean", np.array([True, 2], dtype=object)),
            ("long", [1, True]),
            ("string", np.array([1, 2])),
            ("datetime", np.array([0, 10**18])),
            ("datetime", np.array(["2024-05-31", "3000-01-01"], dtype="M8[us]")),
        ],
    )
    def test_array_with_a_value_outside_the_declared_type_is_refused(self, kind: str, array: Any) -> None:
        given = array.tolist() if isinstance(array, np.ndarray) and array.dtype.hasobject else array
        assert refused(columns(a=kind), table(a=given))[-1].row == 1

    def test_array_may_have_missing_values_where_the_column_is_optional(self) -> None:
        missing = np.array([False, True])
        assert held(columns(a="long?"), table(a=TypedColumn(np.array([1, 0]), missing))) == {"a": [1, None]}
        assert held(columns(a="long?"), table(a=np.array([1.0, np.nan]))) == {"a": [1, None]}
        assert held(columns(a="datetime?"), table(a=np.array(["NaT"], dtype="M8[s]"))) == {"a": [None]}
        assert math.isnan(held(columns(a="double"), table(a=TypedColumn(np.array([1, 0]), missing)))["a"][1])
        assert refused(columns(a="long"), table(a=np.array([1.0, np.nan])))[0].got == "null"

    def test_arrays_of_texts_and_bytes_are_converted_like_json(self) -> None:
        signature = columns(n="long", s="string", b="binary")
        given = table(n=np.array(["63", "64.0"]), s=[b"\xc3\xa4", "x"], b=[b"\xff", "AA=="])
        assert held(signature, given) == {"n": [63, 64], "s": ["ä", "x"], "b": [b"\xff", b"\0"]}
        assert refused(columns(s="string"), table(s=[b"\xff"]))[0].got == "1 byte"

    def test_nested_values_in_arrays_are_checked_to_the_leaves(self) -> None:
        array = {"type": "array", "items": {"type": "double"}}
        assert held(columns(a=array), table(a=np.array([[1, 2]]))) == {"a": [[1.0, 2.0]]}
        assert refused(columns(a=array), table(a=[[1], ["x"]]))[0].column == "a[0]"


class TestText:
    def test_csv_text_is_converted_by_the_rules_of_json(self) -> None:
        longs = {"type": "map", "values": {"type": "long"}}
        signature = columns(n="long", d="double", b="boolean", s="string", t="datetime", x="binary", m=longs)
        texts = ["63.0", "1e3", "TRUE", "63", "2024-05-31T02:00:00+02:00", "AA==", '{"k": 1}']
        given = table(is_text=True, **{name: [text] for name, text in zip("ndbstxm", texts, strict=True)})
        assert held(signature, given) == {
            "n": [63],
            "d": [1000.0],
            "b": [True],
            "s": ["63"],
            "t": [np.datetime64("2024-05-31", "ns")],
            "x": [b"\0"],
            "m": [{"k": 1}],
        }

    @pytest.mark.parametrize(
        ("kind", "text"),
        [("long", "1.5"), ("long", "1e-400"), ("long", "0.99999999999999999999"), ("double", "1,2"), ("double", "NaN"),
         ("boolean", "yes"), ("string", None), ("long", None), ("double", "18446744073709551617"), ("long", "[1")],
    )  # fmt: skip
    def test_csv_text_is_refused_where_json_text_is(self, kind: str, text: str | None) -> None:
        assert refused(columns(a=kind), table(is_text=True, a=["1" if kind != "boolean" else "true", text]))[0].row == 1

    def test_missing_csv_value_is_null_or_nan(self) -> None:
        assert held(columns(a="long?"), table(is_text=True, a=[None, "1"])) == {"a": [None, 1]}
        assert math.isnan(held(columns(a="double"), table(is_text=True, a=[None]))["a"][0])

    @pytest.mark.parametrize(
        ("texts", "logical_type", "expected"),
        [
            (["1", " -2", "+3"], "long", [1, -2, 3]),
            (["1", None], "double", [1.0, math.nan]),
            (["1.5", "1e3", "inf"], "double", [1.5, 1000.0, math.inf]),
            (["True", "FALSE", "false"], "boolean", [True, False, False]),
            (["True", None], "boolean", [True, None]),
            (["1", "x"], "string", ["1", "x"]),
            (["1_0"], "string", ["1_0"]),
            ([str(2**63)], "double", [2.0**63]),
        ],
    )
    def test_type_of_undeclared_csv_text_is_inferred_as_by_pandas(
        self, texts: Any, logical_type: str, expected: Any
    ) -> None:
        payload = compiled().enforce_table(table(is_text=True, a=texts), None).payload
        assert isinstance(payload, FramePayload | BlockPayload)
        (column,) = payload.columns
        assert column.type == logical_type
        assert str(values(column)) == str(expected)


class TestColumns:
    def test_columns_match_by_name_and_extra_columns_are_listed(self) -> None:
        given = table(z=[1], b=["x"], a=[1])
        enforced = columns(a="long", b="string").enforce_table(given, None)
        assert enforced.extra_columns == ("z",)
        assert held(columns(a="long", b="string"), given) == {"a": [1], "b": ["x"]}

    def test_every_missing_required_column_of_a_table_is_a_violation(self) -> None:
        found = refused(columns(a="long", b="string", c="long?"), table(z=[1]))
        assert [violation.column for violation in found] == ["a", "b"]

    def test_columns_without_names_match_by_position(self) -> None:
        assert held(columns(a="long", b="long"), Table(None, (TypedColumn([1]), TypedColumn([2])), 1)) == {
            "a": [1],
            "b": [2],
        }
        assert refused(columns(a="long"), Table(None, (TypedColumn([1]), TypedColumn([2])), 1))


class TestTensors:
    def test_named_tensors_with_one_value_per_row_become_columns(self) -> None:
        arrays = {"b": np.array([[1], [2]]), "a": np.array([0.5, 1.5], dtype="f4"), "z": np.array([1, 1])}
        enforced = columns(a="double", b="long").enforce_tensors(arrays, None)
        assert isinstance(enforced.payload, FramePayload | BlockPayload)
        assert [values(column) for column in enforced.payload.columns] == [[0.5, 1.5], [1, 2]]
        assert enforced.extra_columns == ("z",)

    def test_single_matrix_with_undeclared_name_is_the_whole_table(self) -> None:
        enforced = columns(a="double", b="double").enforce_tensors({"predict": np.array([[1, 2], [3, 4]])}, None)
        assert isinstance(enforced.payload, FramePayload | BlockPayload)
        assert [values(column) for column in enforced.payload.columns] == [[1, 3], [2, 4]]

    def test_tensor_is_converted_to_the_declared_dtype(self) -> None:
        enforced = compiled([tensor("float32", -1, 2)]).enforce_tensors({"any": np.array([[1, 2]])}, None)
        assert isinstance(enforced.payload, ArrayPayload)
        assert enforced.payload.array.dtype == np.float32

    def test_tensors_match_by_name_and_extra_tensors_are_listed(self) -> None:
        signature = compiled([tensor("int64", -1, name="x"), tensor("str", -1, name="y")])
        enforced = signature.enforce_tensors(
            {"y": np.array([b"a"], dtype=object), "x": np.array([1.0]), "z": np.array([])}, None
        )
        assert isinstance(enforced.payload, ArraysPayload)
        assert {name: array.tolist() for name, array in enforced.payload.arrays.items()} == {"x": [1], "y": ["a"]}
        assert enforced.extra_columns == ("z",)

    @pytest.mark.parametrize("array", [np.array([1.5]), np.array([[1, 2, 3]]), np.array([[1.5, 2]]), np.array(1)])
    def test_tensor_of_wrong_shape_or_with_fractions_for_int64_is_refused(self, array: Any) -> None:
        with pytest.raises(SignatureViolations):
            compiled([tensor("int64", -1, 2)]).enforce_tensors({"x": array}, None)

    def test_tensor_for_a_type_hint_model_is_sent_as_a_list(self) -> None:
        assert compiled(type_hints=True).enforce_tensors({"x": np.array([1, 2])}, None).payload == JsonPayload([1, 2])
