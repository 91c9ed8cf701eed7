"""The model as an experienced user serves it by hand: the estimator from MLflow's folder, and arrays into `predict`."""

import os
import warnings
from pathlib import Path

import cloudpickle
import numpy as np
import pandas as pd

MODEL_FOLDER = "BENCH_MODEL_FOLDER"
"""Variable with the model's folder."""

# scikit-learn says so of every array, because the model was fitted to a DataFrame.
warnings.filterwarnings("ignore", message="X does not have valid feature names")


class ServedModel:
    def __init__(self):
        with open(Path(os.environ[MODEL_FOLDER]) / "model.pkl", "rb") as file:
            self._estimator = cloudpickle.load(file)
        self._columns = list(self._estimator.feature_names_in_)
        # A pipeline that selects its column by name takes no array.
        self.selects_by_name = hasattr(self._estimator, "steps")

    def predict(self, rows):
        """Return a list of predictions for a list of rows, or for an array of shape (rows, columns)."""
        if self.selects_by_name:
            return self._estimator.predict(pd.DataFrame(rows, columns=self._columns)).tolist()
        return self._estimator.predict(np.asarray(rows, dtype=np.float64)).tolist()

    def predict_requests(self, requests):
        """Return a list of predictions for each of several lists of rows, with one call of the model."""
        predictions = iter(self.predict([row for rows in requests for row in rows]))
        return [[next(predictions) for _ in rows] for rows in requests]
