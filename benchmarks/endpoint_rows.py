"""Rows of many online endpoints, each with one deployment of one generation, for the benchmarks of many rows."""

from collections.abc import Callable
from typing import Any

from sqlalchemy import insert

from control_plane.resources.endpoints.credentials import key_digest
from modelyard.core.db import lifecycle
from modelyard.core.db.rows import GenerationRow, OnlineDeploymentRow, OnlineEndpointRow
from modelyard.core.db.unit_of_work import Sessions, transaction
from modelyard.core.domain.lifecycle import ProvisioningState

DEPLOYMENT = "blue"
FILL_AT_ONCE = 1000


def endpoint_name(number: int) -> str:
    return f"endpoint-{number:05d}"


def fill_endpoints(
    sessions: Sessions, first: int, last: int, generation: Callable[[int], dict[str, Any]], *, running: int = 0
) -> None:
    """Add the endpoints from `first` up to `last`. The deployments below `running` are to be started, and all others
    have failed.

    `generation` returns the columns of the deployment's generation.
    """
    for start in range(first, last, FILL_AT_ONCE):
        numbers = range(start, min(start + FILL_AT_ONCE, last))
        with transaction(sessions) as work:
            lifecycle.next_routing_revision(work.session)
            endpoints = work.session.scalars(
                insert(OnlineEndpointRow).returning(OnlineEndpointRow.id, sort_by_parameter_order=True),
                [_endpoint(number) for number in numbers],
            ).all()
            deployments = work.session.scalars(
                insert(OnlineDeploymentRow).returning(OnlineDeploymentRow.id, sort_by_parameter_order=True),
                [
                    _deployment(endpoint, is_running=number < running)
                    for number, endpoint in zip(numbers, endpoints, strict=True)
                ],
            ).all()
            work.session.execute(
                insert(GenerationRow),
                [
                    {"deployment_id": deployment, "number": 1, **generation(number)}
                    for number, deployment in zip(numbers, deployments, strict=True)
                ],
            )


def _endpoint(number: int) -> dict[str, Any]:
    return {
        "workspace_id": 1,
        "name": endpoint_name(number),
        "auth_mode": "Key",
        "provisioning_state": ProvisioningState.SUCCEEDED,
        "primary_key_encrypted": "",
        "secondary_key_encrypted": "",
        "primary_key_digest": key_digest(f"primary of {number}"),
        "secondary_key_digest": key_digest(f"secondary of {number}"),
        "token_key_encrypted": "",
        "token_public_key": "",
        "traffic": {DEPLOYMENT: 100},
        "mirror_traffic": {},
    }


def _deployment(endpoint: int, *, is_running: bool) -> dict[str, Any]:
    return {
        "endpoint_id": endpoint,
        "name": DEPLOYMENT,
        "instance_count": 1,
        "provisioning_state": ProvisioningState.CREATING if is_running else ProvisioningState.FAILED,
        "failure_code": None if is_running else "BuildFailed",
        "failure_message": None if is_running else "the build failed",
        "wanted_generation": 1,
    }
