"""Resend messages for rows that wait for a builder or a batch worker.

A surplus message does no harm, so the sweep resends without knowing which messages were lost.
"""

import time
from collections.abc import Callable, Hashable, Sequence
from datetime import datetime, timedelta
from typing import TypeVar
from uuid import UUID

from sqlalchemy import ColumnElement, Integer, and_, cast, func, or_, select
from sqlalchemy.orm import Session

from control_plane.resources.operations.operation import OperationKind
from control_plane.workflows.dispatcher import Dispatcher
from modelyard.core.db.rows import GenerationRow, JobRow, MiniBatchRow, OperationRow
from modelyard.core.db.unit_of_work import Sessions, transaction
from modelyard.core.domain.lifecycle import ENDED_JOBS, GenerationState, JobState, MiniBatchState, OperationStatus

_SETTLING = timedelta(seconds=4)
"""Time for the first message to arrive."""
_PRUNING = timedelta(seconds=30)
_AGAIN_SECONDS = 15.0
_OPEN_JOBS = [state for state in JobState if state not in ENDED_JOBS]
"""In place of "not ended", for which no index of states helps among many ended jobs."""

Key = TypeVar("Key", bound=Hashable)


class Resender:
    def __init__(self, sessions: Sessions, dispatcher: Dispatcher, clock: Callable[[], float] = time.monotonic) -> None:
        self._sessions = sessions
        self._dispatcher = dispatcher
        self._clock = clock
        self._sent_at: dict[Hashable, float] = {}

    def resend(self) -> None:
        with transaction(self._sessions) as work:
            generations, prunings = waiting_generations(work.session), waiting_prunings(work.session)
            jobs = [("job", job_id) for job_id in waiting_jobs(work.session)]
        for generation_id in self._due(generations):
            self._dispatcher.build_deployment(generation_id)
        for operation_id in self._due(prunings):
            self._dispatcher.prune_environments(operation_id)
        for _, job_id in self._due(jobs):
            self._dispatcher.run_job(job_id)
        self._forget_all_but({*generations, *prunings, *jobs})

    def _due(self, keys: Sequence[Key]) -> Sequence[Key]:
        """Keys without a message in the last 15 s: messages must not pile up while all builders are busy."""
        now = self._clock()
        due = [key for key in keys if now - self._sent_at.get(key, float("-inf")) >= _AGAIN_SECONDS]
        self._sent_at.update(dict.fromkeys(due, now))
        return due

    def _forget_all_but(self, waiting: set[int | UUID | tuple[str, int]]) -> None:
        self._sent_at = {key: at for key, at in self._sent_at.items() if key in waiting}


def waiting_generations(session: Session) -> Sequence[int]:
    """Queued generations, and generations with an expired lease of a builder."""
    now = func.clock_timestamp()
    is_free = or_(GenerationRow.lease_until.is_(None), GenerationRow.lease_until < now)
    return session.scalars(
        select(GenerationRow.id)
        .where(
            GenerationRow.state.in_((GenerationState.QUEUED, GenerationState.BUILDING)),
            GenerationRow.modified_at < now - _SETTLING,
            is_free,
        )
        .order_by(GenerationRow.id)
    ).all()


def waiting_prunings(session: Session) -> Sequence[UUID]:
    return session.scalars(
        select(OperationRow.id).where(
            OperationRow.kind == OperationKind.PRUNE_ENVIRONMENTS,
            OperationRow.status == OperationStatus.IN_PROGRESS,
            OperationRow.created_at < func.clock_timestamp() - _PRUNING,
        )
    ).all()


def waiting_jobs(session: Session) -> Sequence[int]:
    """Jobs without a worker, and running jobs with room for more workers."""
    now = func.clock_timestamp()
    held = select(func.count(MiniBatchRow.lease_token.distinct())).where(
        MiniBatchRow.job_id == JobRow.id, MiniBatchRow.lease_token.is_not(None), MiniBatchRow.lease_until >= now
    )
    at_work = held.correlate(JobRow).scalar_subquery()
    has_room = and_(JobRow.state == JobState.RUNNING, at_work < _concurrency(), _has_open_mini_batch(now))
    return session.scalars(
        select(JobRow.id)
        .where(
            JobRow.state.in_(_OPEN_JOBS),
            JobRow.modified_at < now - _SETTLING,
            or_(JobRow.lease_until.is_(None), JobRow.lease_until < now),
            or_(at_work == 0, has_room),
        )
        .order_by(JobRow.id)
    ).all()


def _concurrency() -> ColumnElement[int]:
    """BatchSettings.concurrency as a database expression."""
    per_instance = JobRow.settings["max_concurrency_per_instance"].astext
    return cast(JobRow.settings["instance_count"].astext, Integer) * cast(per_instance, Integer)


def _has_open_mini_batch(now: ColumnElement[datetime]) -> ColumnElement[bool]:
    return (
        select(MiniBatchRow.id)
        .where(
            MiniBatchRow.job_id == JobRow.id,
            MiniBatchRow.state == MiniBatchState.QUEUED,
            or_(MiniBatchRow.lease_until.is_(None), MiniBatchRow.lease_until < now),
        )
        .correlate(JobRow)
        .exists()
    )
