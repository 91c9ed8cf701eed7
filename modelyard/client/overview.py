"""The endpoints, deployments and workers, and the running jobs, for `modelyard status`."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from modelyard.client.client import Client
from modelyard.client.errors import ApiError
from modelyard.client.job_progress import JobProgress

_UNDER_WAY = frozenset({"creating", "updating", "scaling", "deleting"})
_NOT_FOUND = 404


@dataclass(frozen=True, slots=True)
class DeploymentOverview:
    resource: Mapping[str, Any]
    step: str | None
    """The step of the current operation."""
    workers: tuple[Mapping[str, Any], ...]


@dataclass(frozen=True, slots=True)
class EndpointOverview:
    resource: Mapping[str, Any]
    deployments: tuple[DeploymentOverview, ...]


@dataclass(frozen=True, slots=True)
class Overview:
    endpoints: tuple[EndpointOverview, ...]
    batch_endpoints: tuple[Mapping[str, Any], ...]
    jobs: tuple[Mapping[str, Any], ...]
    """Return the jobs that have not ended, with progress."""
    unavailable: tuple[Mapping[str, str], ...] = ()
    """Servers of the platform that do not answer: {"name", "message"}."""


def read_overview(client: Client) -> Overview:
    return Overview(
        tuple(_online_endpoints(client)),
        tuple(client.batch_endpoints.list()),
        tuple(client.jobs.get(str(job["name"])) for job in client.jobs.newest() if not JobProgress.of(job).has_ended),
        tuple(client.health().get("unavailable", ())),
    )


def _online_endpoints(client: Client) -> Iterator[EndpointOverview]:
    for endpoint in client.online_endpoints.list():
        name = str(endpoint["name"])
        yield EndpointOverview(endpoint, tuple(_deployments(client, name)))


def _deployments(client: Client, endpoint: str) -> Iterator[DeploymentOverview]:
    """Yield the deployments. A deployment deleted during the request is left out."""
    try:
        for deployment in client.online_deployments.list(endpoint):
            workers = tuple(client.online_deployments.workers(endpoint, str(deployment["name"])))
            yield DeploymentOverview(deployment, _step(client, deployment), workers)
    except ApiError as error:
        if error.status != _NOT_FOUND:
            raise


def _step(client: Client, deployment: Mapping[str, Any]) -> str | None:
    state = str(deployment["properties"].get("provisioningState", "")).lower()
    return client.online_deployments.step(deployment) if state in _UNDER_WAY else None
