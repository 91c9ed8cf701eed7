"""The `MLmodel` file, MLflow's description of a model, read without MLflow.

Source: mlflow.models.Model and mlflow.pyfunc (1.x to 3.x). Only the python_function flavor can be served.
"""

import codecs
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from modelyard.core.domain.bounded_yaml import DEEPEST, RefusedYaml, load_yaml
from modelyard.core.domain.declared_text import shown, unprintable_in
from modelyard.core.errors import InvalidModel

MLMODEL_FILE = "MLmodel"
_PYFUNC = "python_function"
_LOADER_PREFIX = "mlflow."


@dataclass(frozen=True, slots=True)
class RawSignature:
    """The three parts of the signature as JSON texts, or None for an absent part."""

    inputs: str | None
    outputs: str | None
    params: str | None


@dataclass(frozen=True, slots=True)
class MLModel:
    flavors: Mapping[str, Mapping[str, Any]]
    loader_module: str
    conda_env: str | None
    """File name of the conda environment, relative to the model folder."""
    python_env: str | None
    """File name of the python_env.yaml, relative to the model folder."""
    python_version: str | None
    mlflow_version: str | None
    predict_fn: str
    signature: RawSignature | None
    type_hints: bool
    """The input comes from a type hint: MLflow passes the raw list, without enforcing columns."""
    type_from_example: bool
    """The type hint is TypeFromExample: MLflow enforces the signature, then converts to the type of the example."""
    created_at: datetime | None
    input_example: str | None
    """File name of the JSON input example, as a serving payload where there is such a file."""

    @property
    def flavor(self) -> str:
        """Native flavor ("sklearn"), or "python_function" for a model without a native flavor."""
        named = self.loader_module.removeprefix(_LOADER_PREFIX).split(".")[0]
        if named in self.flavors:
            return named
        return next((name for name in self.flavors if name != _PYFUNC), _PYFUNC)


def parse_mlmodel(content: bytes) -> MLModel:
    """Read an MLmodel file. Raises InvalidModel with the line to look at."""
    document = _load(content)
    flavors = _flavors(document)
    pyfunc = flavors[_PYFUNC]
    conda, python_env = _environment_files(pyfunc.get("env"))
    return MLModel(
        flavors=flavors,
        loader_module=_loader_module(pyfunc),
        conda_env=conda,
        python_env=python_env,
        python_version=_line(pyfunc, "python_version"),
        mlflow_version=_line(document, "mlflow_version"),
        predict_fn=_predict_function(pyfunc),
        signature=_signature(document.get("signature")),
        type_hints=bool(document.get("is_signature_from_type_hint")),
        type_from_example=bool(document.get("type_hint_from_example")),
        created_at=_created_at(document),
        input_example=_input_example(document.get("saved_input_example_info")),
    )


def _load(content: bytes) -> dict[str, Any]:
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise InvalidModel(
            "the MLmodel file is UTF-16, which MLflow cannot read; save it as UTF-8", target=MLMODEL_FILE
        )
    try:
        document = load_yaml(content)
    except RefusedYaml as refusal:
        raise InvalidModel(
            f"the MLmodel file is refused: {refusal}; log the model again with MLflow", target=MLMODEL_FILE
        ) from None
    if not isinstance(document, dict):
        raise InvalidModel("the MLmodel file is not a mapping; log the model again with MLflow", target="MLmodel")
    return document


def _flavors(document: dict[str, Any]) -> dict[str, dict[str, Any]]:
    flavors = document.get("flavors")
    if not isinstance(flavors, dict) or not all(isinstance(entry, dict) for entry in flavors.values()):
        raise InvalidModel(
            "the MLmodel file has no 'flavors' mapping; log the model again with MLflow", target="flavors"
        )
    if _PYFUNC not in flavors:
        found = shown(", ".join(flavors) or "none")
        raise InvalidModel(
            f"the model has no python_function flavor (flavors: {found}), the only flavor that can be served: "
            "log the model with a flavor that MLflow can load as pyfunc",
            target="flavors",
        )
    for name in flavors:
        _check_line(name, "a flavor's name")
    return flavors


def _loader_module(pyfunc: dict[str, Any]) -> str:
    loader = pyfunc.get("loader_module")
    if not isinstance(loader, str) or not all(part.isidentifier() for part in loader.split(".")):
        raise InvalidModel(
            f"flavors.python_function.loader_module in MLmodel is {shown(loader)}, which is not a module name: "
            "log the model again with MLflow",
            target="loader_module",
        )
    return loader


def _predict_function(pyfunc: dict[str, Any]) -> str:
    name = _line(pyfunc, "predict_fn") or "predict"
    if not name.isidentifier():
        raise InvalidModel(
            f"flavors.python_function.predict_fn in MLmodel is {shown(name)}, which is not a function name: "
            "log the model again with MLflow",
            target="predict_fn",
        )
    return name


def _environment_files(env: object) -> tuple[str | None, str | None]:
    """`env` is a file name (MLflow 1.x) or {"conda": file, "virtualenv": file}."""
    if isinstance(env, str):
        return _path({"env": env}, "env"), None
    if isinstance(env, dict):
        return _path(env, "conda"), _path(env, "virtualenv")
    return None, None


def _signature(entry: object) -> RawSignature | None:
    if not isinstance(entry, dict):
        return None
    parts = {name: _signature_part(entry, name) for name in ("inputs", "outputs", "params")}
    return RawSignature(**parts) if any(parts.values()) else None


def _signature_part(entry: dict[str, Any], name: str) -> str | None:
    """The JSON text as written. Text that is no JSON is left to the deployment, whose error tells the place."""
    text = _text(entry, name)
    if text is None:
        return None
    try:
        depth = _depth(json.loads(text))
    except ValueError:
        return text
    except RecursionError:
        depth = DEEPEST + 1
    if depth > DEEPEST:
        raise InvalidModel(
            f"the signature's {name} in MLmodel nest deeper than {DEEPEST} levels: log the model with a flatter "
            "signature",
            target="signature",
        )
    return text


def _depth(document: Any) -> int:
    """Levels of lists and objects; stops one level below the limit."""
    depth, level = 0, [document]
    while level and depth <= DEEPEST:
        nested = (entry for entry in level if isinstance(entry, (list, dict)))
        level = [value for entry in nested for value in (entry.values() if isinstance(entry, dict) else entry)]
        depth += 1
    return depth


def _created_at(document: dict[str, Any]) -> datetime | None:
    text = _line(document, "utc_time_created")
    if text is None:
        return None
    try:
        created = datetime.fromisoformat(text)
    except ValueError:
        return None
    return created if created.tzinfo else created.replace(tzinfo=UTC)


def _input_example(entry: object) -> str | None:
    if not isinstance(entry, dict):
        return None
    return _path(entry, "serving_input_path") or _path(entry, "artifact_path")


def _path(entry: dict[str, Any], name: str) -> str | None:
    """The path with "/" between folders: a model logged on Windows has backslashes."""
    text = _line(entry, name)
    return None if text is None else text.replace("\\", "/")


def _line(entry: dict[str, Any], name: str) -> str | None:
    text = _text(entry, name)
    return None if text is None else _check_line(text, name)


def _text(entry: dict[str, Any], name: str) -> str | None:
    value = entry.get(name)
    if isinstance(value, (dict, list)):
        raise InvalidModel(f"{name} in MLmodel is a list or mapping, not text: log the model again with MLflow")
    return None if value is None else str(value)


def _check_line(text: str, name: str) -> str:
    character = unprintable_in(text)
    if character is not None:
        raise InvalidModel(
            f"{name} in MLmodel is {shown(text)}, with the control character {character}: log the model again "
            "with MLflow",
            target=name,
        )
    return text
