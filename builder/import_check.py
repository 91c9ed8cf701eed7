"""Check the imports of the model's loader in an environment, as the user of model workers."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from builder.build_run import BuildRun
from builder.supervised_process import FinishedProcess, run_supervised
from modelyard.core.domain.mlmodel import MLModel

_SCRIPT = """
import importlib, sys
for name in sys.argv[1:]:
    importlib.import_module(name)
"""
_ALWAYS = ("numpy", "pandas", "mlflow.pyfunc")
_TIMEOUT_SECONDS = 600.0

# The library of each flavor, which the flavor's loader imports only when a model is loaded.
_LIBRARIES = {
    "sklearn": "sklearn",
    "xgboost": "xgboost",
    "lightgbm": "lightgbm",
    "catboost": "catboost",
    "onnx": "onnxruntime",
    "pytorch": "torch",
    "tensorflow": "tensorflow",
    "keras": "keras",
    "statsmodels": "statsmodels",
    "prophet": "prophet",
    "pmdarima": "pmdarima",
    "spacy": "spacy",
    "transformers": "transformers",
    "sentence_transformers": "sentence_transformers",
    "langchain": "langchain",
    "paddle": "paddle",
    "shap": "shap",
    "h2o": "h2o",
    "fastai": "fastai",
    "spark": "pyspark",
}


def modules_to_import(model: MLModel) -> tuple[str, ...]:
    """The loader and library of the model's flavor. A loader in the model's own code is left to the model worker, which
    has the code on its import path."""
    loader = (model.loader_module,) if model.loader_module.startswith("mlflow.") else ()
    library = (_LIBRARIES[model.flavor],) if loader and model.flavor in _LIBRARIES else ()
    return tuple(dict.fromkeys((*_ALWAYS, *loader, *library)))


def check_imports(environment: Path, modules: tuple[str, ...], *, user: int | None, run: BuildRun) -> FinishedProcess:
    """Import the modules in the environment, as the user id of model workers."""
    with _empty_home(user) as home:
        return run_supervised(
            [environment / "bin" / "python", "-I", "-W", "ignore", "-c", _SCRIPT, *modules],
            environ={
                "PATH": f"{environment / 'bin'}:{os.defpath}",
                "HOME": str(home),
                "TMPDIR": str(home),
                "LANG": "C.UTF-8",
            },
            cwd=home,
            run=run,
            user=user,
            timeout=_TIMEOUT_SECONDS,
        )


@contextmanager
def _empty_home(user: int | None) -> Iterator[Path]:
    """An empty, writable HOME: some packages write a configuration file on import."""
    home = Path(tempfile.mkdtemp(prefix="modelyard-check-"))
    try:
        if user is not None:
            os.chown(home, user, user)
        yield home
    finally:
        shutil.rmtree(home, ignore_errors=True)
