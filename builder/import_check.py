"""Check the imports of the model's loader in an environment, as the account for code of packages."""

import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from builder.build_run import BuildRun
from builder.build_sandbox import BuildSandbox
from builder.errors import ImportCheckFailed
from builder.import_error_hints import explain_import_error
from builder.interpreters.probe import Interpreter
from builder.supervised_process import run_supervised
from modelyard.core.domain.mlmodel import MLModel

# Each module is printed first, so that the failing module is known even when the interpreter crashes.
_SCRIPT = """
import importlib, sys
for name in sys.argv[1:]:
    print("importing", name, flush=True)
    importlib.import_module(name)
"""
_PROGRESS = re.compile(r"^importing (\S+)\n?", re.MULTILINE)
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


def check_imports(
    environment: Path,
    modules: tuple[str, ...],
    *,
    interpreter: Interpreter,
    user: int | None,
    sandbox: BuildSandbox | None,
    run: BuildRun,
    file: str = "conda.yaml",
) -> None:
    """Import the modules in the environment, as the user id `user`, without a network. Raises ImportCheckFailed.

    `interpreter` is the environment's base, `file` the environment file for the message.
    """
    with _empty_home(user) as home:
        confined = (
            None
            if sandbox is None
            else sandbox.of(
                own=(home,), read=(environment, interpreter.prefix), has_network=False, owns_account=user is not None
            )
        )
        finished = run_supervised(
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
            sandbox=confined,
            timeout=_TIMEOUT_SECONDS,
        )
    if not finished.succeeded:
        started = _PROGRESS.findall(finished.output)
        action = f"importing {started[-1]}" if started else "starting the interpreter"
        failure = explain_import_error(_PROGRESS.sub("", finished.output), file)
        raise ImportCheckFailed(f"all packages install, but {action} fails: {failure.error}. {failure.hint}")


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
