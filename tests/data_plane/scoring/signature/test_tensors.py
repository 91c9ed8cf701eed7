"""Nested lists become arrays of the declared dtype and shape."""

from typing import Any

import numpy as np
import pytest

from data_plane.scoring.payload.values import ArrayPayload, ArraysPayload
from tests.data_plane.scoring.signature.signatures import compiled, tensor, violations


def array(spec: dict[str, Any], value: Any) -> Any:
    payload, *_ = compiled([spec]).enforce(value, None)
    assert isinstance(payload, ArrayPayload)
    return payload.array


class TestOneTensor:
    @pytest.mark.parametrize(
        "dtype",
        ["float64", "float32", "float16", "int64", "int32", "int16", "int8", "uint8", "uint16", "uint32", "uint64"],
    )
    def test_nested_lists_become_an_array_of_the_declared_dtype_and_shape(self, dtype: str) -> None:
        result = array(tensor(dtype, -1, 3), [[1, 2, 3], [4, 5, 6.0]])
        assert result.dtype == np.dtype(dtype)
        assert result.tolist() == [[1, 2, 3], [4, 5, 6]]

    def test_booleans_texts_and_datetimes_become_arrays(self) -> None:
        assert array(tensor("bool", -1), [True, "false"]).tolist() == [True, False]
        assert array(tensor("str", -1), ["a", "longer"]).tolist() == ["a", "longer"]
        datetimes = array(tensor("datetime64[ns]", -1), ["2024-05-31T12:00:00Z"])
        assert datetimes.tolist() == np.array(["2024-05-31T12:00:00"], "M8[ns]").tolist()

    @pytest.mark.parametrize("value", [[{}], [{}, {}], {"columns": [], "data": [[]]}])
    def test_a_frame_without_columns_is_refused(self, value: Any) -> None:
        assert violations(compiled([tensor("bool", -1)]), value)

    def test_null_is_nan_in_a_float_tensor_and_refused_in_an_integer_tensor(self) -> None:
        assert np.isnan(array(tensor("float64", -1), [None, 1.0])).tolist() == [True, False]
        assert violations(compiled([tensor("int64", -1)]), [None])

    @pytest.mark.parametrize(
        ("dtype", "value"),
        [("int64", 3.7), ("uint8", 256), ("uint8", -1), ("float32", 1e39), ("float16", 65536), ("int64", True)],
    )
    def test_value_outside_the_dtype_is_refused(self, dtype: str, value: Any) -> None:
        (violation,) = violations(compiled([tensor(dtype, -1, 2)]), [[1, value]])
        assert violation.row == 1

    @pytest.mark.parametrize(
        "value", [[1, 2, 3], [[1, 2]], [[1, 2, 3], [4]], [[[1, 2, 3]]], [], 5, None, {"a": 1}, [[], []]]
    )
    def test_wrong_shape_is_refused(self, value: Any) -> None:
        (violation,) = violations(compiled([tensor("float64", 2, 3)]), value)
        assert "shape (2, 3)" in violation.expected

    def test_dimension_of_minus_one_accepts_any_size(self) -> None:
        assert array(tensor("float64", -1, -1, 2), [[[1, 2]], [[3, 4]], [[5, 6]]]).shape == (3, 1, 2)
        assert array(tensor("float64", -1, 3), []).shape == (0, 3)

    def test_object_tensor_accepts_any_list_unchanged(self) -> None:
        held = array(tensor("object", -1), [1, "a", [2, 3]])
        assert (held.dtype, held.tolist()) == (np.dtype(object), [1, "a", [2, 3]])

    @pytest.mark.parametrize(
        "value",
        [
            {"columns": ["a", "b"], "data": [[1, 2], [3, 4]]},
            {"data": [[1, 2], [3, 4]]},
            [{"a": 1, "b": 2}, {"a": 3, "b": 4}],
        ],
    )
    def test_rows_of_a_frame_are_the_rows_of_the_tensor(self, value: Any) -> None:
        assert array(tensor("float64", -1, 2), value).tolist() == [[1, 2], [3, 4]]

    def test_single_column_of_flat_lists_is_nested_by_the_declared_shape(self) -> None:
        flat = {"columns": ["image"], "data": [[[1, 2, 3, 4]], [[5, 6, 7, 8]]]}
        assert array(tensor("uint8", -1, 2, 2), flat).tolist() == [[[1, 2], [3, 4]], [[5, 6], [7, 8]]]
        assert array(tensor("uint8", -1, 4), flat).tolist() == [[1, 2, 3, 4], [5, 6, 7, 8]]
        assert array(tensor("uint8", -1, 1), [{"n": 1}, {"n": 2}]).tolist() == [[1], [2]]


class TestNamedTensors:
    SIGNATURE = compiled([tensor("float32", -1, 2, name="x"), tensor("int64", -1, name="mask")])

    def test_tensors_match_by_name_and_undeclared_tensors_are_dropped(self) -> None:
        payload, *_ = self.SIGNATURE.enforce({"mask": [1], "x": [[1, 2]], "z": "anything"}, None)
        assert isinstance(payload, ArraysPayload)
        assert {name: (value.dtype.name, value.tolist()) for name, value in payload.arrays.items()} == {
            "x": ("float32", [[1.0, 2.0]]),
            "mask": ("int64", [1]),
        }

    def test_wrong_value_and_missing_tensor_are_both_reported(self) -> None:
        found = violations(self.SIGNATURE, {"x": [[1, "a"]]})
        assert [(violation.column, violation.got) for violation in found] == [
            ("x", 'the text "a"'),
            ("mask", "'x'"),
        ]

    def test_list_for_two_named_tensors_is_refused(self) -> None:
        (violation,) = violations(self.SIGNATURE, [[1, 2]])
        assert violation.expected == "an object with the tensors 'x', 'mask'"

    @pytest.mark.parametrize(
        "value",
        [{"columns": ["mask", "x"], "data": [[1, [1, 2]]]}, [{"x": [1, 2], "mask": 1}]],
        ids=["split", "records"],
    )
    def test_columns_of_a_frame_are_the_named_tensors(self, value: Any) -> None:
        payload, *_ = self.SIGNATURE.enforce(value, None)
        assert isinstance(payload, ArraysPayload)
        assert {name: held.tolist() for name, held in payload.arrays.items()} == {"x": [[1, 2]], "mask": [1]}

    def test_list_is_the_value_of_a_single_named_tensor(self) -> None:
        payload, *_ = compiled([tensor("int64", -1, name="mask")]).enforce([1, 2], None)
        assert isinstance(payload, ArraysPayload)
        assert payload.arrays["mask"].tolist() == [1, 2]
