"""Fitted models and loaded scripts for the tests of the array shortcut, in this process."""

import inspect
import warnings
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from mlflow.models import infer_signature
from mlflow.sklearn import _SklearnModelWrapper
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.utils import all_estimators

from data_plane.scoring.payload.values import BlockPayload, Column, FramePayload, Payload
from data_plane.scoring.types import LogicalType
from data_plane.scoring.wire.encode import encode_score
from data_plane.worker.array_shortcut import ArrayShortcut, array_shortcut
from data_plane.worker.frames import FrameReader, unpack_meta

NAMES = ["a", "b", "c", "d"]
MIXED: tuple[LogicalType, ...] = ("double", "long", "float", "integer")
_DTYPES = {"double": "f8", "float": "f4", "long": "i8", "integer": "i4"}

_random = np.random.default_rng(7)
NUMBERS = pd.DataFrame(_random.uniform(0, 9, (60, 4)), columns=NAMES)
MIXED_NUMBERS = NUMBERS.astype({name: _DTYPES[kind] for name, kind in zip(NAMES, MIXED, strict=True)})
TARGET = NUMBERS["a"] * 2 - NUMBERS["b"]
CLASSES = (TARGET.median() < TARGET).astype(int)

# As generated, but for the loading by MLflow, and for another answer to an array that begins with 42.
SCRIPT = """
    from types import SimpleNamespace

    import numpy, pandas
    from sklearn.linear_model import Ridge

    ACCEPTS_ARRAY = True
    MODEL_FOLDER = "none"
    model = None
    predict = None

    def init():
        global model, predict
        estimator = Ridge().fit(pandas.DataFrame(numpy.eye(4), columns=list("abcd")), [1, 2, 3, 4])
        inputs = [SimpleNamespace(name=name, type=SimpleNamespace(name="double")) for name in "abcd"]
        metadata = SimpleNamespace(
            flavors={"python_function": {"loader_module": "mlflow.sklearn"}},
            get_input_schema=lambda: SimpleNamespace(inputs=inputs, is_tensor_spec=lambda: False),
        )
        model = SimpleNamespace(_model_impl=estimator, metadata=metadata)
        predict = estimator.predict

    def run(input_data, params=None):
        is_wrong = isinstance(input_data, numpy.ndarray) and input_data[0, 0] == 42
        return predict(input_data) + is_wrong
"""


def script_of(model: Any, frame: pd.DataFrame, *, method: str = "predict", loader: str = "mlflow.sklearn") -> Any:
    """A generated script after init(), without MLflow's saving and loading."""
    wrapper = model if loader != "mlflow.sklearn" else _SklearnModelWrapper(model)
    predict = wrapper.predict if method == "predict" else getattr(model, method)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        schema = infer_signature(frame).inputs
    metadata = SimpleNamespace(flavors={"python_function": {"loader_module": loader}}, get_input_schema=lambda: schema)
    loaded = SimpleNamespace(_model_impl=wrapper, metadata=metadata)
    return SimpleNamespace(ACCEPTS_ARRAY=True, MODEL_FOLDER="none", model=loaded, predict=predict)


def runs_of(script: Any) -> Any:
    return lambda input_data, params: script.predict(input_data)


def shortcut_of(script: Any, **environment: str) -> ArrayShortcut:
    return array_shortcut(runs_of(script), script, environment)


def score(shortcut: ArrayShortcut, payload: Payload, params: dict[str, Any] | None = None) -> Any:
    (frame,) = FrameReader().feed(b"".join(encode_score(payload, request_id=1)))
    return shortcut.score(unpack_meta(frame.meta)["payload"], frame.body, params).result


def trust(shortcut: ArrayShortcut, payload: Payload) -> None:
    """Score the trial requests."""
    for _ in range(16):
        score(shortcut, payload)


def block(values: Any, names: list[str] = NAMES, kind: LogicalType = "double") -> BlockPayload:
    """`values`: a row for each row of the request."""
    return BlockPayload(names, kind, np.ascontiguousarray(np.array(values, dtype=_DTYPES[kind]).T))


def table(values: Any, kinds: tuple[LogicalType, ...] = MIXED, nulls: npt.NDArray[Any] | None = None) -> FramePayload:
    rows = np.array(values, dtype="f8")
    columns = tuple(
        Column(name, kind, rows[:, at].astype(_DTYPES[kind]), None if nulls is None else nulls[:, at])
        for at, (name, kind) in enumerate(zip(NAMES, kinds, strict=True))
    )
    return FramePayload(columns, len(rows))


def requests(kinds: tuple[LogicalType, ...], count: int, *, seed: int = 3) -> Iterator[Payload]:
    """Requests of 1 to 40 rows and all magnitudes, some with missing values."""
    random = np.random.default_rng(seed)
    for number in range(count):
        rows = int(random.integers(1, 40)) if number % 3 else 1
        values = random.normal(size=(rows, 4)) * 10.0 ** random.integers(-3, 6, (rows, 4))
        if number % 2:
            values = random.uniform(0, 9, (rows, 4))
        if len(set(kinds)) == 1:
            yield block(values, kind=kinds[0])
        elif number % 7 == 6:
            nulls = random.random((rows, 4)) < 0.2
            nulls[:, [1, 3]] = False
            yield table(values, kinds, nulls)
        else:
            yield table(values, kinds)


def fitted(estimator: type[Any], frame: pd.DataFrame) -> Any | None:
    """The estimator fitted to the small data set, a transformer before a regression; None if that is impossible."""
    for target in (TARGET, TARGET - TARGET.min() + 1, CLASSES, np.column_stack([CLASSES, 1 - CLASSES])):
        try:
            model = _made(estimator)
            whole = model if hasattr(model, "predict") else make_pipeline(model, Ridge())
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                whole.fit(frame, target)
                whole.predict(frame)
        except Exception:  # noqa: BLE001 - many estimators want other data
            continue
        return whole
    return None


def _made(estimator: type[Any]) -> Any:
    inner = LogisticRegression() if "Class" in estimator.__name__ else Ridge()
    options: dict[str, Any] = {
        "estimator": inner,
        "estimators": [("one", inner), ("two", clone(inner))],
        "base_estimator": inner,
        "steps": [("one", inner)],
        "transformers": [("one", "passthrough", [0, 1])],
        "transformer_list": [("one", "passthrough")],
        "param_grid": {},
        "param_distributions": {},
        "n_estimators": 5,
        "n_components": 2,
        "random_state": 5,
        "max_iter": 50,
    }
    parameters = inspect.signature(estimator).parameters
    return estimator(**{name: option for name, option in options.items() if name in parameters})


def estimators() -> dict[str, type[Any]]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return dict(all_estimators())
