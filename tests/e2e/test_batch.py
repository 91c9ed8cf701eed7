"""Batch endpoints through the whole platform, with the command line only."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

from tests.e2e.models import linear_model
from tests.e2e.platform import Platform

HEART = Path(__file__).parent / "heart_classifier_mlflow"
FILES = {"a.csv": 3, "b/c.csv": 1, "b/deep/d.csv": 5, "e.csv": 4}
"""Rows of each input file, in the order of the output."""


def rows_of(count: int, seed: int) -> pd.DataFrame:
    random = np.random.default_rng(seed)
    return pd.DataFrame({"x": random.normal(size=count), "y": random.normal(size=count), "n": range(count)})


@pytest.fixture(scope="module")
def endpoint(platform: Platform, sklearn_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A batch endpoint from az's YAML, with the linear model as the default deployment."""
    folder = tmp_path_factory.mktemp("yaml")
    (folder / "model").symlink_to(sklearn_folder)
    (folder / "endpoint.yml").write_text("name: rows\nauth_mode: aad_token\n")
    deployment = {
        "name": "linear",
        "endpoint_name": "rows",
        "type": "model",
        "model": {"name": "linear-rows", "path": "model"},
        "compute": "azureml:batch-cluster",
        "settings": {"mini_batch_size": 2, "retry_settings": {"max_retries": 1, "timeout": 60}},
    }
    (folder / "deployment.yml").write_text(yaml.safe_dump(deployment))
    platform.cli("batch-endpoint", "create", "-f", folder / "endpoint.yml")
    platform.cli("batch-deployment", "create", "-f", folder / "deployment.yml", "--set-default")
    return "rows"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Input files with rows, some in folders."""
    for seed, (path, count) in enumerate(FILES.items()):
        file = tmp_path / "input" / path
        file.parent.mkdir(parents=True, exist_ok=True)
        rows_of(count, seed).to_csv(file, index=False)
    return tmp_path / "input"


def invoke(platform: Platform, endpoint: str, *arguments: str | Path) -> str:
    return platform.cli("batch-endpoint", "invoke", "-n", endpoint, *arguments).stdout.strip()


def downloaded(platform: Platform, job: str, target: Path, *arguments: str) -> dict[str, Path]:
    lines = platform.cli("job", "download", "-n", job, "-p", target, *arguments).stdout.splitlines()
    return {Path(line).relative_to(target).as_posix(): Path(line) for line in lines}


def predictions_in(file: Path) -> pd.DataFrame:
    """Read the file with the column names of Azure's notebooks."""
    return pd.read_csv(file, names=["row", "prediction", "file"])


class TestJob:
    def test_output_has_the_predictions_of_the_model_in_the_order_of_the_input(
        self, platform, endpoint, folder, tmp_path
    ):
        job = invoke(platform, endpoint, "--input", folder)
        assert "Completed" in platform.cli("job", "stream", "-n", job).stderr
        files = downloaded(platform, job, tmp_path / "got", "--all")
        predictions = predictions_in(files["named-outputs/score/predictions.csv"])
        assert list(zip(predictions.file, predictions.row, strict=True)) == [
            (path, row) for path, count in FILES.items() for row in range(count)
        ]
        whole = pd.concat([rows_of(count, seed) for seed, count in enumerate(FILES.values())])
        assert predictions.prediction.to_numpy() == pytest.approx(linear_model().predict(whole), rel=1e-12)
        assert "artifacts/logs/job_progress_overview.txt" in files

    def test_show_and_list_report_progress_and_experiment(self, platform, endpoint, folder):
        job = invoke(platform, endpoint, "--input", folder / "b", "--experiment-name", "trial")
        platform.cli("job", "stream", "-n", job)
        shown = json.loads(platform.cli("job", "show", "-n", job).stdout)
        assert (shown["status"], shown["experiment_name"]) == ("Completed", "trial")
        assert shown["progress"]["rows"]["scored"] == 6
        assert shown["progress"]["files"] == {"total": 2, "failed": 0}
        for call in (("job", "list"), ("batch-endpoint", "list-jobs", "-n", endpoint)):
            assert json.loads(platform.cli(*call).stdout)[0]["name"] == job

    def test_job_settings_choose_path_name_and_format_of_the_output(self, platform, endpoint, folder, tmp_path):
        place = "azureml://datastores/workspaceblobstore/paths/here"
        settings = ("--set", "output_format=csv_with_header", "--set", "output_file_name=mine.csv")
        job = invoke(platform, endpoint, "--input", folder / "a.csv", "--output-path", place, *settings)
        platform.cli("job", "stream", "-n", job)
        (file,) = downloaded(platform, job, tmp_path).values()
        assert file.name == "mine.csv"
        written = pd.read_csv(file)
        assert len(written) == 3
        assert linear_model().predict(rows_of(3, 0)) == pytest.approx(written.iloc[:, 1].to_numpy(), rel=1e-12)
        again = platform.cli(
            *("batch-endpoint", "invoke", "-n", endpoint, "--input", folder / "a.csv", "--output-path", place),
            *settings,
            check=False,
        )
        assert again.returncode == 1
        assert "mine.csv" in again.stderr


class TestInvalidInput:
    @pytest.fixture
    def with_invalid_file(self, folder: Path) -> Path:
        rows_of(2, 0).drop(columns="y").to_csv(folder / "b" / "bad.csv", index=False)
        return folder

    def test_invalid_file_is_listed_in_errors_csv_and_the_job_completes(
        self, platform, endpoint, with_invalid_file, tmp_path
    ):
        job = invoke(platform, endpoint, "--input", with_invalid_file)
        done = platform.cli("job", "stream", "-n", job)
        assert "1 file failed" in done.stderr
        files = downloaded(platform, job, tmp_path / "got")
        assert len(predictions_in(files["named-outputs/score/predictions.csv"])) == sum(FILES.values())
        (failure,) = pd.read_csv(files["named-outputs/score/errors.csv"]).to_dict("records")
        assert "bad.csv" in str(failure["file"])
        assert "y" in str(failure["reason"])

    def test_more_invalid_files_than_the_threshold_fail_the_job_with_the_reasons(
        self, platform, endpoint, with_invalid_file
    ):
        job = invoke(platform, endpoint, "--input", with_invalid_file, "--set", "error_threshold=0")
        done = platform.cli("job", "stream", "-n", job, check=False)
        assert done.returncode == 1
        assert "bad.csv" in done.stderr
        assert json.loads(platform.cli("job", "show", "-n", job).stdout)["status"] == "Failed"


@pytest.mark.long
def test_heart_classifier_of_azure_runs_from_its_yaml_unchanged(platform, tmp_path):
    """The model was logged in 2022 with Python 3.8, scikit-learn 1.1.2 and xgboost 1.3.3."""
    example = HEART / "deployment-simple"
    platform.cli("model", "create", "-n", "heart-classifier-mlflow", "-p", example / "model", "-t", "mlflow_model")
    platform.cli("batch-endpoint", "create", "-f", HEART / "endpoint.yml")
    platform.cli("batch-deployment", "create", "-f", example / "deployment.yml", "--set-default")
    job = invoke(platform, "heart-classifier-batch", "--input", HEART / "data")
    platform.cli("job", "stream", "-n", job)
    predictions = predictions_in(downloaded(platform, job, tmp_path)["named-outputs/score/predictions.csv"])
    assert len(predictions) == 303
    assert predictions.groupby("file").prediction.sum().to_dict() == {
        f"heart-unlabeled-{number}.csv": positives for number, positives in enumerate((21, 31, 30, 3))
    }
