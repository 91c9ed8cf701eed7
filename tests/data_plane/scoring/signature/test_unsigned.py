"""Without a signature the shape of the body decides the payload."""

from typing import Any

import numpy as np
import pytest

from data_plane.scoring.payload.values import ArrayPayload, ArraysPayload, FramePayload, JsonPayload
from tests.data_plane.scoring.signature.signatures import compiled, violations

UNSIGNED = compiled()


def payload(input_data: Any) -> Any:
    return UNSIGNED.enforce(input_data, None)[0]


def test_dict_with_columns_and_data_is_a_frame_of_inferred_types() -> None:
    names = ["i", "f", "b", "s", "mixed", "none"]
    rows = [[1, 1.5, True, "x", 1, None], [2, None, False, "y", "z", None]]
    frame = payload({"columns": names, "data": rows})
    assert isinstance(frame, FramePayload)
    assert [(column.name, column.type) for column in frame.columns] == [
        ("i", "long"),
        ("f", "double"),
        ("b", "boolean"),
        ("s", "string"),
        ("mixed", "json"),
        ("none", "json"),
    ]


def test_list_is_an_array() -> None:
    array = payload([[1, 2], [3, 4.5]])
    assert isinstance(array, ArrayPayload)
    assert array.array.tolist() == [[1, 2], [3, 4.5]]
    assert payload(["a", "b"]).array.tolist() == ["a", "b"]


@pytest.mark.parametrize("value", [[1, "a"], [[1, 2], [3]], [{"a": 1}], [None]])
def test_list_with_values_that_numpy_would_change_stays_json(value: Any) -> None:
    assert payload(value) == JsonPayload(value)


def test_dict_of_lists_is_named_tensors() -> None:
    arrays = payload({"x": [[1.0, 2.0]], "y": [1]})
    assert isinstance(arrays, ArraysPayload)
    assert arrays.arrays["x"].dtype == np.float64


@pytest.mark.parametrize("value", [{"prompt": "hello"}, {"x": [1], "y": 2}, {}, "text", 5])
def test_value_without_a_tensor_form_stays_json(value: Any) -> None:
    assert payload(value) == JsonPayload(value)


def test_null_body_is_refused() -> None:
    assert violations(UNSIGNED, None)


def test_row_of_wrong_length_is_a_violation_with_the_row_number() -> None:
    (violation,) = violations(UNSIGNED, {"columns": ["a", "b"], "data": [[1, 2], [3]]})
    assert violation.row == 1


def test_signature_of_params_only_does_not_constrain_the_body() -> None:
    signature = compiled(params=[{"name": "k", "type": "long", "default": 5, "shape": None}])
    made, params, *_ = signature.enforce([[1]], None)
    assert isinstance(made, ArrayPayload)
    assert params == {"k": 5}


@pytest.mark.parametrize("value", [[{"a": 1}], ["x"], {"messages": []}, None])
def test_type_hint_model_receives_the_json_value_unchanged(value: Any) -> None:
    signature = compiled([{"type": "double", "name": "a"}], type_hints=True)
    assert signature.enforce(value, None)[:2] == (JsonPayload(value), None)
