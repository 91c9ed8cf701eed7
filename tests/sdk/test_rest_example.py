"""`examples/rest.sh`, the REST flow of Azure's samples, against a whole platform."""

import csv
import json
import os
import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "examples" / "rest.sh"


def test_rest_flow_of_azures_samples_scores_online_and_in_a_batch_job(
    platform, inputs: Path, client_variables: dict[str, str], tmp_path: Path
):
    model = inputs / "linear"
    example = json.loads((model / "serving_input_example.json").read_text())["dataframe_split"]
    request = tmp_path / "request.json"
    request.write_text(json.dumps({"input_data": example}))
    files = tmp_path / "files"
    files.mkdir()
    for name in ("a b.csv", "c.csv"):
        with (files / name).open("w", newline="") as file:
            csv.writer(file).writerows([example["columns"], *example["data"]])
    done = subprocess.run(
        [SCRIPT, model, request, files, tmp_path],
        env={**os.environ, **client_variables, "SUFFIX": "example"},
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
