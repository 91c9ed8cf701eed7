"""MLflow's own scoring server in the test's process, for the same requests as the gateway.

Both servers have the same models: a model that describes its input, and a model that returns any kind of value.
"""

import base64
import io
import json
import math
import textwrap
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mlflow.models import Model, ModelSignature
from mlflow.pyfunc import PyFuncModel, scoring_server
from mlflow.types import ColSpec, DataType, ParamSchema, ParamSpec, Schema, TensorSpec
from mlflow.types.schema import Array, Object, Property
from numpy import dtype
from starlette.testclient import TestClient

from tests.data_plane.gateway.gateway_process import KEY, GatewayProcess, Reply

JSON, CSV, PARQUET = "application/json", "text/csv", "application/vnd.apache.parquet"

# Describes the input, down to the dtypes.
WITNESS = """
    import base64
    import numpy as np
    import pandas as pd

    def dtype(column):
        # MLflow's CSV reader makes texts objects, and MLflow's JSON reader makes texts pandas' strings.
        if str(column.dtype) in ("object", "str") and all(isinstance(each, str) for each in column.dropna()):
            return "text"
        return str(column.dtype)

    def shown(value):
        if isinstance(value, pd.DataFrame):
            columns = {str(name): [shown(each) for each in value[name].tolist()] for name in value.columns}
            levels = [value.index.get_level_values(place) for place in range(value.index.nlevels)]
            index = [[level.name, dtype(level), shown(list(level))] for level in levels]
            dtypes = [dtype(value[name]) for name in value.columns]
            return {"frame": columns, "dtypes": dtypes, "rows": len(value), "index": index}
        if isinstance(value, np.ndarray):
            return {"array": shown(value.tolist()), "dtype": str(value.dtype), "shape": list(value.shape)}
        if isinstance(value, dict):
            return {str(name): shown(each) for name, each in value.items()}
        if isinstance(value, (list, tuple)):
            return [shown(each) for each in value]
        if isinstance(value, bytes):
            return "bytes " + base64.b64encode(value).decode()
        if value is None or value is pd.NaT or (isinstance(value, float) and value != value):
            return None
        if isinstance(value, np.generic):
            return shown(value.item())
        return value.isoformat() if hasattr(value, "isoformat") else value

    def predict(model_input, params=None):
        return {"given": shown(model_input), "params": params or None}
"""

# Answers with the kind of value that the first value names.
RESULTS = """
    import datetime
    import numpy as np
    import pandas as pd

    KINDS = {
        "floats": lambda: np.array([[1.5, -0.1], [1e300, 5e-324]]),
        "float32": lambda: np.array([0.1, 2.5], dtype="float32"),
        "missing": lambda: np.array([1.0, float("nan"), float("inf"), float("-inf")]),
        "integers": lambda: np.array([1, 2**62]),
        "booleans": lambda: np.array([True, False]),
        "texts": lambda: np.array(["a", "\\u00e9\\u4e2d"]),
        "objects": lambda: np.array([1, "x", None, 2.5], dtype=object),
        "frame": lambda: pd.DataFrame({"a": [1.5, 2.0], "b": ["x", "y"], "c": [1, 2], "d": [True, False]}),
        "numbered frame": lambda: pd.DataFrame([[1, 2.5]]),
        "frame of datetimes": lambda: pd.DataFrame({"t": pd.to_datetime(["2024-05-31T12:00:00"])}),
        "array of datetimes": lambda: np.array(["2024-05-31T12:00:00"], dtype="datetime64[ns]"),
        "bytes": lambda: [b"\\x00\\xff"],
        "empty frame": lambda: pd.DataFrame({"a": []}),
        "series": lambda: pd.Series([1, 2], name="n"),
        "unnamed series": lambda: pd.Series([1.5, 2]),
        "list": lambda: [1, "a", None, [2.5]],
        "list of arrays": lambda: [np.array([1, 2]), np.float32(0.5), np.int64(3)],
        "dict": lambda: {"label": ["a"], "score": np.array([0.25])},
        "text": lambda: "a sentence",
        "number": lambda: 2.5,
        "scalar": lambda: np.float64(0.5),
        "nothing": lambda: None,
        "raises": lambda: 1 / 0,
    }

    def predict(model_input, params=None):
        return KINDS[model_input["kind"].iloc[0]]()
"""

_COLUMNS = Schema([ColSpec("double", "a"), ColSpec("long", "n"), ColSpec("string", "s", required=False)])
_RICH = Schema(
    [ColSpec("datetime", "t"), ColSpec("binary", "b"), ColSpec("boolean", "f"), ColSpec("integer", "i")]
)  # fmt: skip
_MESSAGE = Object([Property("role", DataType.string), Property("content", DataType.string)])
_PARAMS = ParamSchema([ParamSpec("k", "long", 5), ParamSpec("temperature", "double", 0.5)])


@dataclass(frozen=True)
class Subject:
    """A model of both servers."""

    source: str
    inputs: Schema | None = None
    params: ParamSchema | None = None
    type_hints: bool = False

    def deploy(self, gateway: GatewayProcess, name: str) -> Any:
        script = textwrap.dedent(self.source) + _RUN
        inputs = json.dumps(self.inputs.to_dict()) if self.inputs else None
        params = json.dumps(self.params.to_dict()) if self.params else None
        route, _ = gateway.deployment(script, name=name, inputs=inputs, params=params, type_hints=self.type_hints)
        return route

    def peer(self) -> TestClient:
        namespace: dict[str, Any] = {}
        exec(textwrap.dedent(self.source), namespace)
        signature = ModelSignature(self.inputs, None, self.params) if self.inputs or self.params else None
        if self.type_hints:
            signature = ModelSignature(Schema([ColSpec("string")]))
            signature._is_signature_from_type_hint = True
        metadata = Model(signature=signature)
        metadata.add_flavor("python_function", loader_module="ours", python_version="3.11")
        impl = type("Impl", (), {"predict": staticmethod(namespace["predict"])})()
        return TestClient(scoring_server.init(PyFuncModel(metadata, impl)), raise_server_exceptions=False)


_RUN = """
def init():
    pass

def run(input_data, params=None):
    return predict(input_data, params)
"""

SUBJECTS: Mapping[str, Subject] = {
    "columns": Subject(WITNESS, _COLUMNS, _PARAMS),
    "rich": Subject(WITNESS, _RICH),
    "matrix": Subject(WITNESS, Schema([TensorSpec(dtype("float64"), (-1, 3))])),
    "tensors": Subject(
        WITNESS,
        Schema([TensorSpec(dtype("float32"), (-1, 2), "x"), TensorSpec(dtype("int64"), (-1,), "mask")]),
    ),
    "unsigned": Subject(WITNESS),
    "chat": Subject(WITNESS, Schema([ColSpec(Array(_MESSAGE), "messages")]), _PARAMS),
    "hinted": Subject(WITNESS, type_hints=True),
    "results": Subject(RESULTS, Schema([ColSpec("string", "kind")])),
}


class Rivals:
    """Our gateway and MLflow's server, with the same models."""

    def __init__(self, gateway: GatewayProcess) -> None:
        self._gateway = gateway
        gateway.endpoint(*(subject.deploy(gateway, name) for name, subject in SUBJECTS.items()))
        gateway.publish()
        self._peers = {name: subject.peer() for name, subject in SUBJECTS.items()}

    def ours(self, model: str, body: bytes, content_type: str = JSON) -> Reply:
        headers = {"azureml-model-deployment": model, "Content-Type": content_type}
        return self._gateway.request("POST", "/wines/invocations", body, headers)

    def theirs(self, model: str, body: bytes, content_type: str = JSON) -> Reply:
        headers = {"Content-Type": content_type} if content_type else {}
        answer = self._peers[model].post("/invocations", content=body, headers=headers)
        return Reply(answer.status_code, dict(answer.headers), answer.content)


def parquet(frame: Any) -> bytes:
    written = io.BytesIO()
    frame.to_parquet(written)
    return written.getvalue()


def with_null_for_nan(value: Any) -> Any:
    """Replace NaN, which MLflow writes although JSON has no NaN, with null."""
    match value:
        case dict():
            return {name: with_null_for_nan(each) for name, each in value.items()}
        case list():
            return [with_null_for_nan(each) for each in value]
        case float() if not math.isfinite(value):
            return None
        case _:
            return value


def basic(password: str = KEY, user: str = "x") -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()
