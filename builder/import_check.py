"""Whether what the model's loader needs can be imported: asked in the environment, as the user that workers run as."""

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from builder.supervised_process import CancellationToken, Finished, run
from modelyard.core.domain.mlmodel import MLModel

_SCRIPT = """
import importlib, sys
for name in sys.argv[1:]:
    importlib.import_module(name)
"""
_ALWAYS = ("numpy", "pandas", "mlflow.pyfunc")
_PATIENCE_SECONDS = 600.0

# What a flavor's loader imports only when it loads a model.
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
    """The loader of a model with its own code is imported by the worker, which knows the code's place."""
    loader = (model.loader_module,) if model.loader_module.startswith("mlflow.") else ()
    library = (_LIBRARIES[model.flavor],) if loader and model.flavor in _LIBRARIES else ()
    return tuple(dict.fromkeys((*_ALWAYS, *loader, *library)))


def check_imports(
    environment: Path,
    modules: tuple[str, ...],
    *,
    user: int | None,
    alive: CancellationToken,
    say: Callable[[str], None],
) -> Finished:
    with _empty_home(user) as home:
        return run(
            [environment / "bin" / "python", "-I", "-W", "ignore", "-c", _SCRIPT, *modules],
            environ={
                "PATH": f"{environment / 'bin'}:{os.defpath}",
                "HOME": str(home),
                "TMPDIR": str(home),
                "LANG": "C.UTF-8",
            },
            cwd=home,
            alive=alive,
            on_line=say,
            user=user,
            timeout=_PATIENCE_SECONDS,
        )


@contextmanager
def _empty_home(user: int | None) -> Iterator[Path]:
    """Some packages write a configuration below HOME when they are imported."""
    home = Path(tempfile.mkdtemp(prefix="modelyard-check-"))
    try:
        if user is not None:
            os.chown(home, user, user)
        yield home
    finally:
        shutil.rmtree(home, ignore_errors=True)
