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
    def test_it_has_the_declared_dtype_and_shape(self, dtype: str) -> None:
        result = array(tensor(dtype, -1, 3), [[1, 2, 3], [4, 5, 6.0]])
        assert result.dtype == np.dtype(dtype)
        assert result.tolist() == [[1, 2, 3], [4, 5, 6]]

    def test_booleans_texts_and_datetimes_have_arrays_too(self) -> None:
        assert array(tensor("bool", -1), [True, "false"]).tolist() == [True, False]
        assert array(tensor("str", -1), ["a", "longer"]).tolist() == ["a", "longer"]
        moments = array(tensor("datetime64[ns]", -1), ["2024-05-31T12:00:00Z"])
        assert moments.tolist() == np.array(["2024-05-31T12:00:00"], "M8[ns]").tolist()

    @pytest.mark.parametrize("value", [[{}], [{}, {}], {"columns": [], "data": [[]]}])
    def test_a_frame_without_columns_is_refused(self, value: Any) -> None:
        assert violations(compiled([tensor("bool", -1)]), value)

    def test_null_is_nan_in_a_float_and_refused_elsewhere(self) -> None:
        assert np.isnan(array(tensor("float64", -1), [None, 1.0])).tolist() == [True, False]
        assert violations(compiled([tensor("int64", -1)]), [None])

    @pytest.mark.parametrize(
        ("dtype", "value"),
        [("int64", 3.7), ("uint8", 256), ("uint8", -1), ("float32", 1e39), ("float16", 65536), ("int64", True)],
    )
    def test_what_the_dtype_does_not_hold_is_refused(self, dtype: str, value: Any) -> None:
        (violation,) = violations(compiled([tensor(dtype, -1, 2)]), [[1, value]])
        assert violation.row == 1

    @pytest.mark.parametrize(
        "value", [[1, 2, 3], [[1, 2]], [[1, 2, 3], [4]], [[[1, 2, 3]]], [], 5, None, {"a": 1}, [[], []]]
    )
    def test_another_shape_is_refused(self, value: Any) -> None:
        (violation,) = violations(compiled([tensor("float64", 2, 3)]), value)
        assert "shape (2, 3)" in violation.expected

    def test_any_size_fits_minus_one(self) -> None:
        assert array(tensor("float64", -1, -1, 2), [[[1, 2]], [[3, 4]], [[5, 6]]]).shape == (3, 1, 2)
        assert array(tensor("float64", -1, 3), []).shape == (0, 3)

    def test_objects_pass_as_they_are(self) -> None:
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
    def test_a_frame_is_one_of_rows(self, value: Any) -> None:
        assert array(tensor("float64", -1, 2), value).tolist() == [[1, 2], [3, 4]]

    def test_a_column_of_lists_is_one_of_parts(self) -> None:
        flat = {"columns": ["image"], "data": [[[1, 2, 3, 4]], [[5, 6, 7, 8]]]}
        assert array(tensor("uint8", -1, 2, 2), flat).tolist() == [[[1, 2], [3, 4]], [[5, 6], [7, 8]]]
        assert array(tensor("uint8", -1, 4), flat).tolist() == [[1, 2, 3, 4], [5, 6, 7, 8]]
        assert array(tensor("uint8", -1, 1), [{"n": 1}, {"n": 2}]).tolist() == [[1], [2]]


class TestNamedTensors:
    SIGNATURE = compiled([tensor("float32", -1, 2, name="x"), tensor("int64", -1, name="mask")])

    def test_each_is_found_under_its_name_and_others_are_ignored(self) -> None:
        payload, *_ = self.SIGNATURE.enforce({"mask": [1], "x": [[1, 2]], "z": "anything"}, None)
        assert isinstance(payload, ArraysPayload)
        assert {name: (value.dtype.name, value.tolist()) for name, value in payload.arrays.items()} == {
            "x": ("float32", [[1.0, 2.0]]),
            "mask": ("int64", [1]),
        }

    def test_all_that_is_wrong_is_named_at_once(self) -> None:
        found = violations(self.SIGNATURE, {"x": [[1, "a"]]})
        assert [(violation.column, violation.got) for violation in found] == [
            ("x", 'the text "a"'),
            ("mask", "'x'"),
        ]

    def test_a_list_has_no_names(self) -> None:
        (violation,) = violations(self.SIGNATURE, [[1, 2]])
        assert violation.expected == "an object with the tensors 'x', 'mask'"

    @pytest.mark.parametrize(
        "value",
        [{"columns": ["mask", "x"], "data": [[1, [1, 2]]]}, [{"x": [1, 2], "mask": 1}]],
        ids=["split", "records"],
    )
    def test_a_frame_has_them_as_columns(self, value: Any) -> None:
        payload, *_ = self.SIGNATURE.enforce(value, None)
        assert isinstance(payload, ArraysPayload)
        assert {name: held.tolist() for name, held in payload.arrays.items()} == {"x": [[1, 2]], "mask": [1]}

    def test_a_list_is_the_only_one(self) -> None:
        payload, *_ = compiled([tensor("int64", -1, name="mask")]).enforce([1, 2], None)
        assert isinstance(payload, ArraysPayload)
        assert payload.arrays["mask"].tolist() == [1, 2]
