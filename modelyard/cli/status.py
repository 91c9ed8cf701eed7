"""`modelyard status`: the state of endpoints, deployments, workers and running jobs."""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

import typer

from modelyard.cli.job_display import mini_batches_of
from modelyard.cli.options import OutputFormat
from modelyard.cli.output import Column, Output, columns_of, show, write
from modelyard.cli.progress import note
from modelyard.cli.session import session_of
from modelyard.client.documents.identity import batch_endpoint_document, deployment_document, endpoint_document
from modelyard.client.documents.job import job_document
from modelyard.client.job_progress import JobProgress
from modelyard.client.overview import DeploymentOverview, Overview, read_overview
from modelyard.core.domain.deployment import workers_per_instance

_ENDPOINTS = (
    Column("Endpoint", "name"),
    Column("State", "provisioning_state"),
    Column("Traffic", "traffic"),
    Column("Scoring URI", "scoring_uri"),
)
_DEPLOYMENTS = (
    Column("Deployment", "name"),
    Column("Endpoint", "endpoint_name"),
    Column("State", "state"),
    Column("Model", "model"),
    Column("Ready", "ready"),
)
_FAILURES = (
    Column("Failed", "name"),
    Column("Endpoint", "endpoint_name"),
    Column("Why", "provisioning_error.message"),
)
_WORKERS = (
    Column("Worker", "worker"),
    Column("State", "state"),
    Column("Up", "up"),
    Column("Pid", "pid"),
    Column("Restarts", "restarts"),
    Column("Last exit", "last_exit_reason"),
    Column("Protected by", "protected_by"),
)
_BATCH_ENDPOINTS = (
    Column("Batch endpoint", "name"),
    Column("State", "provisioning_state"),
    Column("Default deployment", "defaults.deployment_name"),
)
_JOBS = (
    Column("Job", "name"),
    Column("Endpoint", "endpoint_name"),
    Column("Status", "status"),
    Column("Mini-batches", "mini_batches"),
    Column("Rows", "progress.rows.scored"),
    Column("Failed files", "progress.files.failed"),
)
_READY = "Ready"


def status(context: typer.Context, output: OutputFormat = None) -> None:
    """Show endpoints, deployments, workers (state, restarts, last exit reason) and running jobs."""
    with session_of(context).client() as client:
        overview = read_overview(client)
    for server in overview.unavailable:
        note(f"the platform is degraded: {server['name']}: {server['message']}")
    if output in {Output.JSON, Output.YAML}:
        show(status_document(overview), output)
    elif overview.endpoints or overview.batch_endpoints:
        write(status_tables(overview, datetime.now(UTC)))
    else:
        note("nothing is deployed yet; to deploy a model: modelyard deploy ./model")


def status_document(overview: Overview) -> dict[str, Any]:
    return {
        "health": {
            "status": "degraded" if overview.unavailable else "healthy",
            "unavailable": list(overview.unavailable),
        },
        "endpoints": [
            {
                **endpoint_document(endpoint.resource),
                "deployments": [
                    {
                        **deployment_document(deployment.resource),
                        "step": deployment.step,
                        "workers": [_worker_document(worker) for worker in deployment.workers],
                    }
                    for deployment in endpoint.deployments
                ],
            }
            for endpoint in overview.endpoints
        ],
        "batch_endpoints": [batch_endpoint_document(endpoint) for endpoint in overview.batch_endpoints],
        "jobs": [job_document(job) for job in overview.jobs],
    }


def status_tables(overview: Overview, now: datetime) -> str:
    """Print a table for each kind, without empty tables."""
    deployments = [deployment for endpoint in overview.endpoints for deployment in endpoint.deployments]
    lines = [_deployment_line(deployment) for deployment in deployments]
    sections: tuple[tuple[tuple[Column, ...], list[dict[str, Any]]], ...] = (
        (_ENDPOINTS, [endpoint_document(endpoint.resource) for endpoint in overview.endpoints]),
        (_DEPLOYMENTS, lines),
        (_FAILURES, [line for line in lines if line.get("provisioning_error")]),
        (_WORKERS, [line for deployment in deployments for line in _worker_lines(deployment, now)]),
        (_BATCH_ENDPOINTS, [batch_endpoint_document(endpoint) for endpoint in overview.batch_endpoints]),
        (_JOBS, [_job_line(job) for job in overview.jobs]),
    )
    return "\n\n".join(columns_of(rows, columns) for columns, rows in sections if rows)


def _deployment_line(deployment: DeploymentOverview) -> dict[str, Any]:
    document = deployment_document(deployment.resource)
    state = str(document.get("provisioning_state", ""))
    ready = sum(1 for worker in deployment.workers if worker["state"] == _READY)
    return {
        **document,
        "state": f"{state} ({deployment.step})" if deployment.step else state,
        "ready": f"{ready} of {_worker_count(document)}",
    }


def _worker_count(document: Mapping[str, Any]) -> int:
    return int(document.get("instance_count", 1)) * workers_per_instance(document.get("environment_variables", {}))


def _worker_lines(deployment: DeploymentOverview, now: datetime) -> Iterator[dict[str, Any]]:
    document = deployment_document(deployment.resource)
    for worker in deployment.workers:
        yield {
            **_worker_document(worker),
            "worker": f"{document.get('endpoint_name')}/{document['name']}#{worker['slot']}",
            "up": _age(worker.get("startedAt"), now),
            "protected_by": ", ".join(worker.get("protections") or ()) or "no sandbox",
        }


def _job_line(job: Mapping[str, Any]) -> dict[str, Any]:
    return {**job_document(job), "mini_batches": mini_batches_of(JobProgress.of(job)).removesuffix(" mini-batches")}


def _worker_document(worker: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "worker_id": worker.get("workerId"),
        "generation": worker.get("generation"),
        "slot": worker.get("slot"),
        "state": worker.get("state"),
        "pid": worker.get("pid"),
        "restarts": worker.get("restarts"),
        "last_exit_reason": worker.get("lastExitReason"),
        "protections": worker.get("protections"),
        "started_at": worker.get("startedAt"),
    }


def _age(started_at: str | None, now: datetime) -> str:
    """Format the age of a timestamp in the largest unit: "3 h"."""
    if not started_at:
        return ""
    seconds = max(0, int((now - datetime.fromisoformat(started_at)).total_seconds()))
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds // size} {unit}"
    return f"{seconds} s"
