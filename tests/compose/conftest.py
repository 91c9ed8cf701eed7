"""One stack for all tests: started once, and removed with its volumes after success and failure."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from tests.compose.engine import composes, run
from tests.compose.models import save_linear
from tests.compose.stack import IMAGE, SERVICES, Stack


@pytest.fixture(scope="session")
def image(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The image of this checkout, built by the build section of docker-compose.yml."""
    assert composes(), "no docker-compose here: install docker-compose, or Docker's compose plugin"
    Stack(tmp_path_factory.mktemp("build")).compose("build")
    return IMAGE


@pytest.fixture(scope="session")
def stack(image: str, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Iterator[Stack]:
    stack = Stack(tmp_path_factory.mktemp("stack"))
    try:
        stack.up()
        yield stack
        if request.session.testsfailed:
            print(stack.logs())
    finally:
        volumes = stack.volumes()
        stack.remove()
        assert not [container for service in SERVICES for container in stack.containers(service)]
        assert not volumes & set(run("docker", "volume", "ls", "--quiet").stdout.split())


@pytest.fixture(scope="session")
def linear_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_linear(tmp_path_factory.mktemp("models") / "linear")


@pytest.fixture(scope="session")
def online(stack: Stack, linear_folder: Path) -> str:
    """The endpoint that `modelyard deploy` created from the model folder."""
    stack.cli("deploy", linear_folder, "--endpoint-name", "linear")
    return "linear"


@pytest.fixture(scope="session")
def batch(stack: Stack, linear_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A batch endpoint of the same model, with one file a mini-batch."""
    folder = tmp_path_factory.mktemp("yaml")
    (folder / "model").symlink_to(linear_folder)
    (folder / "endpoint.yml").write_text(json.dumps({"name": "rows"}))
    deployment = {
        "name": "linear",
        "endpoint_name": "rows",
        "type": "model",
        "model": {"name": "linear-rows", "path": "model"},
        "compute": "azureml:batch-cluster",
        "settings": {"mini_batch_size": 1},
    }
    (folder / "deployment.yml").write_text(yaml.safe_dump(deployment))
    stack.cli("batch-endpoint", "create", "-f", folder / "endpoint.yml")
    stack.cli("batch-deployment", "create", "-f", folder / "deployment.yml", "--set-default")
    return "rows"
