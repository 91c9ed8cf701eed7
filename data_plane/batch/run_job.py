"""A batch worker's part in a job: step after step, until there is none left for it.

Every step is claimed on a row, and can be repeated: the plan is written once, a part is named by its content, the
output has the same bytes whoever puts it together. So any process may die at any moment.
"""

import hashlib
import logging
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, TypeVar

from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from data_plane.batch import repository
from data_plane.batch.failures import FileFailure
from data_plane.batch.logs import JobLogs
from data_plane.batch.material import Materials
from data_plane.batch.model_workers import ModelWorkers, WorkerPlan
from data_plane.batch.patience import patiently
from data_plane.batch.planning import list_input, plan
from data_plane.batch.repository import Ending, JobOrder, MiniBatch, Outcome, PlannedMiniBatches, Planning, Step
from data_plane.batch.scoring import MiniBatchScoring, Scored, failure_of
from data_plane.batch.spans import Span
from data_plane.batch.watching import Stopped, Watch, Watcher, watching
from data_plane.batch.writing import PartMissing, PartWriter, assemble, write_errors
from modelyard.core.db.leases import LeaseLost, heartbeat
from modelyard.core.db.unit_of_work import Sessions, transaction
from modelyard.core.domain.batch import OutputAction
from modelyard.core.domain.job_files import parts_prefix
from modelyard.core.errors import PlatformError, Unavailable
from modelyard.core.logs import utc_stamp
from modelyard.core.ports.object_store import ObjectStore

_log = logging.getLogger(__name__)
_Answer = TypeVar("_Answer")

_FIRST_REASONS = 5


@dataclass(frozen=True, slots=True)
class Desk:
    """What running a job needs, wired once per process."""

    sessions: Sessions
    store: ObjectStore
    materials: Materials
    workers: ModelWorkers
    worker: str
    make_room: Callable[[], None]
    """Removes environments of this machine that nobody wants any more."""
    send: Callable[[int, int], None]
    """Calls so many other workers to a job."""
    max_attempts: int
    """Attempts at a step that fails for reasons outside the step, such as the death of a worker."""


def run_job(desk: Desk, job_id: int) -> None:
    """Do what there is to do for the job and nobody else does. Nothing, when that is nothing."""
    with watching(desk.sessions, job_id) as watcher:
        run = _JobRun(desk, job_id, watcher)
        while (step := run.next_step()) is not None:
            if not run.do(step):
                return


class _JobRun:
    def __init__(self, desk: Desk, job_id: int, watcher: Watcher) -> None:
        self._desk = desk
        self._job_id = job_id
        self._watcher = watcher
        self._logs: JobLogs | None = None
        self._worker_plan: WorkerPlan | None = None
        self._taken: Step | None = None

    def next_step(self) -> Step | None:
        step, self._taken = self._taken, None
        step = step or self._patiently(self._take)
        if step is None:
            self._leave()
        elif self._logs is None:
            self._logs = JobLogs(self._desk.store, step.order.name, self._desk.worker)
        return step

    def _take(self, session: Session) -> Step | None:
        return repository.take_step(session, self._job_id, self._desk.worker)

    def do(self, step: Step) -> bool:
        """Whether to go on with the next step at once."""
        try:
            self._do(step)
        except (Stopped, LeaseLost):
            self._patiently(lambda session: repository.give_back(session, step.held))
        except Exception as error:  # noqa: BLE001 - whatever it is, the job must reach an end
            _log.exception("job %s, %s", step.order.name, type(step).__name__)
            return self._try_again_later(step, error)
        except BaseException:
            # Told to stop.
            self._give_back_at_once(step)
            self._give_back_at_once(self._taken)
            raise
        return True

    def _do(self, step: Step) -> None:
        match step:
            case Planning():
                self._plan(step)
            case MiniBatch():
                self._score(step)
            case Ending():
                self._end(step)

    # Planning.

    def _plan(self, step: Planning) -> None:
        try:
            with heartbeat(self._desk.sessions, step.held) as beating:
                planned = self._planned(step)
                beating.check()
        except Unavailable:
            raise
        except PlatformError as refusal:
            code, message = refusal.code, refusal.message
            self._patiently(lambda session: repository.fail_planning(session, step, code=code, message=message))
            return
        if not self._patiently(lambda session: repository.record_plan(session, step, planned)):
            raise LeaseLost
        others = min(step.order.settings.concurrency, len(planned.spans)) - 1
        self._desk.send(self._job_id, others)

    def _planned(self, step: Planning) -> PlannedMiniBatches:
        order = step.order
        material = self._desk.materials.of(order.bundle_hash)
        files = list_input(self._desk.store, files=step.input_files, key=order.input_key, kind=order.input_kind)
        cut = plan(
            self._desk.store,
            files,
            mini_batch_size=order.settings.mini_batch_size,
            row_by_row=material.is_row_by_row,
            signature=material.signature,
        )
        spans = [[span.to_dict() for span in mini_batch] for mini_batch in cut.mini_batches]
        return PlannedMiniBatches(spans, len(files), cut.rows, cut.failures)

    # Scoring.

    def _score(self, step: MiniBatch) -> None:
        if step.held.attempt > self._desk.max_attempts:
            self._give_up(step, "the batch worker that scored it died")
            return
        try:
            with self._watcher.over(step.held) as watch:
                outcome = self._scored(step, watch)
        except Unavailable:
            raise
        except PlatformError as refusal:
            self._stop_failing(step, refusal)
            return
        self._record(step, outcome)
        self._write_logs_if_due()

    def _scored(self, step: MiniBatch, watch: Watch) -> Outcome:
        started = time.monotonic()
        spans = [Span.from_dict(document) for document in step.spans]
        desk, settings = self._desk, step.order.settings
        if self._worker_plan is None:
            self._worker_plan = self._plan_worker(step.order, watch)
        scoring = MiniBatchScoring(desk.store, self._worker_plan, settings, desk.workers, watch, self._job_logs)
        scored = scoring.run(spans)
        watch.check()
        return self._outcome(step, scored, started)

    def _record(self, step: MiniBatch, outcome: Outcome) -> None:
        """And take the next step with it: a job may have thousands of mini-batches."""

        def act(session: Session) -> tuple[bool, Step | None]:
            written = repository.record_outcome(session, step, outcome)
            return written, self._take(session) if written else None

        written, self._taken = self._patiently(act)
        if not written:
            raise LeaseLost

    def _plan_worker(self, order: JobOrder, watch: Watch) -> WorkerPlan:
        materials = self._desk.materials
        material = materials.of(order.bundle_hash)
        if not materials.has_environment(order.lock_hash):
            self._say(f"worker {self._desk.worker} does not have the environment yet; making it there", watch)
            self._desk.make_room()
        environment = materials.environment(order.lock_hash, lambda line: self._say(line, watch))
        return WorkerPlan(material, environment, lambda: materials.model_dir(material))

    def _say(self, line: str, watch: Watch) -> None:
        """In the job's log. Raises Stopped, as whoever says something would go on otherwise."""
        watch.check()
        self._job_logs.printed(f"{utc_stamp()} {line}\n".encode())

    def _outcome(self, step: MiniBatch, scored: Scored, started: float) -> Outcome:
        part_key = self._store_part(step, scored.part)
        seconds = time.monotonic() - started
        return Outcome(part_key, scored.part.rows, scored.failures, seconds, scored.has_scored)

    def _store_part(self, step: MiniBatch, part: PartWriter) -> str | None:
        if not part.rows or step.order.settings.output_action is OutputAction.SUMMARY_ONLY:
            return None
        digest = hashlib.sha256()
        for chunk in part.content():
            digest.update(chunk)
        key = f"{parts_prefix(step.order.id)}{step.number}-{digest.hexdigest()}"
        self._desk.store.put(key, part.content())
        return key

    def _stop_failing(self, step: MiniBatch, refusal: PlatformError) -> None:
        code, message = refusal.code, refusal.message

        def act(session: Session) -> None:
            repository.stop_failing(session, step.order, code=code, message=message)
            repository.give_back(session, step.held)

        self._patiently(act)

    # The end.

    def _end(self, step: Ending) -> None:
        order, store = step.order, self._desk.store
        with heartbeat(self._desk.sessions, step.held) as beating:
            failures = self._patiently(lambda session: repository.failures(session, self._job_id))
            error = self._put_together(step, failures)
            write_errors(store, order.output_key, failures)
            message = self._patiently(lambda session: repository.job_error(session, self._job_id)) or error
            self._job_logs.errors(message["message"] if message else None, failures)
            self._write_logs()
            beating.check()
        state = self._patiently(lambda session: repository.record_end(session, step, error))
        if state is None:
            raise LeaseLost
        _log.info("job %s has ended: %s", order.name, state)

    def _put_together(self, step: Ending, failures: list[FileFailure]) -> dict[str, Any] | None:
        """What is wrong with the job, if something is."""
        order = step.order
        if not step.is_planned:
            return None
        keys = self._patiently(lambda session: repository.part_keys(session, self._job_id))
        try:
            assemble(self._desk.store, keys, order.output_key, order.settings)
        except PartMissing as missing:
            return {"code": "InternalServerError", "message": str(missing)}
        return _too_many(order, failures)

    # What holds for all steps.

    def _patiently(self, act: Callable[[Session], _Answer]) -> _Answer:
        return patiently(self._desk.sessions, act)

    @property
    def _job_logs(self) -> JobLogs:
        assert self._logs is not None, "there is a step"
        return self._logs

    def _write_logs_if_due(self) -> None:
        if self._job_logs.is_due:
            self._write_logs()

    def _write_logs(self) -> None:
        self._job_logs.flush()
        progress = self._patiently(lambda session: repository.progress(session, self._job_id))
        if progress is not None:
            self._job_logs.overview(progress)

    def _leave(self) -> None:
        """Nothing is left for this worker."""
        state = self._patiently(lambda session: repository.job_state(session, self._job_id))
        if state is None or not state.is_final:
            if self._logs is not None:
                self._logs.flush()
            return
        if self._logs is not None:
            self._write_logs()
        # Also when a message comes late: whoever ended the job may have died before.
        for key in list(self._desk.store.list(parts_prefix(self._job_id))):
            self._desk.store.delete(key)

    def _try_again_later(self, step: Step, error: Exception) -> bool:
        self._give_back_at_once(self._taken)
        if step.held.attempt < self._desk.max_attempts:
            self._patiently(lambda session: repository.give_back(session, step.held))
            return False
        what = error.message if isinstance(error, PlatformError) else repr(error)
        self._give_up(step, f"the batch worker failed {step.held.attempt} times, last with: {what}")
        return True

    def _give_up(self, step: Step, reason: str) -> None:
        code = PlatformError.code
        match step:
            case Planning():
                self._patiently(lambda session: repository.fail_planning(session, step, code=code, message=reason))
            case MiniBatch():
                self._patiently(lambda session: repository.record_outcome(session, step, _hopeless(step, reason)))
            case Ending():
                error = {"code": code, "message": reason}
                self._patiently(lambda session: repository.record_end(session, step, error))

    def _give_back_at_once(self, step: Step | None) -> None:
        if step is not None:
            with suppress(SQLAlchemyError), transaction(self._desk.sessions) as work:
                repository.give_back(work.session, step.held)


def _hopeless(step: MiniBatch, reason: str) -> Outcome:
    spans = [Span.from_dict(document) for document in step.spans]
    failures = [failure_of(span, reason) for span in spans]
    return Outcome(part_key=None, rows=0, failures=failures, seconds=0.0, has_scored=False)


def _too_many(order: JobOrder, failures: list[FileFailure]) -> dict[str, Any] | None:
    first_reasons = {failure.file: failure.reason for failure in reversed(failures)}
    threshold = order.settings.error_threshold
    if threshold < 0 or len(first_reasons) <= threshold:
        return None
    listed = sorted(first_reasons.items())[:_FIRST_REASONS]
    return {
        "code": "ErrorThresholdExceeded",
        "message": f"{len(first_reasons)} input files failed, and the error threshold allows {threshold}. "
        + " ".join(f"{file}: {reason}." for file, reason in listed),
        "details": [{"code": "InputFileFailed", "message": reason, "target": file} for file, reason in listed],
    }
