"""Built environments in the database."""

from collections.abc import Sequence

from sqlalchemy import ColumnElement, CompoundSelect, Select, or_, select, union
from sqlalchemy.orm import InstrumentedAttribute, Session

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
from modelyard.core.domain.lifecycle import GenerationState, JobState

_IN_USE = (GenerationState.QUEUED, GenerationState.BUILDING, GenerationState.BUILT, GenerationState.SERVING)
_UNFINISHED = tuple(state for state in JobState if not state.is_final)


def list_built(session: Session, workspace: Workspace | None) -> Sequence[BuiltEnvironment]:
    """The built environments that a deployment or job of the workspace has used, with the present users.

    Workspaces share a built environment, and learn of the environments and users of their own only. None: list every
    environment with the users of all workspaces.
    """
    used: dict[str, set[tuple[str, str]]] = {}
    for lock_hash, endpoint, deployment in session.execute(_users(workspace)):
        used.setdefault(lock_hash, set()).add((endpoint, deployment))
    built = select(BuiltEnvironmentRow).order_by(BuiltEnvironmentRow.created_at)
    if workspace is not None:
        built = built.where(_is_known_in(workspace))
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


def _users(workspace: Workspace | None) -> CompoundSelect[str, str, str]:
    """Environment, endpoint and deployment of each present use."""
    online = _generations(OnlineDeploymentRow, OnlineEndpointRow, GenerationRow.deployment_id, workspace)
    batch = _generations(BatchDeploymentRow, BatchEndpointRow, GenerationRow.batch_deployment_id, workspace)
    jobs = select(JobRow.lock_hash, JobRow.endpoint, JobRow.deployment).where(JobRow.state.in_(_UNFINISHED))
    if workspace is not None:
        jobs = jobs.where(JobRow.workspace_id == workspace.key)
    in_use = GenerationRow.state.in_(_IN_USE)
    return union(online.where(in_use), batch.where(in_use), jobs)


def _is_known_in(workspace: Workspace) -> ColumnElement[bool]:
    """Whether a deployment or job of the workspace has used the environment."""
    online = _generations(OnlineDeploymentRow, OnlineEndpointRow, GenerationRow.deployment_id, workspace)
    batch = _generations(BatchDeploymentRow, BatchEndpointRow, GenerationRow.batch_deployment_id, workspace)
    jobs = select(JobRow.id).where(
        JobRow.workspace_id == workspace.key, JobRow.lock_hash == BuiltEnvironmentRow.lock_hash
    )
    of_environment = GenerationRow.lock_hash == BuiltEnvironmentRow.lock_hash
    return or_(online.where(of_environment).exists(), batch.where(of_environment).exists(), jobs.exists())


def _generations(
    deployment: type[OnlineDeploymentRow] | type[BatchDeploymentRow],
    endpoint: type[OnlineEndpointRow] | type[BatchEndpointRow],
    owner: InstrumentedAttribute[int | None],
    workspace: Workspace | None,
) -> Select[str | None, str, str]:
    """Environment, endpoint and deployment of the built generations of the workspace's deployments."""
    built = (
        select(GenerationRow.lock_hash, endpoint.name, deployment.name)
        .join(deployment, owner == deployment.id)
        .join(endpoint, deployment.endpoint_id == endpoint.id)
        .where(GenerationRow.lock_hash.is_not(None))
    )
    return built if workspace is None else built.where(endpoint.workspace_id == workspace.key)
