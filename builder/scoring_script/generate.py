"""Generate a deployment's `score.py` for the flavor and signature of the model.

The gateway enforces the signature before a worker gets a request. The script therefore calls the function that the
loaded model's `predict` calls after enforcing, and calls `predict` where `predict` does more.
"""

import json
from dataclasses import dataclass
from importlib.resources import files
from string import Template

from builder.scoring_script.signature_text import describe_inputs, describe_params, input_kind
from modelyard.core.domain.mlmodel import MLModel

# Flavors whose pyfunc `predict` only enforces the signature and calls the loaded implementation, in every MLflow from
# 1.x on. Other flavors (language models, agents) set up contexts and retries around the call.
_ONLY_ENFORCE = frozenset(
    {
        "sklearn",
        "xgboost",
        "lightgbm",
        "catboost",
        "onnx",
        "statsmodels",
        "pmdarima",
        "prophet",
        "pytorch",
        "tensorflow",
        "keras",
        "spacy",
        "h2o",
        "paddle",
        "shap",
    }
)
_CUSTOM_LOADER = "mlflow.pyfunc.model"

_FIND_PREDICT = '''def inner_predict(loaded):
    """The function that loaded.predict() calls after enforcing the signature, or None in an MLflow without one."""
    if "openai" in sys.modules:
        # MLflow 2 retries calls to OpenAI in predict().
        return None
    return getattr(getattr(loaded, "_model_impl", None), PREDICT_FUNCTION, None)


def accepts_params(function):
    """Models of MLflow before 2.6 take no params."""
    try:
        found = inspect.signature(function).parameters.get("params")
    except (TypeError, ValueError):
        return False
    return found is not None and found.kind is not inspect.Parameter.VAR_KEYWORD


'''

_DIRECT = {
    "imports": "import inspect\n",
    "more_imports": "import sys\n",
    "predict_declaration": "predict = None\npasses_params = False\n",
    "globals": "model, predict, passes_params",
    "bind_predict": (
        "    predict = inner_predict(model) or model.predict\n    passes_params = accepts_params(predict)\n"
    ),
    "call_predict": "    return predict(input_data, params=params) if passes_params else predict(input_data)\n",
    "functions": _FIND_PREDICT,
}
_THROUGH_PYFUNC = {
    "imports": "",
    "more_imports": "",
    "predict_declaration": "",
    "globals": "model",
    "bind_predict": "",
    "call_predict": "    return model.predict(input_data, params=params) if params else model.predict(input_data)\n",
    "functions": "",
}


@dataclass(frozen=True, slots=True)
class ScriptSubject:
    """The model of a script."""

    name: str
    version: str
    folder_name: str
    mlmodel: MLModel


def generate_scoring_script(subject: ScriptSubject) -> str:
    direct = calls_inner_predict(subject.mlmodel)
    parts = _DIRECT if direct else _THROUGH_PYFUNC
    template = Template(files(__package__).joinpath("score.py.template").read_text(encoding="utf-8"))
    return template.substitute(
        parts,
        model=_in_docstring(f"{subject.name}, version {subject.version}"),
        description=_in_docstring(_description(subject, direct)),
        constants=_constants(subject, direct),
        input_data=input_kind(subject.mlmodel.signature),
    )


def calls_inner_predict(model: MLModel) -> bool:
    """Whether the model's `predict` does no more than enforce the signature and call the inner function."""
    if model.type_hints:
        return False
    is_own_loader = not model.loader_module.startswith("mlflow.")
    return is_own_loader or model.flavor in _ONLY_ENFORCE or model.loader_module == _CUSTOM_LOADER


def _constants(subject: ScriptSubject, direct: bool) -> str:
    lines = [
        "# The registered model folder, below AZUREML_MODEL_DIR.",
        f"MODEL_FOLDER = {_quoted(subject.folder_name)}",
    ]
    if direct:
        lines += [
            "# The predict function that the model was logged with (pyfunc_predict_fn).",
            f"PREDICT_FUNCTION = {_quoted(subject.mlmodel.predict_fn)}",
        ]
    return "\n".join(lines) + "\n"


def _description(subject: ScriptSubject, direct: bool) -> str:
    model = subject.mlmodel
    logged_with = f", logged with MLflow {model.mlflow_version}" if model.mlflow_version else ""
    how = (
        f"Modelyard enforces the signature before run(), which calls the model's {model.predict_fn}() directly."
        if direct
        else "run() calls the model's predict(), which does more for this model than enforce a signature."
    )
    lines = [f"Flavor {model.flavor}, loaded by {model.loader_module}{logged_with}.", how]
    lines += _listed("Inputs", describe_inputs(model.signature))
    lines += _listed("Parameters", describe_params(model.signature))
    return "\n".join(lines)


def _listed(title: str, entries: list[str]) -> list[str]:
    return ["", f"{title}:", *(f"    {entry}" for entry in entries)] if entries else []


def _quoted(text: str) -> str:
    """A Python literal in double quotes."""
    return json.dumps(text, ensure_ascii=False)


def _in_docstring(text: str) -> str:
    """Escape a user's text, lest it end the docstring or start an escape."""
    return text.replace("\\", "\\\\").replace('"""', '\\"\\"\\"')
