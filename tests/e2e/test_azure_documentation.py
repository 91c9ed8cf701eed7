"""The conda.yaml that Azure's documentation prints, with a model that was logged under it."""

import os
import subprocess
from pathlib import Path

import pytest
import yaml
from uv import find_uv_bin

from builder.interpreters.search import SearchPlaces

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
    """The model folder, and what the model predicts where it was trained."""
    folder = tmp_path_factory.mktemp("documented")
    (folder / "conda.yaml").write_text(yaml.safe_dump(CONDA))
    environment = folder / "environment"
    places = SearchPlaces.of(os.environ, home=Path.home(), fetched=folder)
    # A machine without one has uv fetch it.
    python = next((path for path in places.candidates() if "3.10" in str(path)), "3.10")
    uv = find_uv_bin()
    subprocess.run([uv, "venv", "-q", "--python", python, environment], check=True)
    # As a user's own environment would be: setuptools comes with pip there.
    wanted = [*PINS[1:], "setuptools<81"]
    subprocess.run([uv, "pip", "install", "-q", "--python", environment / "bin" / "python", *wanted], check=True)
    done = subprocess.run(
        [environment / "bin" / "python", "-c", TRAINING, folder / "model", folder / "conda.yaml"],
        check=True,
        capture_output=True,
        text=True,
    )
    return folder / "model", yaml.safe_load(done.stdout.splitlines()[-1])


def test_it_builds_and_serves_the_model_as_it_was_logged(platform, logged):
    folder, predictions = logged
    platform.cli("deploy", folder, "--endpoint-name", "documented")
    body = {"input_data": {"columns": ["a", "b"], "data": [[1.0, 0.5], [2.0, 1.5], [3.0, 2.5], [4.0, 0.0]]}}
    answer = platform.score("documented", body)
    assert answer.status_code == 200
    assert answer.json() == predictions


def test_the_log_says_which_patch_version_was_taken_and_what_was_added(platform, logged):
    name = platform.list("/onlineEndpoints/documented/deployments")[0]["name"]
    arguments = ("-e", "documented", "-n", name, "--container", "storage-initializer", "--lines", "5000")
    log = platform.cli("online-deployment", "get-logs", *arguments).stdout
    assert "3.10.11" in log
    assert "setuptools<81" in log
