"""MLflow's deployment client, with the plugin that Modelyard registers, against a platform over https."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import mlflow
import numpy as np
import pytest
from mlflow.deployments import get_deploy_client
from mlflow.exceptions import MlflowException

from modelyard.mlflow_deployments import ModelyardDeploymentClient
from tests.e2e.models import ROWS, linear_model

# MLflow opens its own database.
pytestmark = pytest.mark.filterwarnings("ignore::sqlalchemy.exc.SADeprecationWarning")

PREDICTIONS = linear_model().predict(ROWS)
MODEL = "models:/wine@champion"


@pytest.fixture(scope="module")
def registry(inputs: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """An MLflow registry with the model `wine`, whose version 1 has the alias `champion`."""
    folder = tmp_path_factory.mktemp("registry")
    uri = f"sqlite:///{folder}/mlflow.db"
    mlflow.set_tracking_uri(uri)
    mlflow.MlflowClient().create_registered_model("wine")
    mlflow.MlflowClient().create_model_version("wine", str(inputs / "linear"))
    mlflow.MlflowClient().set_registered_model_alias("wine", "champion", "1")
    yield uri
    mlflow.set_tracking_uri(None)


@pytest.fixture(scope="module")
def client(registry: str, client_variables: dict[str, str]) -> Iterator[ModelyardDeploymentClient]:
    with pytest.MonkeyPatch.context() as patch:
        for name, value in client_variables.items():
            patch.setenv(name, value)
        yield get_deploy_client("modelyard")


@pytest.fixture(scope="module")
def wine(client: ModelyardDeploymentClient) -> Iterator[str]:
    """An endpoint with the deployments blue (all traffic) and green."""
    client.create_endpoint("wine", config={"auth_mode": "key", "tags.team": "red"})
    for name in ("blue", "green"):
        client.create_deployment(name, MODEL, endpoint="wine", config={"instance_count": 1})
    yield "wine"
    client.delete_endpoint("wine")


def test_predictions_by_endpoint_and_by_deployment_equal_those_of_the_model(client, wine):
    for chosen in ({}, {"deployment_name": "green"}):
        answer = client.predict(inputs=ROWS, endpoint=wine, **chosen)
        np.testing.assert_allclose(answer.get_predictions("ndarray"), PREDICTIONS, rtol=1e-12)


def test_endpoint_and_deployments_are_read_and_listed(client, wine):
    assert client.get_endpoint(wine)["tags"] == {"team": "red"}
    assert wine in {endpoint["name"] for endpoint in client.list_endpoints()}
    assert client.get_deployment("blue", wine)["provisioning_state"] == "Succeeded"
    assert {deployment["name"] for deployment in client.list_deployments(wine)} == {"blue", "green"}
    assert {"blue", "green"} <= {deployment["name"] for deployment in client.list_deployments()}


def test_equal_content_is_one_version(client, wine):
    assert client.get_deployment("blue", wine)["model"] == client.get_deployment("green", wine)["model"]


def test_traffic_moves_step_by_step(client, wine):
    assert client.get_endpoint(wine)["traffic"]["blue"] == 100
    client.update_endpoint(wine, config={"traffic": {"blue": 90, "green": 10}})
    assert client.get_endpoint(wine)["traffic"] == {"blue": 90, "green": 10}
    client.update_deployment("green", endpoint=wine, config={"traffic": {"blue": 100, "green": 0}})
    assert client.get_endpoint(wine)["traffic"]["blue"] == 100


def test_settings_of_a_deployment_change(client, wine):
    client.update_deployment("green", endpoint=wine, config={"request_settings.request_timeout_ms": "9000"})
    assert client.get_deployment("green", wine)["request_settings"]["request_timeout_ms"] == 9000


def test_deployment_with_a_share_of_the_traffic_is_not_deleted(client, wine):
    client.update_endpoint(wine, config={"traffic": {"blue": 90, "green": 10}})
    with pytest.raises(MlflowException, match="10 % of the traffic") as raised:
        client.delete_deployment("green", endpoint=wine)
    assert raised.value.error_code == "RESOURCE_CONFLICT"
    client.update_endpoint(wine, config={"traffic": {"blue": 100}})
    client.delete_deployment("green", endpoint=wine)
    client.delete_deployment("green", endpoint=wine)
    assert [deployment["name"] for deployment in client.list_deployments(wine)] == ["blue"]


@pytest.mark.parametrize(
    ("call", "code", "message"),
    [
        (lambda client: client.get_deployment("absent", "wine"), "RESOURCE_DOES_NOT_EXIST", "absent"),
        (lambda client: client.create_endpoint("wine"), "RESOURCE_ALREADY_EXISTS", "wine"),
        (lambda client: client.create_deployment("blue", MODEL, endpoint="wine"), "RESOURCE_ALREADY_EXISTS", "blue"),
        (lambda client: client.update_endpoint("wine", {"traffic": {"blue": 70}}), "INVALID_PARAMETER_VALUE", "70"),
        (lambda client: client.update_endpoint("wine", {"colour": "red"}), "INVALID_PARAMETER_VALUE", "colour"),
        (
            lambda client: client.predict(inputs=ROWS[["x"]], endpoint="wine"),
            "INVALID_PARAMETER_VALUE",
            "missing required column",
        ),
        (lambda client: client.explain("blue", ROWS, "wine"), "FEATURE_DISABLED", "no explanations"),
    ],
    ids=["absent", "same endpoint", "same deployment", "traffic", "unknown field", "violation", "explain"],
)
def test_error_has_the_code_of_mlflow_and_the_sentence_of_the_platform(client, wine, call, code, message):
    with pytest.raises(MlflowException, match=message) as raised:
        call(client)
    assert raised.value.error_code == code


def test_target_names_a_workspace(client):
    with pytest.raises(MlflowException, match="there is no workspace 'absent'"):
        get_deploy_client("modelyard:/absent").list_endpoints()


def test_command_line_creates_and_deletes_a_deployment_with_an_endpoint_of_its_name(client, registry, client_variables):
    def mlflow_deployments(*arguments: str) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "mlflow", "deployments", *arguments, "-t", "modelyard"],
            env={**os.environ, **client_variables, "MLFLOW_TRACKING_URI": registry},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=300,
        )
        assert done.returncode == 0, done.stdout
        return done.stdout

    mlflow_deployments("create", "-m", MODEL, "--name", "plain")
    np.testing.assert_allclose(client.predict("plain", ROWS).get_predictions("ndarray"), PREDICTIONS, rtol=1e-12)
    mlflow_deployments("update", "--name", "plain", "-C", "description=plain")
    mlflow_deployments("delete", "--name", "plain")
    assert "plain" not in {endpoint["name"] for endpoint in client.list_endpoints()}
