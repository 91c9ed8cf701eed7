"""The models of the comparison, by name: the first MLflow version that saves the model, and how to save it.

Runs in the environment of each MLflow version, with the libraries of the flavors where they are installed.
"""

import base64
import datetime
import json
import os
from typing import Any

import mlflow.pyfunc
import mlflow.sklearn
import numpy as np
import pandas as pd
import pydantic
from mlflow.models.signature import ModelSignature, infer_signature
from mlflow.types import ColSpec, DataType, ParamSchema, ParamSpec, Schema, TensorSpec
from mlflow.types.schema import AnyType, Array, Map, Object, Property
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import RandomForestClassifier
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder
from training_data import HOUSES, MATRIX, PRICES, TEXTS

try:
    from mlflow.types.type_hints import TypeFromExample
except ImportError:  # MLflow before 2.20
    TypeFromExample = None

VERSION = tuple(map(int, mlflow.__version__.split(".")[:2]))
HINTS = (2, 20)
NO_REQUIREMENTS: dict[str, Any] = {"pip_requirements": ["scikit-learn"]}
SKLEARN: dict[str, Any] = {**NO_REQUIREMENTS, "serialization_format": "cloudpickle"}

MODELS: dict[str, Any] = {}
EXTRA_REQUESTS: dict[str, list[Any]] = {}


def save(name, path):
    os.makedirs(os.path.dirname(path))
    MODELS[name][1](path)


def described(value):
    """Describe a value with its types, as JSON."""
    if isinstance(value, pd.DataFrame):
        columns = [[str(name), dtype(value[name]), list(map(described, value[name]))] for name in value.columns]
        return {"frame": columns, "index": [str(label) for label in value.index]}
    if isinstance(value, pd.Series):
        return {"series": str(value.name), "dtype": dtype(value), "values": list(map(described, value))}
    if isinstance(value, np.ndarray):
        return {"array": str(value.dtype), "shape": list(value.shape), "values": described(value.tolist())}
    if isinstance(value, pydantic.BaseModel):
        return {type(value).__name__: described(dict(value))}
    if isinstance(value, dict):
        return {str(key): described(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [described(each) for each in value]
    if value is None or value is pd.NaT or value is pd.NA:
        return None
    if isinstance(value, bytes):
        return [type(value).__name__, base64.b64encode(value).decode()]
    if isinstance(value, (float, np.floating)):
        return [type(value).__name__, repr(float(value))]
    return [type(value).__name__, str(value)]


def dtype(series):
    # pandas infers "str" or "object" for texts, which depends on the way to the frame.
    is_text = str(series.dtype) in ("object", "str") and all(isinstance(each, str) for each in series.dropna())
    return "text" if is_text else str(series.dtype)


class Witness(mlflow.pyfunc.PythonModel):
    def predict(self, context, model_input, params=None):
        return {"given": described(model_input), "params": described(params)}


class NoParams(mlflow.pyfunc.PythonModel):
    def predict(self, context, model_input):
        return {"given": described(model_input)}


class ContextWitness(mlflow.pyfunc.PythonModel):
    def predict(self, context, model_input, params=None):
        from mlflow.pyfunc.context import get_prediction_context

        found = get_prediction_context()
        return {"context": None if found is None else described(vars(found)), "params": described(params)}


def witness(name, example=None, since=(2, 0), model=Witness, **options):
    def save_witness(path):
        mlflow.pyfunc.save_model(path, python_model=model(), input_example=example, **options, **NO_REQUIREMENTS)

    MODELS[name] = (since, save_witness)


def columns(**kinds):
    return ModelSignature(inputs=Schema([ColSpec(kind, name) for name, kind in kinds.items()]))


def signature(*specs, **more):
    return ModelSignature(inputs=Schema(list(specs)), **more)


# Signatures that MLflow infers from the example.

NOON = datetime.datetime(2024, 5, 31, 12, 30, 15, 250000)
LONG_BYTES = bytes(range(256))
FRAMES = {
    "doubles": pd.DataFrame({"a": [1.5, -0.1], "b": [1e300, 5e-324]}),
    "floats": pd.DataFrame({"a": np.array([0.1, 2.5], dtype="float32")}),
    "longs": pd.DataFrame({"a": [1, 2**60], "b": [-5, 0]}),
    "integers": pd.DataFrame({"a": np.array([1, -(2**31)], dtype="int32")}),
    "small_integers": pd.DataFrame({"a": np.array([1, -7], dtype="int8"), "b": np.array([1, 7], dtype="uint16")}),
    "booleans": pd.DataFrame({"a": [True, False]}),
    "texts": pd.DataFrame({"text": ["good", "é中", "", " a\nb "]}),
    "mixed": pd.DataFrame({"a": [1.5, 2.0], "n": [1, 2], "s": ["x", "y"], "f": [True, False]}),
    "datetimes": pd.DataFrame({"t": pd.to_datetime(["2024-05-31T12:30:00", "1999-12-31T00:00:00"])}),
    "nanoseconds": pd.DataFrame({"t": pd.to_datetime(["2024-05-31T12:30:00.123456789"])}),
    "bytes": pd.DataFrame({"b": [b"\x00\xff", LONG_BYTES]}),
    "missing_doubles": pd.DataFrame({"a": [1.5, np.nan], "b": [np.nan, 2.0]}),
    "missing_texts": pd.DataFrame({"s": ["a", None]}),
    "missing_bytes": pd.DataFrame({"b": [b"a", None]}),
    "lists_of_longs": pd.DataFrame({"x": [[1, 2], [3]]}),
    "lists_of_texts": pd.DataFrame({"x": [["a", "b"], ["c"]]}),
    "lists_of_doubles": pd.DataFrame({"x": [[0.5, 2.0], [3.0]], "a": [1, 2]}),
    "lists_of_bytes": pd.DataFrame({"x": [[b"ab", LONG_BYTES]]}),
    "lists_of_lists": pd.DataFrame({"x": [[[1, 2], [3]], [[4]]]}),
    "objects": pd.DataFrame({"o": [{"a": 1, "b": "x"}, {"a": 2, "b": "y"}]}),
    "deep_objects": pd.DataFrame({"o": [{"a": {"b": [{"c": 1.5}, {"c": 2.0}]}}]}),
    "objects_of_bytes": pd.DataFrame({"o": [{"b": LONG_BYTES, "n": 1}]}),
    "lists_of_objects": pd.DataFrame({"m": [[{"role": "user", "content": "hi"}]]}),
    "optional_properties": pd.DataFrame({"o": [{"a": 1, "b": "x"}, {"a": 2}]}),
    "one_row": pd.DataFrame({"a": [1.5], "s": ["x"]}),
    "numbered_columns": pd.DataFrame([[1.5, 2.5], [3.5, 4.5]]),
    "labelled_index": pd.DataFrame({"a": [1.5, 2.5]}, index=["x", "y"]),
    "a_column_data": pd.DataFrame({"data": [1.5], "columns": ["x"]}),
}
for name, frame in FRAMES.items():
    witness("frame_" + name, frame)

VALUES = {
    "text": "hello",
    "number": 5,
    "fraction": 2.5,
    "boolean": True,
    "bytes": b"hello",
    "longer_bytes": LONG_BYTES,
    "texts": ["a", "b"],
    "one_text": ["a"],
    "numbers": [1, 2, 3],
    "fractions": [0.5, 1.5],
    "booleans": [True, False],
    "lists": [[1, 2], [3, 4]],
    "lists_of_texts": [["a", "b"], ["c", "d"]],
    "records": [{"a": 1, "b": "x"}, {"a": 2, "b": "y"}],
    "one_record": [{"a": 1}],
    "ragged_records": [{"a": 1, "b": "x"}, {"a": 2}],
    "record": {"a": 1, "b": "x"},
    "record_of_lists": {"a": [1, 2], "b": ["x", "y"]},
    "record_of_texts": {"a": "x", "b": "y"},
    "record_of_one_list": {"a": ["x", "y"]},
    "nested_record": {"a": {"b": [1, 2]}, "c": "x"},
    "record_of_records": {"a": [{"b": 1}, {"b": 2}]},
    "record_of_bytes": {"a": b"hello", "b": 1},
    "messages": {"messages": [{"role": "user", "content": "hello"}]},
    "messages_and_more": {"messages": [{"role": "user", "content": "hello"}], "temperature": 0.5, "n": 2},
    "prompt": {"prompt": "hello"},
    "prompts": {"prompt": ["hello", "world"], "max_tokens": 5},
    "embeddings": {"input": ["hello", "world"]},
    "deep_record": {"question": "q", "docs": [{"id": 1, "tags": ["x"], "meta": {"score": 0.5}}]},
    "records_of_lists": [{"a": [1, 2]}, {"a": [3]}],
    "records_of_records": [{"a": {"b": 1}}, {"a": {"b": 2}}],
    "datetime": {"t": NOON},
    "missing_in_records": [{"a": 1, "b": None}, {"a": 2, "b": "x"}],
}
for name, value in VALUES.items():
    witness("value_" + name, value)

ARRAYS = {
    "doubles": np.array([[0.5, 1.5], [2.0, 3.0]]),
    "floats": np.array([[0.1, 1.5]], dtype="float32"),
    "longs": np.array([[1, 2], [3, 4]]),
    "integers": np.array([[1, 2]], dtype="int32"),
    "bytes8": np.array([[1, 255]], dtype="uint8"),
    "vector": np.array([1.5, 2.5]),
    "booleans": np.array([[True, False]]),
    "texts": np.array([["a", "b"]]),
    "images": np.arange(24, dtype="uint8").reshape(2, 2, 2, 3),
    "missing": np.array([[0.5, np.nan]]),
    "named": {"x": np.array([[0.5, 1.5]]), "y": np.array([[1], [2]])},
    "named_texts": {"x": np.array(["a", "b"])},
    "named_floats": {"x": np.array([[0.5]], dtype="float32"), "mask": np.array([[1, 0]], dtype="int32")},
}
for name, array in ARRAYS.items():
    witness("array_" + name, array)

# Declared signatures.

MESSAGE = Object([Property("role", DataType.string), Property("content", DataType.string, required=False)])
DECLARED = {
    "optional_columns": (
        signature(ColSpec("double", "a"), ColSpec("long", "n", required=False), ColSpec("string", "s", required=False)),
        pd.DataFrame({"a": [1.5]}),
    ),
    "optional_null": (
        signature(ColSpec("double", "a"), ColSpec("string", "s", required=False)),
        pd.DataFrame({"a": [1.5, 2.0], "s": ["x", None]}),
    ),
    "optional_datetime": (
        signature(ColSpec("double", "a"), ColSpec("datetime", "t", required=False)),
        pd.DataFrame({"a": [1.5, 2.0], "t": [pd.Timestamp(NOON), None]}),
    ),
    "every_type": (
        columns(
            i=DataType.integer,
            n=DataType.long,
            f=DataType.float,
            d=DataType.double,
            s=DataType.string,
            b=DataType.boolean,
            t=DataType.datetime,
            x=DataType.binary,
        ),
        pd.DataFrame(
            {
                "i": np.array([1], dtype="int32"),
                "n": [2**60],
                "f": np.array([0.5], dtype="float32"),
                "d": [0.1],
                "s": ["x"],
                "b": [True],
                "t": [pd.Timestamp(NOON)],
                "x": [LONG_BYTES],
            }
        ),
    ),
    "unnamed": (signature(ColSpec("double"), ColSpec("double")), pd.DataFrame([[1.5, 2.5]])),
    "unnamed_text": (signature(ColSpec("string")), ["a", "b"]),
    "array": (signature(ColSpec(Array(DataType.double), "x")), pd.DataFrame({"x": [[0.5, 1.5], [2.0]]})),
    "array_of_arrays": (signature(ColSpec(Array(Array(DataType.long)), "x")), {"x": [[1, 2], [3]]}),
    "array_of_objects": (
        signature(ColSpec(Array(MESSAGE), "m")),
        {"m": [{"role": "u", "content": "c"}, {"role": "v"}]},
    ),
    "array_of_datetimes": (
        signature(ColSpec(Array(DataType.datetime), "x")),
        pd.DataFrame({"x": [[np.datetime64("2024-05-31T12:30:00")]]}),
    ),
    "object": (signature(ColSpec(MESSAGE, "m")), {"m": {"role": "u", "content": "c"}}),
    "object_of_datetime": (
        signature(ColSpec(Object([Property("t", DataType.datetime), Property("b", DataType.binary)]), "o")),
        pd.DataFrame({"o": [{"t": np.datetime64("2024-05-31T12:30:00"), "b": LONG_BYTES}]}),
    ),
    "map": (signature(ColSpec(Map(DataType.long), "m")), pd.DataFrame({"m": [{"a": 1, "b": 2}, {"c": 3}]})),
    "map_of_lists": (
        signature(ColSpec(Map(Array(DataType.string)), "m")),
        pd.DataFrame({"m": [{"a": ["x"], "b": []}]}),
    ),
    "map_of_objects": (signature(ColSpec(Map(MESSAGE), "m")), pd.DataFrame({"m": [{"a": {"role": "u"}}]})),
    "any": (signature(ColSpec(AnyType(), "x")), pd.DataFrame({"x": [1, "a", None, [1, {"b": 2}]]})),
    "any_in_object": (
        signature(ColSpec(Object([Property("a", AnyType(), required=False), Property("n", DataType.long)]), "o")),
        pd.DataFrame({"o": [{"a": [1, "x"], "n": 1}, {"n": 2}]}),
    ),
    "array_of_any": (signature(ColSpec(Array(AnyType()), "x")), pd.DataFrame({"x": [[1, "a", None]]})),
    "tensor": (signature(TensorSpec(np.dtype("float64"), (-1, 2))), np.array([[0.5, 1.5]])),
    "tensor_any_size": (signature(TensorSpec(np.dtype("float32"), (-1, -1, 3))), np.zeros((1, 2, 3), "float32")),
    "named_tensors": (
        signature(TensorSpec(np.dtype("int64"), (-1, 2), "ids"), TensorSpec(np.dtype("float32"), (-1,), "w")),
        {"ids": np.array([[1, 2]]), "w": np.array([0.5], dtype="float32")},
    ),
    "tensor_of_texts": (signature(TensorSpec(np.dtype("O"), (-1,))), np.array(["a", "b"], dtype=object)),
    "columns_for_arrays": (columns(a=DataType.double, b=DataType.double), {"a": np.array([0.5]), "b": np.array([1.5])}),
    "extra_columns": (columns(a=DataType.double), pd.DataFrame({"a": [0.5], "surplus": ["x"]})),
    "other_order": (columns(b=DataType.double, a=DataType.long), pd.DataFrame({"a": [1], "b": [0.5]})),
}
for name, (declared, example) in DECLARED.items():
    since = (2, 20) if any(word in name for word in ("any", "map")) else (2, 10)
    witness("declared_" + name, example, since, signature=declared)
witness("no_signature", pd.DataFrame({"a": [1.5, 2.0], "s": ["x", "y"]}), signature=False)
witness("no_signature_array", np.array([[0.5, 1.5]]), signature=False)
witness("no_signature_record", {"a": [1, 2], "b": ["x", "y"]}, signature=False)
witness("no_signature_value", [1, 2, 3], signature=False)

# Params.

PARAMS = ParamSchema(
    [
        ParamSpec("k", "long", 5),
        ParamSpec("i", "integer", 3),
        ParamSpec("f", "float", 0.1),
        ParamSpec("temperature", "double", 0.5),
        ParamSpec("flag", "boolean", True),
        ParamSpec("stop", "string", ["a"], (-1,)),
        ParamSpec("weights", "double", [0.5, 1.0], (-1,)),
        ParamSpec("nothing", "string", None),
        ParamSpec("since", "datetime", np.datetime64("2024-05-31T12:30:00")),
    ]
)
ROW = pd.DataFrame({"a": [1.5]})
GIVEN = {"k": 7, "temperature": 2, "stop": ["x", "y"], "flag": False, "weights": [1.5]}
WITH_PARAMS = signature(ColSpec("double", "a"), params=PARAMS)
witness("params_default", ROW, (2, 6), signature=WITH_PARAMS)
witness("params_given", (ROW, GIVEN), (2, 6), signature=WITH_PARAMS)
witness("params_inferred", (ROW, {"k": 7, "name": "x", "rates": [0.5]}), (2, 6))
witness("params_not_taken", (ROW, {"k": 7}), (2, 6), NoParams, signature=WITH_PARAMS)
witness("params_undeclared", ROW, (2, 6))
witness("params_of_a_value", (["a", "b"], {"k": 7}), (2, 6))
witness("params_of_messages", ({"messages": [{"role": "user", "content": "x"}]}, {"k": 7}), (2, 6))
witness("context", ROW, (2, 10), ContextWitness)
witness(
    "context_of_a_value",
    "hello",
    (2, 10),
    ContextWitness,
    metadata={"dependencies_schemas": {"retrievers": [{"name": "r"}]}},
)
ONE_ROW = {"dataframe_split": {"columns": ["a"], "data": [[1.5]]}}
JSON = "application/json"
PARAM_REQUESTS = [
    {},
    {"params": None},
    {"params": {}},
    {"params": {"unknown": 1}},
    {"params": {"k": 9, "unknown": 1}},
    {"params": {"since": "2024-01-02T03:04:05"}},
    {"params": {"k": "nine"}},
    {"params": [1]},
]
for name in ("params_default", "params_undeclared", "params_not_taken", "context"):
    EXTRA_REQUESTS[name] = [[JSON, json.dumps({**ONE_ROW, **params})] for params in PARAM_REQUESTS]

# Type hints, which MLflow validates.


class Point(pydantic.BaseModel):
    x: float
    label: str
    size: int | None = None


class Path(pydantic.BaseModel):
    points: list[Point]
    extra: dict[str, Any] = {}


class Dated(pydantic.BaseModel):
    at: datetime.datetime


HINTED = {
    "ints": (list[int], [1, 2]),
    "floats": (list[float], [0.5, 1.5]),
    "texts": (list[str], ["a", "é"]),
    "booleans": (list[bool], [True, False]),
    "bytes": (list[bytes], [b"ab", LONG_BYTES]),
    "datetimes": (list[datetime.datetime], [NOON]),
    "any": (list[Any], [1, "a", None, [1]]),
    "lists": (list[list[int]], [[1, 2], []]),
    "lists_of_datetimes": (list[list[datetime.datetime]], [[NOON, NOON], []]),
    "lists_of_bytes": (list[list[bytes]], [[LONG_BYTES]]),
    "dicts": (list[dict[str, int]], [{"a": 1}, {"b": 2}]),
    "dicts_of_texts": (list[dict[str, str]], [{"a": "x"}]),
    "dicts_of_datetimes": (list[dict[str, datetime.datetime]], [{"a": NOON}]),
    "dicts_of_bytes": (list[dict[str, bytes]], [{"a": LONG_BYTES}]),
    "dicts_of_lists": (list[dict[str, list[datetime.datetime]]], [{"a": [NOON]}]),
    "dicts_of_any": (list[dict[str, Any]], [{"a": 1, "b": [None]}]),
    "points": (list[Point], [{"x": 0.5, "label": "a"}, {"x": 1.5, "label": "b", "size": 3}]),
    "paths": (list[Path], [{"points": [{"x": 0.5, "label": "a"}], "extra": {"a": [1]}}]),
    "dated": (list[Dated], [{"at": NOON}]),
    "lists_of_points": (list[list[Point]], [[{"x": 0.5, "label": "a"}]]),
}


def hinted(name, hint, example):
    def predict(self, model_input, params=None):
        return {"given": described(model_input), "params": described(params)}

    # MLflow reads the annotations when the class is made.
    predict.__annotations__["model_input"] = hint
    witness(name, example, HINTS, type("Hinted", (mlflow.pyfunc.PythonModel,), {"predict": predict}))


for name, (hint, example) in HINTED.items():
    hinted("hint_" + name, hint, example)


def save_function(path):
    def predict(model_input: list[str]):
        return [text.upper() for text in model_input]

    mlflow.pyfunc.save_model(path, python_model=predict, input_example=["a", "b"], **NO_REQUIREMENTS)


MODELS["hint_function"] = (HINTS, save_function)


def save_hint_with_context(path):
    class Contextual(mlflow.pyfunc.PythonModel):
        def predict(self, context, model_input: list[str], params=None):
            return {"given": described(model_input), "artifacts": len(context.artifacts), "params": described(params)}

    example = (["a"], {"k": 3})
    mlflow.pyfunc.save_model(path, python_model=Contextual(), input_example=example, **NO_REQUIREMENTS)


MODELS["hint_with_params"] = (HINTS, save_hint_with_context)


def inputs(*values):
    return [[JSON, json.dumps({"inputs": value})] for value in values]


CSV = "text/csv"
EXTRA_REQUESTS.update(
    {
        "hint_texts": [[CSV, "text\nhello\nworld\n"], *inputs([], ["a", 1], "a", None, {"a": "b"}, [None])],
        "hint_ints": [[CSV, "n\n1\n2\n"], [CSV, "n\n1\nx\n"], *inputs([1.5], ["1"], [True], [2**60], [2**70])],
        "hint_floats": [[CSV, "n\n1.5\n2.25\n"], *inputs([1], [1.0], ["1.5"], [None], [1e308])],
        "hint_booleans": [[CSV, "b\nTrue\nFalse\n"], *inputs([1], ["true"])],
        "hint_bytes": [[CSV, "b\naGVsbG8=\n"], *inputs(["aGVsbG8=\n"], ["aGVs\nbG8=\n"], [1], [""], [[]])],
        "hint_datetimes": [
            [CSV, "t\n2024-05-31T12:30:00\n2024-05-31\n"],
            *inputs(["2024-05-31"], ["2024-05-31T12:30:00+02:00"], ["31 May"], [1717158600], [None]),
        ],
        "hint_any": [[CSV, "x\n1\n2\n"], *inputs([], [{"a": {"b": [1, None]}}], 5, "a", {"a": 1})],
        "hint_dicts": [*inputs([{"a": "x"}], [{}], [1], {"a": 1})],
        "hint_dicts_of_datetimes": inputs([{"a": "2024-05-31", "b": "2024-05-31T00:00:01"}], [{"a": "soon"}]),
        "hint_points": [
            [CSV, "x,label\n0.5,a\n1.5,b\n"],
            [CSV, "x,label,size\n0.5,a,3\n1.5,b,4\n"],
            *inputs([{"x": "0.5", "label": "a"}], [{"label": "a"}], [{"x": 0.5, "label": "a", "more": 1}], [1], []),
            [JSON, json.dumps({"dataframe_split": {"columns": ["x", "label"], "data": [[0.5, "a"]]}})],
            [JSON, json.dumps({"instances": [{"x": 0.5, "label": "a"}]})],
        ],
        "hint_function": [[CSV, "text\na\n"], *inputs(["x"], [1])],
        "hint_with_params": [[JSON, json.dumps({"inputs": ["a"], **params})] for params in PARAM_REQUESTS],
        "value_text": inputs("world", ["a", "b"], 5, ["a"]),
        "value_number": inputs(7, [1, 2], "x"),
        "value_fraction": inputs(0.5, [1.5]),
        "value_boolean": inputs(False, [True]),
        "value_messages": [[JSON, json.dumps({"messages": [{"role": "user", "content": "x"}], "temperature": 1})]],
    }
)

# The type of the example.

FROM_EXAMPLE = {
    "texts": ["a", "b"],
    "numbers": [1, 2],
    "fractions": [0.5],
    "booleans": [True],
    "records": [{"a": 1, "b": "x"}, {"a": 2, "b": "y"}],
    "ragged_records": [{"a": 1}, {"b": "x"}],
    "lists": [[1, 2], [3, 4]],
    "nested": [{"a": {"b": [1, 2]}}],
    "frame": pd.DataFrame({"a": [1.5], "b": ["x"]}),
    "bytes": [b"ab", LONG_BYTES],
    "datetimes": pd.DataFrame({"t": [pd.Timestamp(NOON)]}),
}
if TypeFromExample is not None:

    class FromExample(mlflow.pyfunc.PythonModel):
        def predict(self, model_input: TypeFromExample, params=None):
            return {"given": described(model_input), "params": described(params)}

    for name, example in FROM_EXAMPLE.items():
        witness("from_example_" + name, example, HINTS, FromExample)
    witness("from_example_with_params", (["a"], {"k": 3}), HINTS, FromExample)
    EXTRA_REQUESTS["from_example_texts"] = [*inputs(["x"], "x", [1], []), [CSV, "0\nx\n"]]
    EXTRA_REQUESTS["from_example_records"] = inputs([{"a": 1, "b": "x"}], [{"b": "x", "a": 3}], {"a": 1, "b": "x"})

# Flavors.


def flavor(name, save_flavor, since=(2, 0)):
    MODELS["flavor_" + name] = (since, save_flavor)


def sklearn(name, model, example, **options):
    def save_sklearn(path):
        mlflow.sklearn.save_model(model(), path, input_example=example, **{**SKLEARN, **options})

    flavor("sklearn_" + name, save_sklearn)


def houses():
    rest = ("rest", "passthrough", ["area", "rooms", "has_lift"])
    prepared = ColumnTransformer([("region", OneHotEncoder(), ["region"]), rest])
    return make_pipeline(prepared, LinearRegression()).fit(HOUSES, PRICES)


def words():
    prepared = ColumnTransformer([("words", TfidfVectorizer(), "text")])
    return make_pipeline(prepared, LogisticRegression()).fit(TEXTS, TEXTS["text"].str.startswith("good"))


sklearn("frame", houses, HOUSES.head(2))
sklearn("matrix", lambda: LinearRegression().fit(MATRIX, MATRIX.sum(axis=1)), MATRIX[:2])
sklearn("matrix_of_floats", lambda: LinearRegression().fit(MATRIX, MATRIX.sum(axis=1)), MATRIX[:2].astype("float32"))
sklearn("unsigned", lambda: LinearRegression().fit(MATRIX, MATRIX.sum(axis=1)), MATRIX[:2], signature=False)
sklearn("texts", words, TEXTS.head(2))
sklearn("labels", lambda: LogisticRegression().fit(HOUSES[["area"]], HOUSES["region"]), HOUSES[["area"]].head(3))
sklearn(
    "probabilities",
    lambda: LogisticRegression().fit(HOUSES[["area"]], HOUSES["region"]),
    HOUSES[["area"]].head(3),
    pyfunc_predict_fn="predict_proba",
)
sklearn(
    "several_outputs",
    lambda: LinearRegression().fit(MATRIX, MATRIX),
    pd.DataFrame(MATRIX[:2], columns=["a", "b"]),
)
sklearn(
    "forest", lambda: RandomForestClassifier(5, random_state=1).fit(MATRIX, MATRIX[:, 0] > 0.5), MATRIX[:3].tolist()
)


def save_loader_module(path):
    source = os.path.join(os.path.dirname(path), "own_loader.py")
    with open(source, "w") as file:
        file.write(
            "class Doubling:\n    def predict(self, data, params=None):\n        return data * 2\n\n\n"
            "def _load_pyfunc(path):\n    return Doubling()\n"
        )
    example = pd.DataFrame({"a": [1.5, 2.0]})
    options = {"signature": infer_signature(example), "code_paths": [source], "input_example": example}
    mlflow.pyfunc.save_model(path, loader_module="own_loader", **options, **NO_REQUIREMENTS)


def save_model_from_code(path):
    source = os.path.join(os.path.dirname(path), "from_code.py")
    with open(source, "w") as file:
        file.write(
            "import mlflow\n\n\nclass Upper(mlflow.pyfunc.PythonModel):\n"
            "    def predict(self, context, model_input, params=None):\n"
            "        return [str(each).upper() for each in model_input.iloc[:, 0]]\n\n\n"
            "mlflow.models.set_model(Upper())\n"
        )
    mlflow.pyfunc.save_model(path, python_model=source, input_example=["a", "b"], **NO_REQUIREMENTS)


flavor("loader_module", save_loader_module)
flavor("from_code", save_model_from_code, (2, 13))


def save_chat_model(path):
    from mlflow.types.llm import ChatChoice, ChatCompletionResponse, ChatMessage

    class Echo(mlflow.pyfunc.ChatModel):
        def predict(self, context, messages, params):
            text = f"{messages[-1].content} {params.temperature} {params.max_tokens}"
            return ChatCompletionResponse(
                choices=[ChatChoice(index=0, message=ChatMessage("assistant", text))], created=1
            )

    mlflow.pyfunc.save_model(path, python_model=Echo(), **NO_REQUIREMENTS)


def save_chat_agent(path):
    from mlflow.types.agent import ChatAgentMessage, ChatAgentResponse

    class Agent(mlflow.pyfunc.ChatAgent):
        def predict(self, messages, context=None, custom_inputs=None):
            text = f"{messages[-1].content} {custom_inputs}"
            return ChatAgentResponse(messages=[ChatAgentMessage(role="assistant", content=text, id="1")])

    mlflow.pyfunc.save_model(path, python_model=Agent(), **NO_REQUIREMENTS)


def save_responses_agent(path):
    from mlflow.types.responses import ResponsesAgentResponse

    class Agent(mlflow.pyfunc.ResponsesAgent):
        def predict(self, request):
            text = {"type": "output_text", "text": str(request.input[-1].content)}
            return ResponsesAgentResponse(
                output=[{"type": "message", "id": "1", "role": "assistant", "content": [text]}]
            )

    mlflow.pyfunc.save_model(path, python_model=Agent(), **NO_REQUIREMENTS)


flavor("chat_model", save_chat_model, (2, 17))
flavor("chat_agent", save_chat_agent, (2, 20))
flavor("responses_agent", save_responses_agent, (3, 0))


def save_lightgbm(path):
    import lightgbm
    import mlflow.lightgbm

    model = lightgbm.LGBMRegressor(n_estimators=3, verbose=-1).fit(HOUSES[["area", "rooms"]], PRICES)
    mlflow.lightgbm.save_model(model, path, input_example=HOUSES[["area", "rooms"]].head(2), **NO_REQUIREMENTS)


def save_xgboost(path):
    import mlflow.xgboost
    import xgboost

    model = xgboost.XGBRegressor(n_estimators=3).fit(HOUSES[["area", "rooms"]], PRICES)
    mlflow.xgboost.save_model(model, path, input_example=HOUSES[["area", "rooms"]].head(2), **NO_REQUIREMENTS)


def save_statsmodels(path):
    import mlflow.statsmodels
    import statsmodels.api

    fitted = statsmodels.api.OLS(PRICES, HOUSES[["area", "rooms"]].astype(float)).fit()
    example = HOUSES[["area", "rooms"]].astype(float).head(2)
    mlflow.statsmodels.save_model(fitted, path, input_example=example, **NO_REQUIREMENTS)


LIBRARIES = {"lightgbm": save_lightgbm, "xgboost": save_xgboost, "statsmodels": save_statsmodels}
for name, save_library in LIBRARIES.items():
    flavor(name, save_library)
