"""The batch workers' reads and writes of the database. Each function is part of the caller's transaction.

A transaction that changes a job's state locks the job's row first and a mini-batch's second, to exclude deadlocks.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, func, insert, select, update
from sqlalchemy.orm import Session

from data_plane.batch.failures import FileFailure
from modelyard.core.db.leases import Claim, claim, claim_all, finish, lock_if_held
from modelyard.core.db.lifecycle import end_job, end_mini_batches, move_job
from modelyard.core.db.rows import JobRow, MiniBatchRow
from modelyard.core.domain.batch import ALL_MAY_FAIL, BatchSettings, InputFile, InputKind
from modelyard.core.domain.caller import SYSTEM_BATCH
from modelyard.core.domain.lifecycle import JobState, MiniBatchState

_TO_PLAN = (JobState.QUEUED, JobState.PREPARING)
_TO_END = (JobState.FINALIZING, JobState.CANCEL_REQUESTED)
_ROWS_AT_ONCE = 1000


@dataclass(frozen=True, slots=True)
class BatchJob:
    """The job of a step."""

    id: int
    name: str
    endpoint: str
    deployment: str
    bundle_hash: str
    lock_hash: str
    settings: BatchSettings
    input_kind: InputKind
    input_key: str | None
    output_key: str
    logs_prefix: str


@dataclass(frozen=True, slots=True)
class PlanStep:
    """The claim to split the input into mini-batches."""

    held: Claim
    job: BatchJob
    input_files: tuple[InputFile, ...] | None

    @property
    def claims(self) -> tuple[Claim, ...]:
        return (self.held,)


@dataclass(frozen=True, slots=True)
class ClaimedMiniBatch:
    number: int
    spans: Sequence[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class ScoreStep:
    """The claim to score adjacent mini-batches."""

    claims: tuple[Claim, ...]
    job: BatchJob
    mini_batches: tuple[ClaimedMiniBatch, ...]


@dataclass(frozen=True, slots=True)
class FinishStep:
    """The claim to assemble the output, once no mini-batch is being scored."""

    held: Claim
    job: BatchJob
    is_planned: bool

    @property
    def claims(self) -> tuple[Claim, ...]:
        return (self.held,)


Step = PlanStep | ScoreStep | FinishStep


@dataclass(frozen=True, slots=True)
class PlannedMiniBatches:
    spans: Sequence[Sequence[dict[str, Any]]]
    files: int
    rows: int | None
    failures: Sequence[FileFailure]
    """Files that planning found unreadable."""


@dataclass(frozen=True, slots=True)
class MiniBatchOutcome:
    part_key: str | None
    rows: int
    failures: Sequence[FileFailure]
    seconds: float
    has_scored: bool


@dataclass(frozen=True, slots=True)
class Progress:
    state: str
    mini_batches: int
    completed: int
    failed: int
    running: int
    rows: int | None
    rows_scored: int
    seconds: float


def job_state(session: Session, job_id: int) -> JobState | None:
    state = session.scalar(select(JobRow.state).where(JobRow.id == job_id))
    return None if state is None else JobState(state)


def job_error(session: Session, job_id: int) -> dict[str, Any] | None:
    return session.scalar(select(JobRow.error).where(JobRow.id == job_id))


# Claiming steps.


def claim_step(session: Session, job_id: int, worker: str, most: int = 1) -> Step | None:
    """Claim the job's next step: planning, at most `most` mini-batches, or the end.

    Return None if other workers have the remaining steps, or the job has ended.
    """
    job = _locked(session, job_id)
    if job is None:
        return None
    if job.state in _TO_PLAN:
        return _claim_plan(session, job)
    if job.state == JobState.RUNNING:
        step = _claim_mini_batches(session, job, worker, most)
        if step is not None or _has_open(session, job):
            return step
        move_job(session, SYSTEM_BATCH, job, JobState.FINALIZING)
        session.flush()
    return _claim_finish(session, job) if job.state in _TO_END else None


def _locked(session: Session, job_id: int) -> JobRow | None:
    return session.get(JobRow, job_id, with_for_update=True, populate_existing=True)


def _claim_plan(session: Session, job: JobRow) -> PlanStep | None:
    held = claim(session, JobRow, job.id, states=_TO_PLAN)
    if held is None:
        return None
    move_job(session, SYSTEM_BATCH, job, JobState.PREPARING)
    if job.started_at is None:
        job.started_at = _now(session)
    files = job.input_files
    listed = None if files is None else tuple(InputFile(f["path"], f["key"], f["size"]) for f in files)
    return PlanStep(held, _job(job), listed)


def _claim_mini_batches(session: Session, job: JobRow, worker: str, most: int) -> ScoreStep | None:
    batch_job = _job(job)
    concurrency = batch_job.settings.concurrency
    if _busy_workers(session, job.id) >= concurrency:
        return None
    free = (*_open(job.id), _free())
    if most > 1:
        # Leaves work for the other workers near the end of a job.
        count = session.scalar(select(func.count()).where(*free)) or 0
        most = max(1, min(most, count // (2 * concurrency)))
    row = MiniBatchRow
    found = session.execute(
        select(row.id, row.number, row.attempt, row.spans)
        .where(*free)
        .order_by(row.number)
        .limit(most)
        .with_for_update(skip_locked=True)
    ).all()
    adjacent = found[: _adjacent([(number, attempt) for _, number, attempt, _ in found])]
    claims = claim_all(session, row, [key for key, *_ in adjacent], states=(MiniBatchState.QUEUED,), worker=worker)
    if not claims:
        return None
    mini_batches = tuple(ClaimedMiniBatch(number, spans) for _, number, _, spans in adjacent)
    return ScoreStep(tuple(claims), batch_job, mini_batches)


def _adjacent(found: Sequence[tuple[int, int]]) -> int:
    """Return how many mini-batches, each a number and the attempts so far, may share a claim.

    Their predictions become one part of the output, so they follow each other. A mini-batch that was attempted before
    is claimed alone: it may be the one that ends its workers.
    """
    count = min(1, len(found))
    while count < len(found) and found[count][0] == found[0][0] + count and not (found[0][1] or found[count][1]):
        count += 1
    return count


def _claim_finish(session: Session, job: JobRow) -> FinishStep | None:
    if _busy_workers(session, job.id):
        return None
    held = claim(session, JobRow, job.id, states=_TO_END)
    if held is None:
        return None
    # A paused worker with an expired lease could still record a result, too late for the output.
    session.execute(update(MiniBatchRow).where(*_open(job.id)).values(lease_token=None, lease_until=None))
    return FinishStep(held, _job(job), is_planned=job.mini_batches is not None)


def _open(job_id: int) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    return MiniBatchRow.job_id == job_id, MiniBatchRow.state == MiniBatchState.QUEUED


def _free() -> ColumnElement[bool]:
    return MiniBatchRow.lease_until.is_(None) | (MiniBatchRow.lease_until < func.clock_timestamp())


def _has_open(session: Session, job: JobRow) -> bool:
    return session.scalar(select(MiniBatchRow.id).where(*_open(job.id)).limit(1)) is not None


def _busy_workers(session: Session, job_id: int) -> int:
    """Number of claims of mini-batches that are being scored."""
    return (
        session.scalar(
            select(func.count(MiniBatchRow.lease_token.distinct())).where(
                MiniBatchRow.job_id == job_id,
                MiniBatchRow.lease_token.is_not(None),
                MiniBatchRow.lease_until >= func.clock_timestamp(),
            )
        )
        or 0
    )


def _job(job: JobRow) -> BatchJob:
    return BatchJob(
        id=job.id,
        name=job.name,
        endpoint=job.endpoint,
        deployment=job.deployment,
        bundle_hash=job.bundle_hash,
        lock_hash=job.lock_hash,
        settings=BatchSettings.from_dict(job.settings),
        input_kind=InputKind(job.input_kind),
        input_key=job.input_key,
        output_key=job.output_key,
        logs_prefix=job.logs_prefix,
    )


def _now(session: Session) -> Any:
    return session.scalar(select(func.clock_timestamp()))


# Recording results.


def record_plan(session: Session, step: PlanStep, plan: PlannedMiniBatches) -> bool:
    """Record the mini-batches for the life of the job. Return False if the lease had passed to another worker."""
    job = _locked(session, step.job.id)
    if job is None or not lock_if_held(session, step.held):
        return False
    rows = list(_planned_rows(job.id, plan))
    for start in range(0, len(rows), _ROWS_AT_ONCE):
        session.execute(insert(MiniBatchRow), rows[start : start + _ROWS_AT_ONCE])
    job.files, job.mini_batches, job.rows = plan.files, len(rows), plan.rows
    if job.state == JobState.PREPARING:
        move_job(session, SYSTEM_BATCH, job, JobState.RUNNING)
        _stop_at_error_threshold(session, job)
    session.flush()
    return finish(session, step.held)


def _planned_rows(job_id: int, plan: PlannedMiniBatches) -> Iterator[dict[str, Any]]:
    for number, spans in enumerate(plan.spans):
        yield _row(job_id, number, MiniBatchState.QUEUED, spans, ())
    if plan.failures:
        # A mini-batch without spans, to keep all failures in a single table.
        yield _row(job_id, len(plan.spans), MiniBatchState.FAILED, (), plan.failures)


def _row(
    job_id: int,
    number: int,
    state: MiniBatchState,
    spans: Sequence[dict[str, Any]],
    failures: Iterable[FileFailure],
) -> dict[str, Any]:
    return {
        "job_id": job_id,
        "number": number,
        "state": state,
        "spans": list(spans),
        "failures": [failure.to_dict() for failure in failures],
    }


def record_outcomes(session: Session, step: ScoreStep, outcomes: Sequence[MiniBatchOutcome]) -> bool:
    """Record the outcome of each mini-batch of the step.

    Return False if a lease had passed to another worker, whose result counts: no outcome is recorded then.
    """
    job = _locked(session, step.job.id)
    written = end_mini_batches(session, step.claims, [_result(outcome) for outcome in outcomes])
    if written and job is not None and any(outcome.failures for outcome in outcomes):
        _stop_at_error_threshold(session, job)
        session.flush()
    return written


def _result(outcome: MiniBatchOutcome) -> dict[str, Any]:
    return {
        "state": MiniBatchState.COMPLETED if outcome.has_scored else MiniBatchState.FAILED,
        "part_key": outcome.part_key,
        "rows": outcome.rows,
        "failures": [failure.to_dict() for failure in outcome.failures],
        "seconds": outcome.seconds,
    }


def _stop_at_error_threshold(session: Session, job: JobRow) -> None:
    if job.state == JobState.RUNNING and is_over_error_threshold(
        session, job.id, BatchSettings.from_dict(job.settings)
    ):
        move_job(session, SYSTEM_BATCH, job, JobState.FINALIZING)


def release_predecessors(session: Session, worker: str) -> None:
    """Release the mini-batches of a dead worker as soon as its successor starts, before the leases expire."""
    session.execute(
        update(MiniBatchRow)
        .where(
            MiniBatchRow.lease_token.is_not(None),
            MiniBatchRow.worker == worker,
            MiniBatchRow.state == MiniBatchState.QUEUED,
        )
        .values(lease_token=None, lease_until=None)
    )


def release(session: Session, claims: Iterable[Claim]) -> None:
    """Let another worker claim the step."""
    for held in claims:
        finish(session, held)


def stop_with_error(session: Session, batch_job: BatchJob, *, code: str, message: str) -> None:
    """Stop a job of which no mini-batch can be scored: the output gets the scored rows, and the job fails."""
    job = _locked(session, batch_job.id)
    if job is not None and job.state == JobState.RUNNING:
        move_job(session, SYSTEM_BATCH, job, JobState.FINALIZING)
        job.error = {"code": code, "message": message}


def fail_planning(session: Session, step: PlanStep, *, code: str, message: str) -> None:
    job = _locked(session, step.job.id)
    if job is not None and finish(session, step.held) and job.state == JobState.PREPARING:
        end_job(session, SYSTEM_BATCH, job, JobState.FAILED, {"code": code, "message": message})


def record_end(session: Session, step: FinishStep, error: dict[str, Any] | None) -> JobState | None:
    """Record the job's end and return its state. Return None if the lease had passed to another worker."""
    job = _locked(session, step.job.id)
    if job is None or not finish(session, step.held):
        return None
    error = job.error or error
    if job.state == JobState.CANCEL_REQUESTED:
        end_job(session, SYSTEM_BATCH, job, JobState.CANCELED, None)
    else:
        end_job(session, SYSTEM_BATCH, job, JobState.FAILED if error else JobState.COMPLETED, error)
    return JobState(job.state)


# Reading results.


def part_keys(session: Session, job_id: int) -> list[str]:
    """Return the keys of the parts, in the order of the output."""
    rows = session.scalars(
        select(MiniBatchRow.part_key)
        .where(MiniBatchRow.job_id == job_id, MiniBatchRow.part_key.is_not(None))
        .order_by(MiniBatchRow.number)
    )
    return [key for key in rows if key is not None]


def failures(session: Session, job_id: int) -> list[FileFailure]:
    """Return the failures, in the order of the input."""
    rows = session.scalars(
        select(MiniBatchRow.failures)
        .where(MiniBatchRow.job_id == job_id, func.jsonb_array_length(MiniBatchRow.failures) > 0)
        .order_by(MiniBatchRow.number)
    )
    return [FileFailure.from_dict(failure) for listed in rows for failure in listed]


def is_over_error_threshold(session: Session, job_id: int, settings: BatchSettings) -> bool:
    if settings.error_threshold == ALL_MAY_FAIL:
        return False
    session.flush()
    return len({failure.file for failure in failures(session, job_id)}) > settings.error_threshold


def progress(session: Session, job_id: int) -> Progress | None:
    job = session.get(JobRow, job_id)
    if job is None:
        return None
    counted = session.execute(
        select(MiniBatchRow.state, func.count(), func.sum(MiniBatchRow.rows))
        .where(MiniBatchRow.job_id == job_id)
        .group_by(MiniBatchRow.state)
    ).all()
    by_state = {state: (count, int(rows or 0)) for state, count, rows in counted}
    started = job.started_at
    return Progress(
        state=job.state,
        mini_batches=job.mini_batches or 0,
        completed=by_state.get(MiniBatchState.COMPLETED, (0, 0))[0],
        failed=by_state.get(MiniBatchState.FAILED, (0, 0))[0],
        running=_busy_workers(session, job_id),
        rows=job.rows,
        rows_scored=sum(rows for _, rows in by_state.values()),
        seconds=0.0 if started is None else (_now(session) - started).total_seconds(),
    )
