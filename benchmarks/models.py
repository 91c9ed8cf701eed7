"""The models for all servers: trained here and saved by MLflow, with the package versions of this environment."""

import logging
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

_TRAINED_ON = 400
_SEED = 20
_DECIMALS = 6
PACKAGES = ("mlflow", "scikit-learn", "numpy", "pandas", "scipy", "cloudpickle")
"""Packages that affect predictions: every server's environment has the same versions."""

_WORDS = (  # noqa: SIM905  (a list would take a page)
    "late delivery refund broken screen thanks great service invoice missing charger battery slow "
    "friendly staff wrong colour size return exchange discount code expired password reset account locked"
).split()


@dataclass(frozen=True, slots=True)
class SavedModel:
    name: str
    folder: Path
    rows: pd.DataFrame
    """Rows to sample requests from."""
    predict: Callable[[pd.DataFrame], list[Any]]
    """Predictions of the loaded model in this process."""
    estimator: Any
    """scikit-learn's object."""

    def frames(self, rows: int, count: int) -> list[pd.DataFrame]:
        """Return `count` different frames of `rows` rows."""
        picked = np.random.default_rng(rows).integers(0, len(self.rows), (count, rows))
        return [self.rows.iloc[indexes].reset_index(drop=True) for indexes in picked]


def pins(packages: Sequence[str] = PACKAGES) -> list[str]:
    return [f"{package}=={version(package)}" for package in packages]


def train_and_save(name: str, folder: Path) -> SavedModel:
    """Train the model `name`, a key of `MODELS`, and save the model to `folder`."""
    warnings.simplefilter("ignore")
    logging.getLogger("mlflow").setLevel(logging.ERROR)
    import mlflow.pyfunc
    import mlflow.sklearn
    from mlflow.models import infer_signature

    model, rows = MODELS[name]()
    mlflow.sklearn.save_model(
        model,
        folder,
        signature=infer_signature(rows, model.predict(rows)),
        input_example=rows.head(2),
        pip_requirements=pins(),
        # MLflow's default serialization format does not support tree models.
        serialization_format="cloudpickle",
    )
    loaded = mlflow.pyfunc.load_model(str(folder))
    return SavedModel(name, folder, rows, lambda frame: loaded.predict(frame).tolist(), model)


def _numbers(columns: int) -> tuple[pd.DataFrame, Any]:
    random = np.random.default_rng(_SEED)
    values = random.normal(size=(_TRAINED_ON, columns)).round(_DECIMALS)
    frame = pd.DataFrame(values, columns=[f"feature_{number:03d}" for number in range(columns)])
    return frame, values @ random.normal(size=columns) + random.normal(scale=0.1, size=_TRAINED_ON)


def _elastic_net(columns: int) -> tuple[Any, pd.DataFrame]:
    from sklearn.linear_model import ElasticNet

    frame, target = _numbers(columns)
    return ElasticNet(alpha=0.05).fit(frame, target), frame


def _forest() -> tuple[Any, pd.DataFrame]:
    from sklearn.ensemble import RandomForestRegressor

    frame, target = _numbers(10)
    return RandomForestRegressor(n_estimators=100, random_state=_SEED).fit(frame, target), frame


def _text() -> tuple[Any, pd.DataFrame]:
    from sklearn.compose import ColumnTransformer
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    random = np.random.default_rng(_SEED)
    texts = [" ".join(random.choice(_WORDS, size=random.integers(5, 25))) for _ in range(_TRAINED_ON)]
    frame = pd.DataFrame({"text": texts})
    vectors = ColumnTransformer([("words", TfidfVectorizer(), "text")])
    about_money = frame["text"].str.contains("refund|invoice|discount").astype(int)
    return make_pipeline(vectors, LogisticRegression()).fit(frame, about_money), frame


MODELS: Mapping[str, Callable[[], tuple[Any, pd.DataFrame]]] = {
    "elasticnet": lambda: _elastic_net(10),
    "forest": _forest,
    "wide": lambda: _elastic_net(200),
    "text": _text,
}
DESCRIPTIONS: Mapping[str, str] = {
    "elasticnet": "ElasticNet, 10 double columns",
    "forest": "random forest of 100 trees, 10 double columns",
    "wide": "ElasticNet, 200 double columns",
    "text": "Tfidf and LogisticRegression, one string column",
}
