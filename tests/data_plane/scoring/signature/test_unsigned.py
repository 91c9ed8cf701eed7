"""Without a signature the body's own shape decides."""

from typing import Any

import numpy as np
import pytest

from data_plane.scoring.payload.values import ArrayPayload, ArraysPayload, FramePayload, JsonPayload
from tests.data_plane.scoring.signature.signatures import compiled, violations

UNSIGNED = compiled()


def payload(input_data: Any) -> Any:
    return UNSIGNED.enforce(input_data, None)[0]


def test_columns_and_data_are_a_frame_of_inferred_types() -> None:
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


def test_a_list_is_an_array() -> None:
    array = payload([[1, 2], [3, 4.5]])
    assert isinstance(array, ArrayPayload)
    assert array.array.tolist() == [[1, 2], [3, 4.5]]
    assert payload(["a", "b"]).array.tolist() == ["a", "b"]


@pytest.mark.parametrize("value", [[1, "a"], [[1, 2], [3]], [{"a": 1}], [None]])
def test_a_list_that_numpy_would_change_stays_json(value: Any) -> None:
    assert payload(value) == JsonPayload(value)


def test_another_dict_is_named_tensors() -> None:
    arrays = payload({"x": [[1.0, 2.0]], "y": [1]})
    assert isinstance(arrays, ArraysPayload)
    assert arrays.arrays["x"].dtype == np.float64


@pytest.mark.parametrize("value", [{"prompt": "hello"}, {"x": [1], "y": 2}, {}, "text", 5])
def test_what_has_no_tensor_form_stays_json(value: Any) -> None:
    assert payload(value) == JsonPayload(value)


def test_null_is_no_data() -> None:
    assert violations(UNSIGNED, None)


def test_a_row_of_another_length_is_named() -> None:
    (violation,) = violations(UNSIGNED, {"columns": ["a", "b"], "data": [[1, 2], [3]]})
    assert violation.row == 1


def test_a_signature_of_params_only_leaves_the_body_to_itself() -> None:
    signature = compiled(params=[{"name": "k", "type": "long", "default": 5, "shape": None}])
    made, params, _ = signature.enforce([[1]], None)
    assert isinstance(made, ArrayPayload)
    assert params == {"k": 5}


@pytest.mark.parametrize("value", [[{"a": 1}], ["x"], {"messages": []}, None])
def test_a_type_hint_model_takes_the_raw_value(value: Any) -> None:
    signature = compiled([{"type": "double", "name": "a"}], type_hints=True)
    assert signature.enforce(value, None) == (JsonPayload(value), None, ())
