"""`examples/rest.sh`, the REST flow of Azure's samples, against a whole platform."""

import csv
import json
import os
import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "examples" / "rest.sh"


def test_rest_flow_of_azures_samples_scores_online_and_in_a_batch_job(platform, sklearn_folder: Path, tmp_path: Path):
    example = json.loads((sklearn_folder / "serving_input_example.json").read_text())["dataframe_split"]
    request = tmp_path / "request.json"
    request.write_text(json.dumps({"input_data": example}))
    inputs = tmp_path / "inputs"
    inputs.mkdir()
    for name in ("a b.csv", "c.csv"):
        with (inputs / name).open("w", newline="") as file:
            csv.writer(file).writerows([example["columns"], *example["data"]])
    done = subprocess.run(
        [SCRIPT, sklearn_folder, request, inputs, tmp_path],
        env={**os.environ, "MODELYARD_URL": platform.url, "MODELYARD_TOKEN": platform.token, "SUFFIX": "example"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    online = json.loads(done.stdout)
    values = [float(row[1]) for row in csv.reader((tmp_path / "predictions.csv").read_text().splitlines())]
    assert values == pytest.approx(list(online) * 2)
    left = platform.cli("online-endpoint", "list").stdout + platform.cli("batch-endpoint", "list").stdout
    assert "example" not in left
