"""Frequent mistakes in serving MLflow models, each as a test through HTTP.

The models that must not affect other requests (results by position, 200,000 outputs for one row, an exit on one row)
need a batch: `TestOtherRequests` in test_batching.py.
"""

import json
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import mlflow.pyfunc
import mlflow.sklearn
import numpy as np
import pandas as pd
import pytest
from mlflow.models import ModelSignature
from mlflow.models.utils import _enforce_schema
from mlflow.types import ColSpec, DataType, ParamSchema, ParamSpec, Schema
from mlflow.types.schema import Array, Map, Object, Property
from sklearn.linear_model import LogisticRegression

from modelyard.core.domain.routing import DeploymentRoute
from tests.data_plane.gateway.gateway_process import DOUBLES, GatewayProcess, Reply
from tests.data_plane.gateway.logged_models import logged

# Describes the input, down to the types.
WITNESS = """
    import numpy, pandas

    def init():
        pass

    def run(input_data, params=None):
        said = {"params": {name: repr(value) for name, value in (params or {}).items()}}
        if isinstance(input_data, pandas.DataFrame):
            rows = json_values(input_data.to_dict("records"))
            return {**said, "rows": rows, "dtypes": [str(dtype) for dtype in input_data.dtypes]}
        if isinstance(input_data, numpy.ndarray):
            return {**said, "array": input_data.tolist(), "dtype": str(input_data.dtype)}
        return {**said, "value": input_data, "kind": type(input_data).__name__}

    def json_values(value):
        if isinstance(value, dict):
            return {name: json_values(each) for name, each in value.items()}
        return list(map(json_values, value)) if isinstance(value, (list, numpy.ndarray)) else value
"""
# A script of the user's own, whose run knows no params.
WITHOUT_PARAMS = """
    def init():
        pass

    def run(input_data):
        return len(input_data)
"""
MESSAGE = Object([Property("role", DataType.string), Property("content", DataType.string)])
SCHEMAS = {
    "messages": Schema([ColSpec(Array(MESSAGE), "messages")]),
    "message": Schema([ColSpec(MESSAGE, "message")]),
    "scores": Schema([ColSpec(Map(DataType.double), "scores")]),
    "messages-and-user": Schema([ColSpec(Array(MESSAGE), "messages"), ColSpec(DataType.string, "user")]),
}
TREE = Object([Property("depth", DataType.long), Property("label", DataType.string, required=False)])
PARAMS = ParamSchema(
    [
        ParamSpec("count", DataType.long, 5),
        ParamSpec("factor", DataType.double, 0.5),
        ParamSpec("stop", DataType.string, ["a"], (-1,)),
        ParamSpec("since", DataType.datetime, np.datetime64("2024-05-31T12:30:00")),
        ParamSpec("tree", TREE, {"depth": 3}),
    ]
)
DEFAULTS = {
    "count": "5",
    "factor": "0.5",
    "stop": "['a']",
    "since": "datetime.datetime(2024, 5, 31, 12, 30)",
    "tree": "{'depth': 3}",
}
FLOAT32 = json.dumps([{"name": "x", "type": "tensor", "tensor-spec": {"dtype": "float32", "shape": [-1, 2]}}])
WINES = pd.DataFrame({"alcohol": [9.0, 14.0, 10.0, 13.0], "acidity": [0.9, 0.2, 0.7, 0.1]})


class Counting(mlflow.pyfunc.PythonModel):
    def predict(self, model_input: list[dict[str, int]]) -> list[int]:
        return [sum(entry.values()) for entry in model_input]


def fitted() -> LogisticRegression:
    """Return a model trained on an array: scikit-learn has no names to compare, and takes columns by position."""
    return LogisticRegression().fit(WINES.to_numpy(), [0, 1, 0, 1])


def save_by_position(folder: Path) -> None:
    """Save a model whose predict_proba takes no params, although the signature has a param."""
    inputs = Schema([ColSpec("double", name) for name in WINES])
    mlflow.sklearn.save_model(
        fitted(),
        folder,
        signature=ModelSignature(inputs=inputs, params=ParamSchema([ParamSpec("count", DataType.long, 5)])),
        pyfunc_predict_fn="predict_proba",
        serialization_format="cloudpickle",
        pip_requirements=["scikit-learn"],
    )


def save_counting(folder: Path) -> None:
    mlflow.pyfunc.save_model(folder, python_model=Counting(), pip_requirements=["scikit-learn"])


def deploy(gateway: GatewayProcess, name: str, save: Callable[[Path], None]) -> DeploymentRoute:
    """Deploy a real MLflow model with the generated script."""
    script, model = logged(gateway, name, save)
    parts = {"inputs": model.signature.inputs, "params": model.signature.params} if model.signature else {}
    route, _ = gateway.deployment(script, name=name, type_hints=model.type_hints, **parts)
    return route


@pytest.fixture(scope="module")
def gateway(module_gateway: GatewayProcess) -> GatewayProcess:
    params = json.dumps(PARAMS.to_dict())
    made = {name: {"inputs": json.dumps(schema.to_dict())} for name, schema in SCHEMAS.items()}
    made |= {"wines": {"inputs": DOUBLES, "params": params}, "float32": {"inputs": FLOAT32}}
    made |= {"hinted": {"inputs": DOUBLES, "type_hints": True}}
    routes = [module_gateway.deployment(WITNESS, name=name, **options)[0] for name, options in made.items()]
    routes.append(module_gateway.deployment(WITHOUT_PARAMS, name="own", inputs=DOUBLES, params=params)[0])
    routes += [deploy(module_gateway, "position", save_by_position), deploy(module_gateway, "counting", save_counting)]
    module_gateway.endpoint(*routes)
    module_gateway.publish()
    return module_gateway


def ask(gateway: GatewayProcess, deployment: str, input_data: Any, **more: Any) -> Any:
    reply = send(gateway, deployment, input_data, **more)
    assert reply.status == 200, reply
    return reply.json


def send(gateway: GatewayProcess, deployment: str, input_data: Any, **more: Any) -> Reply:
    return gateway.score(input_data, headers={"azureml-model-deployment": deployment}, **more)


class TestTypeHintModels:
    @pytest.mark.parametrize("value", [[{"k": 1}], [[1, "x"]], ["a"], {"k": [1]}, "text", [1, 2**70, None]])
    def test_type_hint_model_gets_the_raw_value_unenforced(self, gateway: GatewayProcess, value: Any) -> None:
        assert ask(gateway, "hinted", value) == {"params": {}, "value": value, "kind": type(value).__name__}

    def test_input_of_a_type_hint_model_is_validated_by_mlflow(self, gateway: GatewayProcess) -> None:
        assert ask(gateway, "counting", [{"a": 1, "b": 2}, {}]) == [3, 0]
        refused = send(gateway, "counting", [{"a": "x"}])
        assert refused.status == 400
        assert "Failed to validate" in refused.error["message"]


class TestChatModel:
    @pytest.mark.parametrize(
        ("deployment", "value"),
        [
            ("messages", {"messages": [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "ho"}]}),
            ("message", {"message": {"role": "user", "content": "hi"}}),
            ("messages-and-user", {"messages": [{"role": "user", "content": "hi"}], "user": "a"}),
            ("scores", {"scores": [{"a": 0.5}, {"b": 1.5}]}),
        ],
        ids=["messages", "an object", "beside a single value", "maps, which are columns"],
    )
    def test_dict_of_nested_values_is_one_row_where_mlflow_makes_one_row(
        self, gateway: GatewayProcess, deployment: str, value: Any
    ) -> None:
        enforced = _enforce_schema(json.loads(json.dumps(value)), SCHEMAS[deployment])
        rows = ask(gateway, deployment, value)["rows"]
        assert len(rows) == len(enforced)
        assert rows == json.loads(enforced.to_json(orient="records"))


class TestParams:
    def test_missing_params_get_their_defaults(self, gateway: GatewayProcess) -> None:
        assert ask(gateway, "wines", [[1, 2]])["params"] == DEFAULTS
        assert ask(gateway, "wines", [[1, 2]], params={"unknown": 1})["params"] == DEFAULTS

    def test_params_are_cast_to_their_declared_types(self, gateway: GatewayProcess) -> None:
        given = {"count": 9.0, "factor": 2, "stop": [], "tree": {"depth": 7.0, "label": "oak"}}
        assert ask(gateway, "wines", [[1, 2]], params=given)["params"] == {
            **DEFAULTS,
            "count": "9",
            "factor": "2.0",
            "stop": "[]",
            "tree": "{'depth': 7, 'label': 'oak'}",
        }

    @pytest.mark.parametrize("given", ["2024-05-31", "2024-05-31T12:30:00", "2024-05-31T12:30:00.25"])
    def test_datetime_param_has_mlflows_type(self, gateway: GatewayProcess, given: str) -> None:
        expected = repr(np.datetime64(given).item())
        assert ask(gateway, "wines", [[1, 2]], params={"since": given})["params"]["since"] == expected

    @pytest.mark.parametrize("tree", [{}, {"depth": 1, "height": 2}, {"depth": "x"}, 5])
    def test_object_param_with_wrong_properties_is_refused(self, gateway: GatewayProcess, tree: Any) -> None:
        refused = send(gateway, "wines", [[1, 2]], params={"tree": tree})
        assert refused.status == 400
        assert "param 'tree" in refused.error["message"]

    def test_params_are_passed_only_to_a_predict_that_accepts_params(self, gateway: GatewayProcess) -> None:
        assert ask(gateway, "own", [[1, 2]], params={"count": 9}) == 1
        assert len(ask(gateway, "position", [[1, 2]], params={"count": 9})) == 1


class TestNumbersThatFit:
    def test_integer_is_accepted_in_a_double_column(self, gateway: GatewayProcess) -> None:
        answer = ask(gateway, "wines", [{"alcohol": 9, "acidity": 1}])
        assert answer["rows"] == [{"alcohol": 9.0, "acidity": 1.0}]
        assert answer["dtypes"] == ["float64", "float64"]

    def test_float64_is_accepted_in_a_float32_tensor(self, gateway: GatewayProcess) -> None:
        values = np.array([[0.1, 2.5]])
        expected = values.astype("float32").tolist()
        tensor = {"name": "x", "shape": [1, 2], "datatype": "FP64", "data": [0.1, 2.5]}
        infer = gateway.request("POST", "/wines/v2/models/float32/infer", json.dumps({"inputs": [tensor]}))
        assert infer.status == 200, infer
        (answer,) = infer.json["outputs"][0]["data"]
        assert json.loads(answer)["value"] == {"x": expected}
        assert ask(gateway, "float32", {"x": [[0.1, 2.5]]})["value"] == {"x": expected}


class TestReorderedColumns:
    ROW = (9.5, 0.8)

    def test_mlflows_sklearn_loader_scores_reordered_columns_wrongly(self, gateway: GatewayProcess) -> None:
        model = mlflow.sklearn.load_model(str(gateway.harness.data_dir.models / "position"))
        reordered = pd.DataFrame([self.ROW[::-1]], columns=["acidity", "alcohol"])
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            wrong = model.predict_proba(reordered)
        assert abs(wrong - model.predict_proba([self.ROW])).max() > 0.1

    @pytest.mark.parametrize(
        "input_data",
        [
            {"columns": ["acidity", "alcohol"], "data": [ROW[::-1]]},
            [{"acidity": ROW[1], "surplus": 1, "alcohol": ROW[0]}],
            {"acidity": [ROW[1]], "alcohol": [ROW[0]]},
        ],
        ids=["split", "records", "columns"],
    )
    def test_reordered_columns_are_put_in_order_by_name(self, gateway: GatewayProcess, input_data: Any) -> None:
        (answer,) = ask(gateway, "position", input_data)
        assert answer == pytest.approx(fitted().predict_proba([self.ROW])[0].tolist())

    def test_reordered_csv_columns_are_put_in_order_by_name(self, gateway: GatewayProcess) -> None:
        headers = {"azureml-model-deployment": "position", "Content-Type": "text/csv"}
        reply = gateway.request("POST", "/wines/invocations", "acidity,alcohol\n0.8,9.5\n", headers)
        (answer,) = reply.json["predictions"]
        assert answer == pytest.approx(fitted().predict_proba([self.ROW])[0].tolist())
