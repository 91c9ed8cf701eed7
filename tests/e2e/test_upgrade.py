"""A data dir that an earlier commit's code made starts and serves under the code of this checkout."""

import io
import json
import subprocess
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx2
import pandas as pd
import pytest
import yaml

from tests.e2e.load import Callers
from tests.e2e.models import save_loader
from tests.e2e.platform import Platform, wait_until
from tests.e2e.test_operation import settled

pytestmark = pytest.mark.long

EARLIER_COMMIT = "b5529db6e86b9aa23f781a50af2e14496983e8ed"
ROOT = Path(__file__).parents[2]
ENDPOINT, BATCH_ENDPOINT = "online", "rows"
MODEL = f"azureml:{ENDPOINT}:1"
BODY = {"input_data": [[1.0, 2.0]]}
SUMMING = """
class Model:
    def predict(self, model_input, params=None):
        return model_input.sum(axis=1).to_list()

def _load_pyfunc(path):
    return Model()
"""
SIGNATURE = {
    "inputs": json.dumps([{"name": "x", "type": "double"}, {"name": "y", "type": "double"}]),
    "outputs": json.dumps([{"type": "double"}]),
}


@dataclass(frozen=True)
class Upgraded:
    """A platform that runs the code of this checkout, and facts that the earlier code reported."""

    platform: Platform
    model: Path
    credentials: dict[str, str]
    token: str
    callers: Callers
    """Score the earlier endpoint without a pause since the first answer after the upgrade."""


@pytest.fixture(scope="module")
def earlier_checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    archive = subprocess.run(["git", "archive", EARLIER_COMMIT], cwd=ROOT, capture_output=True, check=False)
    assert archive.returncode == 0, (
        f"the upgrade test runs the code of commit {EARLIER_COMMIT}, and git cannot read that commit "
        f"({archive.stderr.decode().strip()}); fetch the whole history: git fetch --unshallow"
    )
    folder = tmp_path_factory.mktemp("earlier-checkout")
    with tarfile.open(fileobj=io.BytesIO(archive.stdout)) as files:
        files.extractall(folder, filter="data")
    return folder


@pytest.fixture(scope="module")
def upgraded(
    module_folder: Path, earlier_checkout: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Upgraded]:
    model = save_model(tmp_path_factory.mktemp("model") / "summing")
    platform = Platform(module_folder, checkout=earlier_checkout)
    platform.start()
    try:
        platform.cli("deploy", model, "--endpoint-name", ENDPOINT)
        create_batch_deployment(platform, BATCH_ENDPOINT, MODEL, tmp_path_factory.mktemp("yaml"))
        assert platform.score(ENDPOINT, BODY).json() == [3.0]
        credentials, token = credentials_of(platform), platform.token
        platform.stop()

        platform.checkout = None
        platform.start()
        wait_until(lambda: first_answer(platform, credentials["primaryKey"]), 60, "the earlier deployment serves")
        callers = Callers(platform, ENDPOINT, BODY, count=1)
        with callers.calling():
            yield Upgraded(platform, model, credentials, token, callers)
    finally:
        if platform.is_running:
            platform.stop()
    wait_until(lambda: not platform.processes(), 30, "no process is left")


def save_model(folder: Path) -> Path:
    save_loader(folder, SUMMING)
    mlmodel = yaml.safe_load((folder / "MLmodel").read_text())
    (folder / "MLmodel").write_text(yaml.safe_dump({**mlmodel, "signature": SIGNATURE}))
    return folder


def create_batch_deployment(platform: Platform, endpoint: str, model: str, folder: Path) -> None:
    deployment = {"name": "blue", "endpoint_name": endpoint, "type": "model", "model": model}
    (folder / "deployment.yml").write_text(yaml.safe_dump(deployment))
    platform.cli("batch-endpoint", "create", "-n", endpoint)
    platform.cli("batch-deployment", "create", "-f", folder / "deployment.yml", "--set-default")


def credentials_of(platform: Platform) -> dict[str, str]:
    answer = platform.rest("POST", f"/onlineEndpoints/{ENDPOINT}/listKeys")
    assert answer.status_code == 200, answer.text
    return answer.json()


def first_answer(platform: Platform, key: str) -> bool:
    """Whether the endpoint answers 200; until then the gateway may only ask callers to come again."""
    answer: httpx2.Response = platform.score(ENDPOINT, BODY, key=key)
    assert answer.status_code in (200, 503), answer.text
    assert answer.status_code == 200 or "retry-after" in answer.headers
    return answer.status_code == 200


def score_job(platform: Platform, endpoint: str, folder: Path) -> list[float]:
    (folder / "input").mkdir()
    pd.DataFrame([[1.0, 2.0], [3.0, 4.0]], columns=["x", "y"]).to_csv(folder / "input" / "a.csv", index=False)
    job = platform.cli("batch-endpoint", "invoke", "-n", endpoint, "--input", folder / "input").stdout.strip()
    platform.cli("job", "stream", "-n", job)
    (downloaded,) = platform.cli("job", "download", "-n", job, "-p", folder / "output").stdout.split()
    predictions: list[float] = pd.read_csv(downloaded, names=["row", "prediction", "file"]).prediction.tolist()
    return predictions


def test_keys_and_admin_token_stay_as_the_earlier_code_made_them(upgraded: Upgraded) -> None:
    assert upgraded.platform.token == upgraded.token
    assert credentials_of(upgraded.platform) == upgraded.credentials


def test_deployments_and_environments_of_the_earlier_code_are_listed(upgraded: Upgraded) -> None:
    (deployment,) = upgraded.platform.list(f"/onlineEndpoints/{ENDPOINT}/deployments")
    assert deployment["properties"]["provisioningState"] == "Succeeded"
    (batch_deployment,) = upgraded.platform.list(f"/batchEndpoints/{BATCH_ENDPOINT}/deployments")
    assert batch_deployment["properties"]["provisioningState"] == "Succeeded"
    assert len(upgraded.platform.list("/builtEnvironments")) == 1


def test_a_batch_deployment_of_the_earlier_code_scores_a_job(upgraded: Upgraded, tmp_path: Path) -> None:
    assert score_job(upgraded.platform, BATCH_ENDPOINT, tmp_path) == [3.0, 7.0]


def test_a_new_deployment_takes_over_from_one_of_the_earlier_code(upgraded: Upgraded, tmp_path: Path) -> None:
    platform, path = upgraded.platform, f"/onlineEndpoints/{ENDPOINT}"
    (blue,) = platform.list(f"{path}/deployments")
    green = {key: blue[key] for key in ("location", "sku", "properties")}
    assert platform.rest("PUT", f"{path}/deployments/green", green).status_code < 300
    assert settled(platform, f"{path}/deployments/green")["properties"]["provisioningState"] == "Succeeded"
    platform.cli("online-endpoint", "update", "-n", ENDPOINT, "--traffic", "green=100")
    answer = platform.score(ENDPOINT, BODY)
    assert answer.json() == [3.0]
    assert answer.headers["azureml-model-deployment"] == "green"


def test_a_model_and_endpoints_that_the_new_code_creates_serve(upgraded: Upgraded, tmp_path: Path) -> None:
    platform = upgraded.platform
    platform.cli("deploy", upgraded.model, "--endpoint-name", "later")
    assert platform.score("later", BODY).json() == [3.0]
    create_batch_deployment(platform, "later-rows", MODEL, tmp_path)
    assert score_job(platform, "later-rows", tmp_path) == [3.0, 7.0]


def test_no_request_since_the_first_answer_failed(upgraded: Upgraded) -> None:
    upgraded.callers.see_more()
    assert set(upgraded.callers.answers) == {"200"}
