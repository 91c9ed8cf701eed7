"""Built environments in the database."""

from collections.abc import Sequence

from sqlalchemy import Select, or_, select
from sqlalchemy.orm import Session

from control_plane.features.environments.environment_version import BuiltEnvironment
from control_plane.resources.workspaces.workspace import Workspace
from modelyard.core.db.rows import (
    BatchDeploymentRow,
    BatchEndpointRow,
    BuiltEnvironmentRow,
    GenerationRow,
    JobRow,
    OnlineDeploymentRow,
    OnlineEndpointRow,
)
from modelyard.core.domain.lifecycle import ENDED_JOBS, GenerationState

_IN_USE = (GenerationState.QUEUED, GenerationState.BUILDING, GenerationState.BUILT, GenerationState.SERVING)


def list_built(session: Session, workspace: Workspace | None) -> Sequence[BuiltEnvironment]:
    """The built environments that a deployment or job of the workspace has used, with the present users.

    Workspaces share a built environment, and learn of the environments and users of their own only. None: list every
    environment with the users of all workspaces.
    """
    used: dict[str, set[tuple[str, str]]] = {}
    for generation in session.scalars(_generations(workspace)):
        users, deployment = used.setdefault(str(generation.lock_hash), set()), generation.owner
        if generation.state in _IN_USE:
            users.add((deployment.endpoint.name, deployment.name))
    for lock_hash, state, endpoint, deployment_name in session.execute(_jobs(workspace)):
        users = used.setdefault(lock_hash, set())
        if state not in ENDED_JOBS:
            users.add((endpoint, deployment_name))
    built = select(BuiltEnvironmentRow).order_by(BuiltEnvironmentRow.created_at)
    if workspace is not None:
        built = built.where(BuiltEnvironmentRow.lock_hash.in_(used))
    return [
        BuiltEnvironment(
            lock_hash=row.lock_hash,
            folder=row.folder,
            python_version=row.python_version,
            size_bytes=row.size_bytes,
            used_by=tuple(sorted(used.get(row.lock_hash, ()))),
        )
        for row in session.scalars(built)
    ]


def _jobs(workspace: Workspace | None) -> Select[str, str, str, str]:
    jobs = select(JobRow.lock_hash, JobRow.state, JobRow.endpoint, JobRow.deployment)
    return jobs if workspace is None else jobs.where(JobRow.workspace_id == workspace.key)


def _generations(workspace: Workspace | None) -> Select[GenerationRow]:
    """Built generations of the workspace's deployments, online and batch."""
    built = select(GenerationRow).where(GenerationRow.lock_hash.is_not(None))
    if workspace is None:
        return built
    online = select(OnlineDeploymentRow.id).join(OnlineEndpointRow)
    batch = select(BatchDeploymentRow.id).join(BatchEndpointRow)
    return built.where(
        or_(
            GenerationRow.deployment_id.in_(online.where(OnlineEndpointRow.workspace_id == workspace.key)),
            GenerationRow.batch_deployment_id.in_(batch.where(BatchEndpointRow.workspace_id == workspace.key)),
        )
    )
