"""Writes workers as the host sees them to the database. Only for showing: nothing is decided from these rows."""

from collections.abc import Set
from datetime import UTC, datetime

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from data_plane.host.worker_facts import WorkerFact
from modelyard.core.db.rows import OnlineDeploymentRow, WorkerRow


def write_workers(session: Session, facts: Set[WorkerFact]) -> None:
    """From now on these are the workers there are."""
    session.execute(delete(WorkerRow).where(WorkerRow.worker_id.not_in([fact.worker_id for fact in facts])))
    existing = set(session.scalars(select(OnlineDeploymentRow.id)))
    for fact in facts:
        if fact.slot.deployment_id in existing:
            session.merge(_row(fact))


def _row(fact: WorkerFact) -> WorkerRow:
    return WorkerRow(
        worker_id=fact.worker_id,
        deployment_id=fact.slot.deployment_id,
        generation=fact.slot.generation,
        slot=fact.slot.number,
        state=fact.state,
        pid=fact.pid,
        restarts=fact.restarts,
        last_exit_reason=fact.last_exit_reason,
        started_at=None if fact.started_at is None else datetime.fromtimestamp(fact.started_at, UTC),
    )
