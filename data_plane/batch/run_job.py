"""A batch worker's part in a job: claim and run steps until no step is left.

Every step is claimed on a row and may be repeated: the plan is written once, a part is named by its claim, and every
assembly gives the same bytes. So any process may die at any moment.

Small mini-batches are claimed, scored and recorded several at a time: a transaction and a part in the object store take
longer than a mini-batch of small files.
"""

import logging
import time
from collections.abc import Callable, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from typing import Any, TypeVar

from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from data_plane.batch import repository
from data_plane.batch.bundle_cache import BundleCache
from data_plane.batch.cancellation import Canceled, CancellationWatch, JobWatcher, watching
from data_plane.batch.db_retry import retry_on_db_loss
from data_plane.batch.failures import FileFailure
from data_plane.batch.input.listing import list_input
from data_plane.batch.input.spans import Span
from data_plane.batch.job_logs import JobLogs
from data_plane.batch.mini_batch_scorer import MiniBatchScorer, failure_of
from data_plane.batch.output import PartMissing, PartWriter, assemble, write_errors
from data_plane.batch.planning import plan
from data_plane.batch.repository import (
    BatchJob,
    ClaimedMiniBatch,
    FinishStep,
    MiniBatchOutcome,
    PlannedMiniBatches,
    PlanStep,
    ScoreStep,
    Step,
)
from data_plane.batch.worker_pool import WorkerPlan, WorkerPool
from modelyard.core.db.leases import LeaseLost, heartbeat
from modelyard.core.db.unit_of_work import Sessions, transaction
from modelyard.core.domain.batch import OutputAction
from modelyard.core.domain.job_files import parts_prefix
from modelyard.core.domain.storable_text import storable_text
from modelyard.core.errors import PlatformError, Unavailable
from modelyard.core.logs import utc_stamp
from modelyard.core.ports.object_store import ObjectStore

_log = logging.getLogger(__name__)
_Value = TypeVar("_Value")

_FIRST_REASONS = 5
_CLAIM_SECONDS = 0.5
"""Work of a claim of several mini-batches, which the death of a worker repeats."""
_MOST_MINI_BATCHES = 100
"""Of a claim."""


@dataclass(frozen=True, slots=True)
class JobContext:
    """Dependencies of every job, wired once per process."""

    sessions: Sessions
    store: ObjectStore
    bundles: BundleCache
    pool: WorkerPool
    worker: str
    """Name of this batch worker, kept across restarts."""
    prune_environments: Callable[[], None]
    """Removes unpublished environments of this machine."""
    call_workers: Callable[[int, int], None]
    """Calls a number of other batch workers to a job."""
    max_attempts: int
    """Bounds the attempts at a step after trouble outside the step: an absent object store, a dead batch worker."""


def run_job(context: JobContext, job_id: int) -> None:
    """Run the job's unclaimed steps in turn, if there are any."""
    with watching(context.sessions, job_id) as watcher:
        run = _JobRun(context, job_id, watcher)
        while (step := run.next_step()) is not None:
            if not run.do(step):
                return


class _JobRun:
    def __init__(self, context: JobContext, job_id: int, watcher: JobWatcher) -> None:
        self._context = context
        self._job_id = job_id
        self._watcher = watcher
        self._logs: JobLogs | None = None
        self._worker_plan: WorkerPlan | None = None
        self._claimed: Step | None = None
        self._most = 1
        """Number of mini-batches to claim at once."""

    def next_step(self) -> Step | None:
        step, self._claimed = self._claimed, None
        step = step or self._with_retry(self._claim)
        if step is None:
            self._clean_up()
        elif self._logs is None:
            self._logs = JobLogs(self._context.store, step.job.logs_prefix, self._context.worker)
        return step

    def _claim(self, session: Session) -> Step | None:
        return repository.claim_step(session, self._job_id, self._context.worker, self._most)

    def do(self, step: Step) -> bool:
        """Run a step. Return whether to claim the next step at once."""
        try:
            self._do(step)
        except (Canceled, LeaseLost):
            self._with_retry(lambda session: repository.release(session, step.claims))
        except Exception as error:  # noqa: BLE001 - the job must reach an end after any error
            _log.exception("job %s, %s", step.job.name, type(step).__name__)
            return self._retry_later(step, error)
        except BaseException:
            # The process was told to stop.
            self._release_now(step)
            self._release_now(self._claimed)
            raise
        return True

    def _do(self, step: Step) -> None:
        match step:
            case PlanStep():
                self._plan(step)
            case ScoreStep():
                self._score(step)
            case FinishStep():
                self._finish(step)

    # Planning.

    def _plan(self, step: PlanStep) -> None:
        try:
            with heartbeat(self._context.sessions, step.held) as beating:
                planned = self._planned(step)
                beating.check()
        except Unavailable:
            raise
        except PlatformError as error:
            code, message = error.code, error.message
            self._with_retry(lambda session: repository.fail_planning(session, step, code=code, message=message))
            return
        if not self._with_retry(lambda session: repository.record_plan(session, step, planned)):
            raise LeaseLost
        others = min(step.job.settings.concurrency, len(planned.spans)) - 1
        self._context.call_workers(self._job_id, others)

    def _planned(self, step: PlanStep) -> PlannedMiniBatches:
        job = step.job
        job_bundle = self._context.bundles.get(job.bundle_hash)
        files = list_input(self._context.store, files=step.input_files, key=job.input_key, kind=job.input_kind)
        split = plan(
            self._context.store,
            files,
            mini_batch_size=job.settings.mini_batch_size,
            row_by_row=job_bundle.is_row_by_row,
            signature=job_bundle.signature,
        )
        spans = [[span.to_dict() for span in mini_batch] for mini_batch in split.mini_batches]
        return PlannedMiniBatches(spans, len(files), split.rows, split.failures)

    # Scoring.

    def _score(self, step: ScoreStep) -> None:
        if _attempt(step) > self._context.max_attempts:
            self._give_up(step, "the batch worker died each time it scored this mini-batch")
            return
        started = time.monotonic()
        try:
            with self._watcher.over(step.claims) as watch:
                outcomes = self._outcomes(step, watch)
        except Unavailable:
            raise
        except PlatformError as error:
            self._stop_with_error(step, error)
            return
        pace = (time.monotonic() - started) / len(outcomes)
        # Grows slowly, because the first mini-batches may be the fastest.
        self._most = max(1, min(int(_CLAIM_SECONDS / pace), 4 * self._most, _MOST_MINI_BATCHES))
        self._record(step, outcomes)
        self._write_logs_if_due()

    def _outcomes(self, step: ScoreStep, watch: CancellationWatch) -> list[MiniBatchOutcome]:
        context, settings = self._context, step.job.settings
        if self._worker_plan is None:
            self._worker_plan = self._plan_worker(step.job, watch)
        plan = self._worker_plan
        part = PartWriter(settings, plan.job_bundle.output_names)
        with closing(
            MiniBatchScorer(context.store, plan, settings, context.pool, watch, self._job_logs, part)
        ) as scorer:
            scored = [scorer.run(list(map(Span.from_dict, each.spans))) for each in step.mini_batches]
        watch.check()
        # The first mini-batch names the part of all.
        keys = [self._store_part(step, part), *[None] * (len(scored) - 1)]
        return [
            MiniBatchOutcome(key, one.rows, one.failures, one.seconds, one.has_scored)
            for key, one in zip(keys, scored, strict=True)
        ]

    def _record(self, step: ScoreStep, outcomes: Sequence[MiniBatchOutcome]) -> None:
        """Record the outcomes and claim the next step in a single transaction: a job may have thousands of steps."""

        def act(session: Session) -> tuple[bool, Step | None]:
            written = repository.record_outcomes(session, step, outcomes)
            return written, self._claim(session) if written else None

        written, self._claimed = self._with_retry(act)
        if not written:
            raise LeaseLost

    def _plan_worker(self, job: BatchJob, watch: CancellationWatch) -> WorkerPlan:
        bundles = self._context.bundles
        job_bundle = bundles.get(job.bundle_hash)
        if not bundles.has_environment(job.lock_hash):
            self._report(
                f"the machine of worker {self._context.worker} lacks the environment; restoring it from its lock", watch
            )
            self._context.prune_environments()
        environment = bundles.environment(job.lock_hash, lambda line: self._report(line, watch))
        return WorkerPlan(job_bundle, environment, lambda: bundles.model_dir(job_bundle))

    def _report(self, line: str, watch: CancellationWatch) -> None:
        """Write a line of progress to the job's log. Raises Canceled, to end the reporting work."""
        watch.check()
        self._job_logs.add_output(f"{utc_stamp()} {line}\n".encode())

    def _store_part(self, step: ScoreStep, part: PartWriter) -> str | None:
        if not part.rows or step.job.settings.output_action is OutputAction.SUMMARY_ONLY:
            return None
        # Another attempt writes another object, and the attempt that is recorded counts.
        key = f"{parts_prefix(step.job.id)}{step.mini_batches[0].number}-{step.claims[0].token.hex}"
        self._context.store.put(key, part.content())
        return key

    def _stop_with_error(self, step: ScoreStep, error: PlatformError) -> None:
        code, message = error.code, error.message

        def act(session: Session) -> None:
            repository.stop_with_error(session, step.job, code=code, message=message)
            repository.release(session, step.claims)

        self._with_retry(act)

    # Finishing.

    def _finish(self, step: FinishStep) -> None:
        job, store = step.job, self._context.store
        with heartbeat(self._context.sessions, step.held) as beating:
            failures = self._with_retry(lambda session: repository.failures(session, self._job_id))
            error = self._assemble(step, failures)
            write_errors(store, job.output_key, failures)
            message = self._with_retry(lambda session: repository.job_error(session, self._job_id)) or error
            self._job_logs.errors(message["message"] if message else None, failures)
            self._write_logs()
            beating.check()
        state = self._with_retry(lambda session: repository.record_end(session, step, error))
        if state is None:
            raise LeaseLost
        _log.info("job %s has ended: %s", job.name, state)

    def _assemble(self, step: FinishStep, failures: list[FileFailure]) -> dict[str, Any] | None:
        """Write the output. Return the job's error, if there is one."""
        job = step.job
        if not step.is_planned:
            return None
        keys = self._with_retry(lambda session: repository.part_keys(session, self._job_id))
        try:
            assemble(self._context.store, keys, job.output_key, job.settings)
        except PartMissing as missing:
            return {"code": "InternalServerError", "message": str(missing)}
        return _threshold_error(job, failures)

    # Shared by all steps.

    def _with_retry(self, act: Callable[[Session], _Value]) -> _Value:
        return retry_on_db_loss(self._context.sessions, act)

    @property
    def _job_logs(self) -> JobLogs:
        assert self._logs is not None, "logs are opened with the first step"
        return self._logs

    def _write_logs_if_due(self) -> None:
        if self._job_logs.is_due:
            self._write_logs()

    def _write_logs(self) -> None:
        self._job_logs.flush()
        progress = self._with_retry(lambda session: repository.progress(session, self._job_id))
        if progress is not None:
            self._job_logs.overview(progress)

    def _clean_up(self) -> None:
        """Write the logs and, after the job's end, delete its parts."""
        state = self._with_retry(lambda session: repository.job_state(session, self._job_id))
        if state is None or not state.is_final:
            if self._logs is not None:
                self._logs.flush()
            return
        if self._logs is not None:
            self._write_logs()
        # Also after a late message: the worker that ended the job may have died before it deleted the parts.
        for key in list(self._context.store.list(parts_prefix(self._job_id))):
            self._context.store.delete(key)

    def _retry_later(self, step: Step, error: Exception) -> bool:
        self._release_now(self._claimed)
        if _attempt(step) < self._context.max_attempts:
            self._with_retry(lambda session: repository.release(session, step.claims))
            return False
        reason = error.message if isinstance(error, PlatformError) else storable_text(repr(error))
        self._give_up(step, f"the batch worker failed {_attempt(step)} times, last with: {reason}")
        return True

    def _give_up(self, step: Step, reason: str) -> None:
        code = PlatformError.code
        match step:
            case PlanStep():
                self._with_retry(lambda session: repository.fail_planning(session, step, code=code, message=reason))
            case ScoreStep():
                failed = [_failed_outcome(each, reason) for each in step.mini_batches]
                self._with_retry(lambda session: repository.record_outcomes(session, step, failed))
            case FinishStep():
                error = {"code": code, "message": reason}
                self._with_retry(lambda session: repository.record_end(session, step, error))

    def _release_now(self, step: Step | None) -> None:
        if step is not None:
            with suppress(SQLAlchemyError), transaction(self._context.sessions) as work:
                repository.release(work.session, step.claims)


def _attempt(step: Step) -> int:
    return max(held.attempt for held in step.claims)


def _failed_outcome(mini_batch: ClaimedMiniBatch, reason: str) -> MiniBatchOutcome:
    spans = [Span.from_dict(document) for document in mini_batch.spans]
    failures = [failure_of(span, reason) for span in spans]
    return MiniBatchOutcome(part_key=None, rows=0, failures=failures, seconds=0.0, has_scored=False)


def _threshold_error(job: BatchJob, failures: list[FileFailure]) -> dict[str, Any] | None:
    first_reasons = {failure.file: failure.reason for failure in reversed(failures)}
    threshold = job.settings.error_threshold
    if threshold < 0 or len(first_reasons) <= threshold:
        return None
    listed = sorted(first_reasons.items())[:_FIRST_REASONS]
    return {
        "code": "ErrorThresholdExceeded",
        "message": f"{len(first_reasons)} input files failed, and the error threshold allows {threshold}. "
        + " ".join(f"{file}: {reason}." for file, reason in listed),
        "details": [{"code": "InputFileFailed", "message": reason, "target": file} for file, reason in listed],
    }
