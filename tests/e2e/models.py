"""Real models for the end-to-end tests, logged by MLflow or written in the layout of MLflow."""

import json
import warnings
from pathlib import Path
from textwrap import dedent

import mlflow.sklearn
import pandas as pd
import yaml
from mlflow.models import infer_signature
from sklearn.linear_model import LinearRegression

ROWS = pd.DataFrame({"x": [1.0, 2.0, 3.0, 4.0], "y": [0.5, 0.25, 4.0, 1.0], "n": [1, 2, 3, 5]})


def linear_model() -> LinearRegression:
    return LinearRegression().fit(ROWS, [3.0, 5.0, 11.0, 9.0])


def save_sklearn(folder: Path) -> Path:
    """A linear regression with a signature of two doubles and a long, and an input example."""
    model = linear_model()
    with warnings.catch_warnings():
        # MLflow catches its own warnings as errors and then writes another model.
        warnings.simplefilter("ignore")
        mlflow.sklearn.save_model(
            model,
            folder,
            signature=infer_signature(ROWS, model.predict(ROWS)),
            input_example=ROWS.head(2),
            pip_requirements=["mlflow-skinny==3.17.2", "scikit-learn==1.9.1", "pandas", "numpy"],
            serialization_format="cloudpickle",
        )
    return folder


def save_loader(folder: Path, loader: str, *, python: str = "3.11", pip: tuple[str, ...] = ("pandas", "numpy")) -> Path:
    """A python_function model with the loader module `loader` and the packages `pip`.

    `loader` is the source of a module with `_load_pyfunc(path)`, as MLflow asks of a loader module.
    """
    (folder / "code").mkdir(parents=True)
    (folder / "code" / "own_loader.py").write_text(dedent(loader))
    (folder / "data").write_text("")
    flavor = {"loader_module": "own_loader", "code": "code", "data": "data", "env": "conda.yaml"}
    flavors = {"python_function": {**flavor, "python_version": python}}
    (folder / "MLmodel").write_text(yaml.safe_dump({"flavors": flavors, "mlflow_version": "2.17.2"}))
    dependencies = [f"python={python}", "pip", {"pip": ["mlflow-skinny==2.17.2", *pip]}]
    (folder / "conda.yaml").write_text(yaml.safe_dump({"name": "env", "dependencies": dependencies}))
    return folder


def answering(expression: str, *, before: str = "") -> str:
    """A loader module whose model answers `expression` (of `model_input`) after running `before` at load time."""
    return f"""
{before}

class Model:
    def predict(self, model_input, params=None):
        return {expression}

def _load_pyfunc(path):
    return Model()
"""


def write_json(path: Path, content: object) -> Path:
    path.write_text(json.dumps(content))
    return path
