# ruff: noqa: BLE001, E402, UP006, UP035 - imports need the path from the command line; Python 3.8 speaks here, too
"""Log models and score each request twice: by the loaded model's predict, and by the generated script in the worker.

The program runs in an environment with some version of MLflow, reads and writes JSON lines, and counts how often MLflow
enforces a signature.
"""

import base64
import inspect
import json
import os
import sys
import warnings
from typing import Any, Dict, List

replies = os.fdopen(os.dup(1), "w")
os.dup2(2, 1)
sys.path[:0] = [os.path.dirname(os.path.abspath(__file__)), sys.argv[1]]
warnings.simplefilter("ignore")

import mlflow.pyfunc
import mlflow.sklearn
import numpy as np
import pandas as pd
from mlflow.models.signature import ModelSignature, infer_signature
from mlflow.types import ColSpec, DataType, Schema, TensorSpec
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import RandomForestRegressor
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder
from training_data import HOUSES, MATRIX, PRICES, TEXTS

from data_plane.worker.array_shortcut import array_shortcut
from data_plane.worker.frames import FrameReader, unpack_meta
from data_plane.worker.inputs import read_input, read_params
from data_plane.worker.script import Script

VERSION = tuple(map(int, mlflow.__version__.split(".")[:2]))
ENFORCERS = ("_validate_prediction_input", "_enforce_schema")
NO_REQUIREMENTS: Dict[str, Any] = {"pip_requirements": ["scikit-learn"]}
SKLEARN: Dict[str, Any] = {**NO_REQUIREMENTS, "serialization_format": "cloudpickle"}


def described(value):
    if isinstance(value, pd.DataFrame):
        dtypes = [str(dtype) for dtype in value.dtypes]
        return ["frame", list(map(str, value.columns)), dtypes, repr(value.to_numpy().tolist())]
    if isinstance(value, (np.ndarray, pd.Series)):
        return [type(value).__name__, str(value.dtype), list(value.shape), repr(value.tolist())]
    return [type(value).__name__, repr(value)]


class Witness(mlflow.pyfunc.PythonModel):
    """Returns a description of the input, down to the dtypes."""

    def predict(self, context, model_input):
        return {"given": described(model_input)}


class ParamsWitness(mlflow.pyfunc.PythonModel):
    def predict(self, context, model_input, params=None):
        return {"given": described(model_input), "params": sorted((params or {}).items())}


class Librarian(mlflow.pyfunc.PythonModel):
    """Reads an artifact on loading."""

    def load_context(self, context):
        with open(context.artifacts["names"]) as file:
            self.names = json.load(file)

    def predict(self, context, model_input):
        return pd.DataFrame({"name": [self.names[int(key)] for key in model_input["key"]], "of": len(self.names)})


class Upper(mlflow.pyfunc.PythonModel):
    def predict(self, model_input: List[str]) -> List[str]:
        return [text.upper() for text in model_input]


class EarlyUpper(mlflow.pyfunc.PythonModel):
    def predict(self, context, model_input: List[str]) -> List[str]:
        return [text.upper() for text in model_input]


def save_houses(folder):
    numeric = ["area", "rooms", "has_lift"]
    columns = ColumnTransformer([("region", OneHotEncoder(), ["region"]), ("rest", "passthrough", numeric)])
    model = make_pipeline(columns, RandomForestRegressor(n_estimators=10, random_state=1)).fit(HOUSES, PRICES)
    mlflow.sklearn.save_model(model, folder, signature=infer_signature(HOUSES, PRICES.to_numpy()), **SKLEARN)


def save_matrix(folder):
    signature = ModelSignature(inputs=Schema([TensorSpec(np.dtype("float64"), (-1, 2))]))
    model = LinearRegression().fit(MATRIX, MATRIX.sum(axis=1))
    mlflow.sklearn.save_model(model, folder, signature=signature, **SKLEARN)


def save_unsigned(folder):
    mlflow.sklearn.save_model(LinearRegression().fit(MATRIX, MATRIX.sum(axis=1)), folder, **SKLEARN)


def save_probabilities(folder):
    model = LogisticRegression().fit(HOUSES[["area", "rooms"]], HOUSES["region"])
    signature = infer_signature(HOUSES[["area", "rooms"]])
    mlflow.sklearn.save_model(model, folder, signature=signature, pyfunc_predict_fn="predict_proba", **SKLEARN)


def save_texts(folder):
    words = ColumnTransformer([("words", TfidfVectorizer(), "text")])
    model = make_pipeline(words, LogisticRegression()).fit(TEXTS, TEXTS["text"].str.startswith("good"))
    mlflow.sklearn.save_model(model, folder, signature=infer_signature(TEXTS), **SKLEARN)


def save_witness(folder):
    kinds = [DataType.double, DataType.long, DataType.string, DataType.boolean, DataType.float, DataType.integer]
    schema = Schema([ColSpec(kind, str(kind)) for kind in kinds])
    save_python_model(folder, Witness(), signature=ModelSignature(inputs=schema))


def save_artifact(folder):
    names = os.path.join(os.path.dirname(folder), "names.json")
    with open(names, "w") as file:
        json.dump(["Ada", "Grace"], file)
    signature = ModelSignature(inputs=Schema([ColSpec("long", "key")]))
    save_python_model(folder, Librarian(), artifacts={"names": names}, signature=signature)


def save_own_loader(folder):
    source = os.path.join(os.path.dirname(folder), "own_loader.py")
    with open(source, "w") as file:
        file.write(
            "class Doubling:\n    def predict(self, data):\n        return data * 2\n\n\n"
            "def _load_pyfunc(path):\n    return Doubling()\n"
        )
    code = "code_paths" if "code_paths" in inspect.signature(mlflow.pyfunc.save_model).parameters else "code_path"
    mlflow.pyfunc.save_model(
        folder,
        loader_module="own_loader",
        signature=ModelSignature(inputs=Schema([ColSpec("double", "a"), ColSpec("double", "b")])),
        **{code: [source]},
        **NO_REQUIREMENTS,
    )


def save_params(folder):
    from mlflow.types import ParamSchema, ParamSpec

    specs = [
        ParamSpec("count", "long", 2),
        ParamSpec("factor", "double", 0.5),
        ParamSpec("stop", "string", ["a"], (-1,)),
        ParamSpec("since", "datetime", np.datetime64("2024-05-31T12:30:00")),
    ]
    signature = ModelSignature(inputs=Schema([ColSpec("double", "a")]), params=ParamSchema(specs))
    save_python_model(folder, ParamsWitness(), signature=signature)


def save_object_params(folder):
    from mlflow.types import ParamSchema, ParamSpec
    from mlflow.types.schema import Object, Property

    kind = Object([Property("depth", "long"), Property("label", "string", required=False)])
    params = ParamSchema([ParamSpec("tree", kind, {"depth": 3, "label": "x"})])
    signature = ModelSignature(inputs=Schema([ColSpec("double", "a")]), params=params)
    save_python_model(folder, ParamsWitness(), signature=signature)


def save_chat(folder):
    from mlflow.types.schema import Array, Object, Property

    message = Object([Property("role", "string"), Property("content", "string")])
    schema = Schema([ColSpec(Array(message), "messages")])
    save_python_model(folder, Witness(), signature=ModelSignature(inputs=schema))


def save_type_hints(folder):
    mlflow.pyfunc.save_model(folder, python_model=Upper(), **NO_REQUIREMENTS)


def save_early_type_hints(folder):
    mlflow.pyfunc.save_model(folder, python_model=EarlyUpper(), input_example=["a"], **NO_REQUIREMENTS)


def save_python_model(folder, model, **options):
    mlflow.pyfunc.save_model(folder, python_model=model, **options, **NO_REQUIREMENTS)


# The models with the first MLflow version that saves the model, and the first version that does not.
MODELS = {
    "houses": (save_houses, (1, 0), (99,)),
    "matrix": (save_matrix, (1, 0), (99,)),
    "unsigned": (save_unsigned, (1, 0), (99,)),
    "probabilities": (save_probabilities, (1, 0), (99,)),
    "texts": (save_texts, (1, 0), (99,)),
    "witness": (save_witness, (1, 0), (99,)),
    "artifact": (save_artifact, (1, 0), (99,)),
    "own_loader": (save_own_loader, (1, 0), (99,)),
    "params": (save_params, (2, 6), (99,)),
    "object_params": (save_object_params, (2, 20), (99,)),
    "chat": (save_chat, (2, 10), (99,)),
    "type_hints": (save_type_hints, (2, 20), (99,)),
    "early_type_hints": (save_early_type_hints, (2, 3), (2, 20)),
}


class Counter:
    """How often MLflow has enforced something."""

    def __init__(self):
        self.count = 0
        for name in ENFORCERS:
            if hasattr(mlflow.pyfunc, name):
                setattr(mlflow.pyfunc, name, self._counting(getattr(mlflow.pyfunc, name)))

    def _counting(self, enforce):
        def counted(*args, **kwargs):
            self.count += 1
            return enforce(*args, **kwargs)

        return counted

    def during(self, call):
        before = self.count
        try:
            answer = described(call())
        except Exception as error:
            answer = ["raised", repr(error)]
        return answer, self.count - before


counter = Counter()


def save(folder):
    saved = [name for name, (_, since, until) in MODELS.items() if since <= VERSION < until]
    for name in saved:
        os.mkdir(os.path.join(folder, name))
        MODELS[name][0](os.path.join(folder, name, "model"))
    return saved


def answer(folder, requests):
    """Load model and script once, and score all requests; the script lies beside the model."""
    own = mlflow.pyfunc.load_model(os.path.join(folder, "model"))
    os.environ["AZUREML_MODEL_DIR"] = folder
    script = Script(folder)
    shortcut = array_shortcut(script.run, script.module, os.environ)
    return [answer_one(own, script, shortcut, request) for request in requests]


def answer_one(own, script, shortcut, request):
    params = {"params": request["params"]} if request["params"] else {}
    (frame,) = FrameReader().feed(base64.b64decode(request["frame"]))
    meta = unpack_meta(frame.meta)
    enforced = read_input(meta["payload"], frame.body)
    theirs, enforced_there = counter.during(lambda: own.predict(raw(request), **params))
    ours, enforced_here = counter.during(lambda: script.run(enforced, read_params(meta)))
    # The trial requests, and then a request that is scored from an array alone.
    for _ in range(17):
        shortest, _ = counter.during(lambda: scored_by(shortcut, request))
    return {
        "theirs": theirs,
        "ours": ours,
        "shortest": shortest,
        "has_shortcut": shortcut.is_on,
        "enforced_there": enforced_there,
        "enforced_here": enforced_here,
    }


def scored_by(shortcut, request):
    (frame,) = FrameReader().feed(base64.b64decode(request["frame"]))
    meta = unpack_meta(frame.meta)
    return shortcut.score(meta["payload"], frame.body, read_params(meta)).result


def raw(request):
    value = request["value"]
    if request["kind"] == "frame":
        frame = pd.DataFrame(value["data"], columns=value["columns"])
        return frame.astype(request["dtypes"]) if request["dtypes"] else frame
    return np.array(value) if request["kind"] == "array" else value


for line in sys.stdin:
    asked = json.loads(line)
    replied = save(asked["folder"]) if asked["what"] == "save" else answer(asked["folder"], asked["requests"])
    replies.write(json.dumps(replied) + "\n")
    replies.flush()
