"""The whole stack: deployments, scoring, a restart of each service, and a restart of all."""

import json
import threading
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests.compose.light_load import LightLoad
from tests.compose.models import ROWS, expected_of, linear_model, save_rows, save_thoughtful
from tests.compose.stack import SERVICES, Stack
from tests.e2e.platform import wait_until

pytestmark = pytest.mark.timeout(900)

BODY = {"input_data": json.loads(ROWS.to_json(orient="split"))}
FILES = 24
"""So many files that a job outlasts the restart of a service."""


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_rows(tmp_path_factory.mktemp("rows") / "input", FILES)


@pytest.fixture
def thoughtful(stack: Stack, tmp_path: Path) -> str:
    stack.cli("deploy", save_thoughtful(tmp_path / "thoughtful"), "--endpoint-name", "thoughtful")
    return "thoughtful"


def begun(stack: Stack, endpoint: str, folder: Path) -> str:
    return stack.cli("batch-endpoint", "invoke", "-n", endpoint, "--input", folder).stdout.strip()


def predictions(stack: Stack, job: str, target: Path) -> np.ndarray:
    """The predictions of a job, as soon as the job has ended."""
    assert "Completed" in stack.cli("job", "stream", "-n", job).stderr
    (file,) = stack.cli("job", "download", "-n", job, "-p", target).stdout.splitlines()
    return pd.read_csv(file, names=["row", "prediction", "file"]).prediction.to_numpy()


def answers(stack: Stack, endpoint: str) -> list[float]:
    response = stack.score(endpoint, BODY)
    assert response.status_code == 200, response.text
    return response.json()


class TestContainers:
    def test_batch_containers_share_no_volume(self, stack):
        assert [container["Mounts"] for container in stack.containers("batch")] == [[], [], []]

    def test_containers_run_without_root_and_with_a_memory_limit(self, stack):
        for service in ("control-plane", "builder", "batch", "data-plane"):
            assert stack.inside(service, "id", "-u").stdout.strip() == "1000"
        for service in SERVICES:
            assert all(container["HostConfig"]["Memory"] > 0 for container in stack.containers(service))

    def test_ports_are_published_only_on_the_loopback_interface(self, stack):
        bindings = [
            binding["HostIp"]
            for service in SERVICES
            for container in stack.containers(service)
            for port in container["NetworkSettings"]["Ports"].values()
            for binding in port or []
        ]
        assert bindings == ["127.0.0.1", "127.0.0.1"]

    def test_supervisor_is_process_1(self, stack):
        for service in ("control-plane", "builder", "batch", "data-plane"):
            assert "modelyard up" in stack.inside(service, "cat", "/proc/1/cmdline").stdout.replace("\0", " ")


class TestScoring:
    def test_endpoint_answers_the_predictions_of_the_model(self, stack, online):
        assert answers(stack, online) == pytest.approx(list(linear_model().predict(ROWS)), rel=1e-12)

    def test_batch_job_scores_every_row_in_the_order_of_the_input(self, stack, batch, rows, tmp_path):
        got = predictions(stack, begun(stack, batch, rows), tmp_path)
        assert got == pytest.approx(expected_of(rows), rel=1e-12)

    def test_python_that_the_image_lacks_fails_the_deployment_with_the_way_to_add_it(self, stack, tmp_path):
        folder = save_thoughtful(tmp_path / "model", python="3.9")
        refused = stack.cli("deploy", folder, "--endpoint-name", "old", check=False)
        assert refused.returncode != 0
        said = " ".join(refused.stderr.split())
        assert "no Python 3.9 is in this image; add it to PYTHON_VERSIONS in .env" in said


class TestRestart:
    @pytest.mark.parametrize("service", SERVICES)
    def test_restart_of_a_service_loses_no_request_and_no_job(
        self, stack, online, batch, rows, tmp_path, service, record_property
    ):
        load = LightLoad(stack, online, BODY)
        with load.going_on(), ExitStack() as excuses:
            job = begun(stack, batch, rows)
            if service == "data-plane":
                excuses.enter_context(load.away())
            stack.stop(service)
            stack.start(service)
            # The model loads again when its data plane starts again.
            load.see_more()
            excuses.close()
            assert predictions(stack, job, tmp_path / "under-way") == pytest.approx(expected_of(rows), rel=1e-12)
            assert predictions(stack, begun(stack, batch, rows), tmp_path / "after") == pytest.approx(
                expected_of(rows), rel=1e-12
            )
        record_property("answered", load.answered)
        record_property("failed while away", load.failed_while_away)
        assert not load.failures

    def test_request_under_way_is_answered_before_the_data_plane_ends(self, stack, thoughtful):
        statuses: list[int] = []
        body = {"input_data": {"columns": ["x"], "data": [[1.0]]}}
        caller = threading.Thread(target=lambda: statuses.append(stack.score(thoughtful, body).status_code))
        caller.start()
        log = "grep -rqs thinking /var/lib/modelyard/workers"
        wait_until(
            lambda: stack.inside("data-plane", "sh", "-c", log, check=False).returncode == 0,
            60,
            "the model has the request",
        )
        stack.stop("data-plane")
        caller.join()
        stack.start("data-plane")
        assert statuses == [200]

    def test_deployment_succeeds_after_its_builder_was_away_and_stopped_in_the_middle(self, stack, online, tmp_path):
        stack.stop("builder")
        save_thoughtful(tmp_path / "model", packages=("tomli==2.2.1",))
        deployment = {"name": "second", "endpoint_name": online, "model": {"name": "other", "path": "model"}}
        (tmp_path / "deployment.yml").write_text(json.dumps(deployment))
        stack.cli("online-deployment", "create", "-f", tmp_path / "deployment.yml", "--no-wait")
        assert state_of(stack, online, "second") == "Creating"
        stack.start("builder")
        wait_until(
            lambda: "step: installing" in build_log(stack, online, "second"), 120, "the environment is being installed"
        )
        stack.stop("builder")
        stack.start("builder")
        wait_until(lambda: state_of(stack, online, "second") == "Succeeded", 300, "the deployment serves")


def state_of(stack: Stack, endpoint: str, deployment: str) -> str:
    shown = stack.cli("online-deployment", "show", "-e", endpoint, "-n", deployment, "-o", "json").stdout
    return json.loads(shown)["provisioning_state"]


def build_log(stack: Stack, endpoint: str, deployment: str) -> str:
    name = ("-e", endpoint, "-n", deployment)
    return stack.cli("online-deployment", "get-logs", *name, "--container", "storage-initializer").stdout


class TestDownAndUp:
    def test_endpoints_and_jobs_outlast_down_and_up(self, stack, online, batch, rows, tmp_path):
        job = begun(stack, batch, rows)
        before = predictions(stack, job, tmp_path / "before")
        stack.down()
        stack.up()
        wait_until(lambda: stack.score(online, BODY).status_code == 200, 120, "the model answers again")
        assert answers(stack, online) == pytest.approx(list(linear_model().predict(ROWS)), rel=1e-12)
        assert list(predictions(stack, job, tmp_path / "after")) == list(before)
        assert list(predictions(stack, begun(stack, batch, rows), tmp_path / "again")) == list(before)
