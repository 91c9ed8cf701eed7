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
# Flavors whose models read an array of numbers as they read a DataFrame with the same numbers.
_TAKE_ARRAYS = frozenset({"sklearn", "xgboost", "lightgbm", "catboost"})
_CUSTOM_LOADER = "mlflow.pyfunc.model"

_FIND_PREDICT = '''def inner_predict(loaded):
    """The function that loaded.predict() calls after enforcing the signature, or None in an MLflow without one."""
    if "openai" in sys.modules:
        # MLflow 2 retries calls to OpenAI in predict().
        return None
    return getattr(getattr(loaded, "_model_impl", None), PREDICT_FUNCTION, None)


'''
_CONTEXT = '''def prediction_context():
    """The context that model.predict() gives to a request; MLflow before 2.10 has none."""
    if not hasattr(mlflow.pyfunc, "set_prediction_context"):
        return contextlib.nullcontext()
    context = mlflow.pyfunc.Context(**described)
    return mlflow.pyfunc.set_prediction_context(context)


def describe(loaded):
    """The facts about the model in the context of each request."""
    found = {}
    if getattr(loaded, "model_id", None):
        found["model_id"] = loaded.model_id
    schemas = (getattr(loaded.metadata, "metadata", None) or {}).get("dependencies_schemas")
    if schemas:
        found["dependencies_schemas"] = {name: json.dumps(schema) for name, schema in schemas.items()}
    return found


'''
_CONVERSION = '''def as_example(frame):
    """The frame in the type of the input example, which the type hint TypeFromExample asks for."""
    convert = getattr(mlflow.pyfunc, "_convert_dataframe_to_example_format", None)
    example = getattr(model, "input_example", None)
    return frame if convert is None or example is None else convert(frame, example)


'''
_TYPED_BY_HINT = "the list in the request, which predict() validates by the model's type hint"
_CALL = "predict(input_data, params=params) if passes_params else predict(input_data)"


@dataclass(frozen=True, slots=True)
class ScriptSubject:
    """The model of a script."""

    name: str
    version: str
    folder_name: str
    mlmodel: MLModel


def generate_scoring_script(subject: ScriptSubject) -> str:
    model = subject.mlmodel
    direct = calls_inner_predict(model)
    # The code of MLflow's own flavors reads no context.
    has_context = direct and model.flavor not in _ONLY_ENFORCE
    template = Template(files(__package__).joinpath("score.py.template").read_text(encoding="utf-8"))
    return template.substitute(
        model=_in_docstring(f"{subject.name}, version {subject.version}"),
        description=_in_docstring(_description(subject, direct)),
        constants=_constants(subject, direct),
        input_data=_TYPED_BY_HINT if model.type_hints else input_kind(model.signature),
        imports=("import contextlib\n" if has_context else "") + "import inspect\n",
        more_imports="import sys\n" if direct else "",
        found_predict="inner_predict(model) or model.predict" if direct else "model.predict",
        declare_described="described = {}\n" if has_context else "",
        globals="model, predict, passes_params" + (", described" if has_context else ""),
        bind_described="    described = describe(model)\n" if has_context else "",
        call=_call(has_context=has_context, converts=direct and model.type_from_example),
        functions="".join(
            text
            for text, is_used in (
                (_FIND_PREDICT, direct),
                (_CONTEXT, has_context),
                (_CONVERSION, direct and model.type_from_example),
            )
            if is_used
        ),
    )


def _call(*, has_context: bool, converts: bool) -> str:
    convert = "    input_data = as_example(input_data)\n" if converts else ""
    if has_context:
        return f"{convert}    with prediction_context():\n        return {_CALL}\n"
    return f"{convert}    return {_CALL}\n"


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
    if direct and subject.mlmodel.flavor in _TAKE_ARRAYS:
        lines += [
            "# Modelyard may pass run() the DataFrame's numbers as an array, once both have given equal results.",
            "# Remove this line if run() needs a DataFrame. MODELYARD_FAST_PATH=off has the same effect.",
            "ACCEPTS_ARRAY = True",
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
