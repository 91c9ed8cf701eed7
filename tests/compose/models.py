"""Models for the Python of the image."""

import warnings
from pathlib import Path

import mlflow.sklearn
import numpy as np
import pandas as pd
from mlflow.models import infer_signature

from tests.e2e.models import ROWS, linear_model, save_loader

PYTHON = "3.12"
PACKAGES = ["mlflow-skinny==3.17.2", "scikit-learn==1.9.1", "pandas", "numpy"]
SECONDS_OF_THOUGHT = 4


def save_linear(folder: Path) -> Path:
    model = linear_model()
    with warnings.catch_warnings():
        # MLflow catches its own warnings as errors and then writes another model.
        warnings.simplefilter("ignore")
        mlflow.sklearn.save_model(
            model,
            folder,
            signature=infer_signature(ROWS, model.predict(ROWS)),
            conda_env={"dependencies": [f"python={PYTHON}", "pip", {"pip": PACKAGES}]},
            serialization_format="cloudpickle",
        )
    return folder


def save_thoughtful(folder: Path, *, python: str = PYTHON, packages: tuple[str, ...] = ()) -> Path:
    """A model that prints a line at the start of a request and answers four seconds later."""
    return save_loader(
        folder,
        f"""
        import time

        class Model:
            def predict(self, model_input, params=None):
                print("thinking", flush=True)
                time.sleep({SECONDS_OF_THOUGHT})
                return [1.0] * len(model_input)

        def _load_pyfunc(path):
            return Model()
        """,
        python=python,
        pip=packages,
    )


def save_rows(folder: Path, files: int, rows: int = 20) -> Path:
    """Input files with rows for the linear model."""
    folder.mkdir()
    for number in range(files):
        random = np.random.default_rng(number)
        frame = pd.DataFrame({"x": random.normal(size=rows), "y": random.normal(size=rows), "n": range(rows)})
        frame.to_csv(folder / f"{number:03}.csv", index=False)
    return folder


def expected_of(folder: Path) -> np.ndarray:
    whole = pd.concat([pd.read_csv(file) for file in sorted(folder.iterdir())])
    return linear_model().predict(whole)
