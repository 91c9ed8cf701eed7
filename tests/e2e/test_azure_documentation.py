"""The conda.yaml that Azure's documentation prints, and a model that was logged in its environment."""

import subprocess
from pathlib import Path

import pytest
import yaml

from tests.cached_environments import cached_environment
from tests.data_plane.replicas.interpreters import interpreters

PINS = (
    *("pip<=23.1.2", "mlflow==2.7.1", "cloudpickle==1.6.0", "dataclasses==0.6", "lz4==4.0.0", "numpy==1.23.5"),
    *("packaging==23.0", "psutil==5.9.0", "pyyaml==6.0", "scikit-learn==1.1.2", "scipy==1.10.1", "uuid==1.30"),
)
CONDA = {
    "channels": ["conda-forge"],
    "dependencies": ["python=3.10.11", PINS[0], {"pip": list(PINS[1:])}],
    "name": "mlflow-env",
}
TRAINING = """
import sys, yaml
import mlflow.sklearn, numpy as np, pandas as pd
from mlflow.models import infer_signature
from sklearn.ensemble import RandomForestRegressor

frame = pd.DataFrame({"a": [1.0, 2.0, 3.0, 4.0], "b": [0.5, 1.5, 2.5, 0.0]})
model = RandomForestRegressor(n_estimators=5, random_state=0).fit(frame, [1.0, 2.0, 3.0, 4.0])
signature = infer_signature(frame, model.predict(frame))
mlflow.sklearn.save_model(model, sys.argv[1], conda_env=yaml.safe_load(open(sys.argv[2])), signature=signature)
print(model.predict(frame).tolist())
"""


@pytest.fixture(scope="module")
def logged(tmp_path_factory) -> tuple[Path, list[float]]:
    """The model folder, and the model's predictions in the environment of its training."""
    folder = tmp_path_factory.mktemp("documented")
    (folder / "conda.yaml").write_text(yaml.safe_dump(CONDA))
    # setuptools comes with pip in a user's own environment.
    python = cached_environment(interpreters().get("3.10", "3.10"), [*PINS[1:], "setuptools<81"])
    done = subprocess.run(
        [python, "-c", TRAINING, folder / "model", folder / "conda.yaml"],
        check=True,
        capture_output=True,
        text=True,
    )
    return folder / "model", yaml.safe_load(done.stdout.splitlines()[-1])


pytestmark = pytest.mark.long


def test_documented_environment_builds_and_serves_the_predictions_of_training(platform, logged):
    folder, predictions = logged
    platform.cli("deploy", folder, "--endpoint-name", "documented")
    body = {"input_data": {"columns": ["a", "b"], "data": [[1.0, 0.5], [2.0, 1.5], [3.0, 2.5], [4.0, 0.0]]}}
    answer = platform.score("documented", body)
    assert answer.status_code == 200
    assert answer.json() == predictions


def test_build_log_names_the_patch_version_and_the_added_requirement(platform, logged):
    name = platform.list("/onlineEndpoints/documented/deployments")[0]["name"]
    arguments = ("-e", "documented", "-n", name, "--container", "storage-initializer", "--lines", "5000")
    log = platform.cli("online-deployment", "get-logs", *arguments).stdout
    assert "3.10.11" in log
    assert "setuptools<81" in log
