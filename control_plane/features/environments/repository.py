"""Environments, their versions, and what was built, in the database."""

from collections.abc import Sequence

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from control_plane.features.environments.environment_version import (
    BuiltEnvironment,
    EnvironmentVersion,
    EnvironmentVersionSpec,
)
from control_plane.resources.assets.asset import VersionQuery
from control_plane.resources.assets.repository import ENVIRONMENTS
from control_plane.resources.deployments.users import deployment_with
from control_plane.resources.paging import Page
from control_plane.resources.workspaces.workspace import Workspace
from modelyard.core.db.rows import (
    BuiltEnvironmentRow,
    EnvironmentRow,
    EnvironmentVersionRow,
    GenerationRow,
    JobRow,
)
from modelyard.core.domain.lifecycle import ENDED_JOBS, GenerationState
from modelyard.core.errors import Conflict

_IN_USE = (GenerationState.QUEUED, GenerationState.BUILDING, GenerationState.BUILT, GenerationState.SERVING)


def find_version(session: Session, workspace: Workspace, name: str, version: str) -> EnvironmentVersion | None:
    row = ENVIRONMENTS.find_version(session, workspace, name, version)
    return None if row is None else _environment_version(workspace, name, row)


def get_version(session: Session, workspace: Workspace, name: str, version: str) -> EnvironmentVersion:
    found = find_version(session, workspace, name, version)
    if found is None:
        raise ENVIRONMENTS.missing(workspace, name, version)
    return found


def list_versions(
    session: Session, workspace: Workspace, name: str, query: VersionQuery, page: Page
) -> Sequence[EnvironmentVersion]:
    rows = ENVIRONMENTS.list_versions(session, workspace, name, query, page)
    return [_environment_version(workspace, name, row) for row in rows]


def lock_environment(session: Session, workspace: Workspace, name: str) -> None:
    """Make the environment if need be; until the transaction ends nobody else adds or removes versions of it."""
    ENVIRONMENTS.ensure_container(session, workspace, name)


def add_version(
    session: Session, workspace: Workspace, name: str, version: str, spec: EnvironmentVersionSpec, conda_file: str
) -> EnvironmentVersion:
    environment, _ = ENVIRONMENTS.ensure_container(session, workspace, name)
    row = EnvironmentVersionRow(
        environment_id=environment.id,
        version=version,
        tags={},
        properties={},
        conda_file=conda_file,
        image=spec.image,
        is_archived=False,
        is_anonymous=spec.is_anonymous,
    )
    spec.described.apply_to(row)
    session.add(row)
    session.flush()
    session.refresh(row)
    return _environment_version(workspace, name, row)


def describe_version(
    session: Session, existing: EnvironmentVersion, spec: EnvironmentVersionSpec
) -> EnvironmentVersion:
    row = session.get_one(EnvironmentVersionRow, existing.key)
    spec.described.apply_to(row)
    session.flush()
    session.refresh(row)
    return _environment_version(existing.head.workspace, existing.head.name, row)


def remove_version(session: Session, workspace: Workspace, name: str, version: str) -> bool:
    """False: it is not there. Raises Conflict when a deployment uses it."""
    ENVIRONMENTS.lock_container(session, workspace, name)
    row = ENVIRONMENTS.find_version(session, workspace, name, version)
    if row is not None:
        _remove(session, [row])
    return row is not None


def remove_environment(session: Session, workspace: Workspace, name: str) -> bool:
    """With all its versions. False: it is not there. Raises Conflict when a deployment uses one of them."""
    row = ENVIRONMENTS.lock_container(session, workspace, name)
    if row is None:
        return False
    _remove(session, row.versions)
    session.execute(delete(EnvironmentRow).where(EnvironmentRow.id == row.id))
    return True


def _remove(session: Session, rows: Sequence[EnvironmentVersionRow]) -> None:
    ids = [row.id for row in rows]
    user = deployment_with(session, GenerationRow.environment_version_id.in_(ids))
    if user is not None:
        raise Conflict(
            f"deployment {user.name!r} of endpoint {user.endpoint.name!r} uses this environment or did so before: "
            "delete it first, or archive the environment instead"
        )
    session.execute(delete(EnvironmentVersionRow).where(EnvironmentVersionRow.id.in_(ids)))


def list_built(session: Session) -> Sequence[BuiltEnvironment]:
    used: dict[str, set[tuple[str, str]]] = {}
    generations = select(GenerationRow).where(GenerationRow.state.in_(_IN_USE), GenerationRow.lock_hash.is_not(None))
    for generation in session.scalars(generations):
        deployment = generation.owner
        used.setdefault(str(generation.lock_hash), set()).add((deployment.endpoint.name, deployment.name))
    for job in session.scalars(select(JobRow).where(JobRow.state.not_in(ENDED_JOBS))):
        used.setdefault(job.lock_hash, set()).add((job.endpoint, job.deployment))
    rows = session.scalars(select(BuiltEnvironmentRow).order_by(BuiltEnvironmentRow.created_at))
    return [
        BuiltEnvironment(
            lock_hash=row.lock_hash,
            folder=row.folder,
            python_version=row.python_version,
            size_bytes=row.size_bytes,
            used_by=tuple(sorted(used.get(row.lock_hash, ()))),
        )
        for row in rows
    ]


def _environment_version(workspace: Workspace, name: str, row: EnvironmentVersionRow) -> EnvironmentVersion:
    return EnvironmentVersion(row.id, ENVIRONMENTS.head_of(workspace, name, row), row.conda_file, row.image)
