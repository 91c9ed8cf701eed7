"""Built environments in the database."""

from collections.abc import Sequence

from sqlalchemy import select
from sqlalchemy.orm import Session

from control_plane.features.environments.environment_version import BuiltEnvironment
from modelyard.core.db.rows import BuiltEnvironmentRow, GenerationRow, JobRow
from modelyard.core.domain.lifecycle import ENDED_JOBS, GenerationState

_IN_USE = (GenerationState.QUEUED, GenerationState.BUILDING, GenerationState.BUILT, GenerationState.SERVING)


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
