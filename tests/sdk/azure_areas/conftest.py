"""The client of the tests in this folder, which run in an environment with the Azure SDK and without Modelyard.

The environment variables are those of `modelyard client-env`, and MODELYARD_TEST_FOLDER names the folder of the inputs.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from azure.ai.ml import MLClient
from azure.ai.ml.constants._endpoint import EndpointInvokeFields
from azure.ai.ml.entities import BatchEndpoint, ManagedOnlineEndpoint
from azure.identity import DefaultAzureCredential

INPUTS = Path(os.environ["MODELYARD_TEST_FOLDER"])


@pytest.fixture(scope="session")
def inputs() -> Path:
    """`linear/` is a model, `rows.json` a request, `rows/` two CSV files."""
    return INPUTS


@pytest.fixture(scope="session")
def release() -> str:
    """In names, because two releases of the SDK use one workspace."""
    return os.environ["MODELYARD_TEST_RELEASE"]


@pytest.fixture(scope="session")
def ml() -> MLClient:
    return MLClient(DefaultAzureCredential(), "00000000-0000-0000-0000-000000000000", "local", "default")


@pytest.fixture(autouse=True)
def forget_the_named_deployment() -> Iterator[None]:
    """Undo a fault of the SDK, which sends the deployment of an `invoke` with each later one of the process."""
    yield
    EndpointInvokeFields.DEFAULT_HEADER.pop(EndpointInvokeFields.MODEL_DEPLOYMENT, None)


@contextmanager
def _endpoints(operations: Any, kind: type, release: str) -> Iterator[Callable[..., str]]:
    """Creates endpoints, deleted at the end of the block."""
    made = []

    def make(name: str, **fields: object) -> str:
        full_name = f"{name}-{release}"
        operations.begin_create_or_update(kind(name=full_name, **fields)).result()
        made.append(full_name)
        return full_name

    yield make
    for endpoint in made:
        operations.begin_delete(endpoint).result()


@pytest.fixture(scope="module")
def make_online_endpoint(ml: MLClient, release: str) -> Iterator[Callable[..., str]]:
    """Creates an online endpoint, deleted at the end of the module."""
    with _endpoints(ml.online_endpoints, ManagedOnlineEndpoint, release) as make:
        yield make


@pytest.fixture(scope="module")
def make_batch_endpoint(ml: MLClient, release: str) -> Iterator[Callable[..., str]]:
    """Creates a batch endpoint, deleted at the end of the module."""
    with _endpoints(ml.batch_endpoints, BatchEndpoint, release) as make:
        yield make
