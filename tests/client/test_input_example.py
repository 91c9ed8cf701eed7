"""The example request of `modelyard deploy`."""

import json

import numpy as np
import pandas as pd
import pytest

from modelyard.client.input_example import request_body
from tests.client.model_folder import write_model


class TestExampleRequest:
    @pytest.mark.parametrize(
        ("example", "input_data"),
        [
            ({"columns": ["a"], "data": [[1]]}, {"columns": ["a"], "data": [[1]]}),
            ({"dataframe_split": {"columns": ["a"], "data": [[1]]}}, {"columns": ["a"], "data": [[1]]}),
            ({"data": [[1, 2]]}, [[1, 2]]),
            ({"inputs": {"a": [1.0]}}, {"a": [1.0]}),
            ([1, 2], [1, 2]),
            ({"question": "why?"}, {"question": "why?"}),
        ],
    )
    def test_every_shape_of_example_goes_under_input_data(self, tmp_path, example, input_data):
        folder = write_model(tmp_path / "m", example=json.dumps(example).encode())
        assert request_body(folder) == {"input_data": input_data}

    def test_params_stay_beside_input_data(self, tmp_path):
        folder = write_model(tmp_path / "m", example=b'{"inputs": [[1]], "params": {"k": 2}}')
        assert request_body(folder) == {"input_data": [[1]], "params": {"k": 2}}

    def test_nan_becomes_null(self, tmp_path):
        folder = write_model(tmp_path / "m", example=b'{"columns": ["a"], "data": [[NaN]]}')
        assert request_body(folder) == {"input_data": {"columns": ["a"], "data": [[None]]}}

    def test_long_example_is_cut_to_the_first_rows(self, tmp_path):
        rows = [[float(n)] for n in range(1000)]
        folder = write_model(tmp_path / "m", example=json.dumps({"columns": ["a"], "data": rows}).encode())
        assert request_body(folder) == {"input_data": {"columns": ["a"], "data": rows[:2]}}

    def test_damaged_example_falls_back_to_the_signature(self, tmp_path):
        folder = write_model(tmp_path / "m", example=b"{")
        assert request_body(folder) == {"input_data": {"columns": ["x", "n"], "data": [[1.0, 1]]}}


@pytest.mark.parametrize(
    ("inputs", "input_data"),
    [
        ('[{"type": "double"}, {"type": "string"}]', [[1.0, "text"]]),
        ('[{"type": "tensor", "tensor-spec": {"dtype": "float32", "shape": [-1, 2]}}]', [[1.0, 1.0]]),
        (
            '[{"type": "tensor", "name": "ids", "tensor-spec": {"dtype": "int64", "shape": [-1]}},'
            ' {"type": "tensor", "name": "words", "tensor-spec": {"dtype": "str", "shape": [-1, 1]}}]',
            {"ids": [1], "words": [["text"]]},
        ),
        (
            '[{"name": "a", "type": "array", "items": {"type": "long"}},'
            ' {"name": "o", "type": "object", "properties": {"p": {"type": "boolean"}}},'
            ' {"name": "m", "type": "map", "values": {"type": "double"}},'
            ' {"name": "d", "type": "datetime"}]',
            {"columns": ["a", "o", "m", "d"], "data": [[[1], {"p": True}, {"key": 1.0}, "2024-01-01T00:00:00"]]},
        ),
    ],
)
def test_model_without_an_example_gets_one_row_from_the_signature(tmp_path, inputs, input_data):
    assert request_body(write_model(tmp_path / "m", inputs=inputs)) == {"input_data": input_data}


def test_model_without_example_and_signature_has_no_example_request(tmp_path):
    assert request_body(write_model(tmp_path / "m", inputs=None)) is None


@pytest.mark.filterwarnings("ignore")  # MLflow warns while it is imported
class TestFolderWrittenByMlflow:
    @pytest.mark.parametrize("rows", [pd.DataFrame({"x": [1.0], "y": [2.0]}), np.array([[1.0, 2.0]])])
    def test_logged_example_is_found(self, tmp_path, rows):
        import mlflow.sklearn
        from mlflow.models import infer_signature
        from sklearn.linear_model import LinearRegression

        model = LinearRegression().fit(rows, [1.0])
        mlflow.sklearn.save_model(
            model,
            tmp_path / "m",
            signature=infer_signature(rows),
            input_example=rows,
            pip_requirements=["scikit-learn"],
        )
        expected = [[1.0, 2.0]] if isinstance(rows, np.ndarray) else {"columns": ["x", "y"], "data": [[1.0, 2.0]]}
        assert request_body(tmp_path / "m") == {"input_data": expected}
