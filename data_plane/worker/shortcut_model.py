"""Recognises the models that may get an array in place of a DataFrame, and leaves all other models alone.

A recognised model is called twice in the proof, and must not notice: its objects are of scikit-learn and of the
libraries of boosted trees only, the calls print nothing, and no step selects columns by name, returns DataFrames or
draws random numbers.
"""

import functools
import sys
import types
from typing import Any, Callable, Dict, Iterator, List, NamedTuple, Optional, Tuple

from .array_input import NUMBERS

_BOOSTERS = ("xgboost", "lightgbm", "catboost", "_catboost")
_KNOWN_PACKAGES = frozenset({"sklearn", "mlflow", "numpy", "scipy", "pandas", "builtins", "ctypes", *_BOOSTERS})
_LOADERS = frozenset({"mlflow.sklearn", "mlflow.xgboost", "mlflow.lightgbm", "mlflow.catboost"})
# Objects of these modules hold numbers only, in thousands of nodes.
_LEAVES = (
    "sklearn.tree.",
    "sklearn.ensemble._hist_gradient_boosting.predictor",
    "sklearn.neighbors._ball_tree",
    "sklearn.neighbors._kd_tree",
    "xgboost.core",
    "lightgbm.basic",
)
_MAX_OBJECTS = 20000

Predict = Callable[[Any, Optional[Dict[str, Any]]], Any]


class LeftAlone(Exception):
    """The model always gets a DataFrame; the text says why."""


class ShortcutModel(NamedTuple):
    columns: List[Tuple[str, str]]
    """Name and logical type of each column of the signature, all numbers."""
    has_boosters: bool
    predict: Optional[Predict]
    """Predicts from an array in place of the script's `run`, without params: for models that need feature names."""


def recognise(script: types.ModuleType) -> ShortcutModel:
    """Return the model of a generated script after `init`. Raises LeftAlone."""
    loaded: Any = getattr(script, "model", None)
    implementation = getattr(loaded, "_model_impl", None)
    if implementation is None or getattr(getattr(script, "predict", None), "__self__", None) is loaded:
        raise LeftAlone("this MLflow's predict does more than call the model")
    loader = loaded.metadata.flavors["python_function"].get("loader_module")
    if loader not in _LOADERS:
        raise LeftAlone("models of the loader {} may observe a DataFrame".format(loader))
    columns = _columns(loaded.metadata.get_input_schema())
    objects = list(_objects_of(implementation))
    for each in objects:
        _check(each)
    _check_names(objects, [name for name, _ in columns])
    has_boosters = any(_package(type(each)) in _BOOSTERS for each in objects)
    return ShortcutModel(columns, has_boosters, _predict_of_booster(implementation))


def _columns(schema: Any) -> List[Tuple[str, str]]:
    if schema is None or schema.is_tensor_spec():
        raise LeftAlone("the signature has no columns")
    columns = [(spec.name, getattr(spec.type, "name", str(spec.type))) for spec in schema.inputs]
    for name, logical_type in columns:
        if logical_type not in NUMBERS:
            raise LeftAlone("the column {!r} is a {}, not a number".format(name, logical_type))
        if not isinstance(name, str):
            raise LeftAlone("a column has no name")
    return columns


def _check_names(objects: List[Any], names: List[str]) -> None:
    """A DataFrame with other columns than the model's fails in the model, and an array would not."""
    for each in objects:
        fitted = getattr(each, "feature_names_in_", None)
        if fitted is not None:
            if list(fitted) != names:
                raise LeftAlone("the model was fitted with other column names than the signature's")
            return


def _objects_of(root: Any) -> Iterator[Any]:
    """Yield each object of the libraries in the model, the outer objects first. Raises LeftAlone for other objects."""
    pending, seen = [root], set()
    for each in pending:
        if id(each) in seen:
            continue
        seen.add(id(each))
        if len(seen) > _MAX_OBJECTS:
            raise LeftAlone("the model has more than {} parts".format(_MAX_OBJECTS))
        if isinstance(each, types.ModuleType) or _is_value(each):
            continue
        if not isinstance(each, (list, tuple, dict, set, frozenset)):
            _check_package(each)
            if not isinstance(each, type):
                yield each
        pending.extend(_parts(each))


def _is_value(value: Any) -> bool:
    numpy = sys.modules["numpy"]
    if isinstance(value, numpy.ndarray):
        return not value.dtype.hasobject
    return value is None or isinstance(value, (bool, int, float, complex, str, bytes, numpy.generic, numpy.dtype))


def _check_package(value: Any) -> None:
    owner = value if isinstance(value, (type, types.FunctionType, types.BuiltinFunctionType)) else type(value)
    is_known = _package(owner) in _KNOWN_PACKAGES and not _may_hide_a_function(value)
    if is_known or isinstance(value, (types.MethodType, functools.partial)):
        return
    raise LeftAlone("the model has an object of {}.{}".format(owner.__module__, owner.__qualname__))


def _may_hide_a_function(value: Any) -> bool:
    """numpy.frompyfunc and numpy.vectorize make objects of numpy from a user's function."""
    numpy = sys.modules["numpy"]
    if isinstance(value, numpy.ufunc):
        return getattr(numpy, value.__name__, None) is not value
    return isinstance(value, numpy.vectorize)


def _package(owner: Any) -> str:
    return str(owner.__module__ or "builtins").partition(".")[0]


def _parts(value: Any) -> List[Any]:
    numpy = sys.modules["numpy"]
    if isinstance(value, dict):
        return [*value.keys(), *value.values()]
    if isinstance(value, (list, tuple, set, frozenset)):
        return list(value)
    if isinstance(value, numpy.ndarray):
        return list(value.ravel())
    if isinstance(value, types.MethodType):
        return [value.__self__, value.__func__]
    if isinstance(value, functools.partial):
        return [value.func, value.args, value.keywords]
    if isinstance(value, (type, types.FunctionType, types.BuiltinFunctionType)):
        return []
    if type(value).__module__.startswith(_LEAVES) or _package(type(value)) in ("pandas", "scipy", "numpy", "ctypes"):
        return []
    return list(getattr(value, "__dict__", {}).values())


def _check(part: Any) -> None:
    name = type(part).__name__
    attributes = getattr(part, "__dict__", {})
    if attributes.get("verbose") and _package(type(part)) == "sklearn":
        raise LeftAlone("{} is verbose".format(name))
    if "random_state_" in attributes:
        raise LeftAlone("{} may draw random numbers".format(name))
    output = attributes.get("_sklearn_output_config") or {}
    if any(wanted not in (None, "default") for wanted in output.values()):
        raise LeftAlone("set_output changes what {} returns".format(name))
    if name == "ColumnTransformer" and not all(_are_positions(entry[2]) for entry in part.transformers):
        raise LeftAlone("ColumnTransformer selects columns by name")
    if attributes.get("pandas_categorical") or _has_categories(part):
        raise LeftAlone("{} has categorical columns".format(name))


def _are_positions(columns: Any) -> bool:
    if isinstance(columns, slice):
        return _are_positions([edge for edge in (columns.start, columns.stop) if edge is not None])
    if isinstance(columns, str) or callable(columns):
        return False
    return isinstance(columns, int) or not any(isinstance(column, str) for column in columns)


def _has_categories(part: Any) -> bool:
    if _package(type(part)) == "xgboost":
        return "c" in (getattr(part, "feature_types", None) or ())
    if _package(type(part)) == "catboost":
        return bool(part.get_cat_feature_indices() or part.get_text_feature_indices())
    return False


def _predict_of_booster(implementation: Any) -> Optional[Predict]:
    """A native XGBoost model takes a DMatrix, and the DMatrix needs feature names."""
    booster: Any = getattr(implementation, "xgb_model", None)
    if type(booster).__name__ != "Booster":
        return None
    xgboost = sys.modules["xgboost"]

    def predict(array: Any, params: Optional[Dict[str, Any]]) -> Any:
        return booster.predict(xgboost.DMatrix(array, feature_names=booster.feature_names))

    return predict
