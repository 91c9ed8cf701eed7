"""A real model: the progression of diabetes after one year, by scikit-learn, saved by MLflow."""

import logging
import warnings
from dataclasses import dataclass
from pathlib import Path

import pandas as pd


@dataclass(frozen=True, slots=True)
class SavedModel:
    folder: Path
    description: str
    rows: pd.DataFrame
    """Patients outside the training data, one row each."""
    predictions: list[float]
    """The model's predictions for `rows`, in this process."""


def train_and_save(folder: Path) -> SavedModel:
    """Train and save a model as in a notebook, without a scoring script or an environment."""
    warnings.simplefilter("ignore")
    import mlflow.sklearn
    from mlflow.models import infer_signature
    from sklearn.datasets import load_diabetes
    from sklearn.ensemble import GradientBoostingRegressor
    from sklearn.model_selection import train_test_split

    # The remarks of MLflow would interrupt the demo.
    logging.getLogger("mlflow").setLevel(logging.ERROR)
    patients, progression = load_diabetes(return_X_y=True, as_frame=True, scaled=False)
    known, unknown, targets, _ = train_test_split(patients, progression, random_state=0)
    model = GradientBoostingRegressor(random_state=0).fit(known, targets)
    mlflow.sklearn.save_model(
        model,
        folder,
        signature=infer_signature(known, model.predict(known)),
        input_example=known.head(2),
        # MLflow's default format does not support tree models.
        serialization_format="cloudpickle",
    )
    description = f"{type(model).__name__}, {len(known)} patients, {len(known.columns)} columns"
    return SavedModel(folder, description, unknown, model.predict(unknown).tolist())
