"""A second workspace of a whole platform: deployment, scoring, a batch job and the audit chain, by the command line."""

import json
from pathlib import Path

import pandas as pd
import pytest
import yaml

from tests.e2e.platform import Platform

pytestmark = pytest.mark.long


@pytest.fixture
def team(platform: Platform, monkeypatch: pytest.MonkeyPatch) -> Platform:
    """The platform with a workspace of a team, which the command line uses."""
    platform.cli("workspace", "create", "-n", "team")
    monkeypatch.setitem(platform.environment, "MODELYARD_WORKSPACE", "team")
    return platform


def test_second_workspace_deploys_scores_and_keeps_its_files_apart(team: Platform, sklearn_folder: Path, tmp_path):
    team.cli("deploy", sklearn_folder, "--endpoint-name", "team-tour")
    request = tmp_path / "request.json"
    request.write_text(json.dumps({"input_data": {"columns": ["x", "y", "n"], "data": [[1.0, 2.0, 3]]}}))
    invoked = team.cli("online-endpoint", "invoke", "-n", "team-tour", "--request-file", request)
    assert json.loads(invoked.stdout)

    deployment = {
        "name": "linear", "endpoint_name": "team-rows", "type": "model", "compute": "azureml:local",
        "model": {"name": "team-linear", "path": str(sklearn_folder)},
    }  # fmt: skip
    (tmp_path / "deployment.yml").write_text(yaml.safe_dump(deployment))
    team.cli("batch-endpoint", "create", "-n", "team-rows")
    team.cli("batch-deployment", "create", "-f", tmp_path / "deployment.yml", "--set-default")
    rows = tmp_path / "rows.csv"
    pd.DataFrame({"x": [1.0], "y": [2.0], "n": [3]}).to_csv(rows, index=False)
    job = team.cli("batch-endpoint", "invoke", "-n", "team-rows", "--input", rows).stdout.strip()
    assert "Completed" in team.cli("job", "stream", "-n", job).stderr
    lines = team.cli("job", "download", "-n", job, "-p", tmp_path / "got", "--all").stdout.splitlines()
    assert {Path(line).name for line in lines} >= {"predictions.csv", "job_progress_overview.txt"}

    workspace = json.loads(team.cli("workspace", "list", "-o", "json").stdout)[-1]
    assert workspace["name"] == "team"
    del team.environment["MODELYARD_WORKSPACE"]
    assert job not in team.cli("job", "list", "-o", "json").stdout
    assert "team-tour" not in team.cli("online-endpoint", "list", "-o", "json").stdout
    assert team.cli("workspace", "delete", "-n", "team", "--yes", check=False).returncode == 1
    verified = json.loads(team.cli("audit", "verify").stdout)
    assert verified["faults"] == []
    assert team.cli("audit", "verify", "--checkpoint", verified["head"]).returncode == 0
