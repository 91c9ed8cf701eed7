"""Scores one mini-batch: reads its spans, has a worker predict them, and keeps what it says, in the input's order.

A try that timed out, whose worker died or whose model raised is done again from the file it had come to. What is wrong
with a file itself is not: the file fails, and the others of its mini-batch count.
"""

import logging
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from data_plane.batch.calls import Bad, Call, Item, Read, Whole, calls
from data_plane.batch.failures import FileFailure, UnreadableFile
from data_plane.batch.formats import FileFormat, format_of
from data_plane.batch.logs import JobLogs
from data_plane.batch.model_workers import ModelWorkers, Worker, WorkerPlan
from data_plane.batch.read_ahead import read_ahead
from data_plane.batch.reading import read
from data_plane.batch.spans import Span
from data_plane.batch.watching import Watch
from data_plane.batch.writing import PartWriter, WrongAnswer
from data_plane.replicas.local.blocking_connection import ScoringFailed, WorkerGone, WorkerSilent
from data_plane.replicas.local.exit_reason import exit_reason
from data_plane.replicas.local.worker_process import wait_for_end
from data_plane.scoring.payload.values import Result
from data_plane.scoring.signature import SignatureViolations
from modelyard.core.domain.batch import BatchSettings
from modelyard.core.ports.object_store import ObjectStore

_log = logging.getLogger(__name__)

_END_SECONDS = 2.0
_MOST_VIOLATIONS = 5


class _TryFailed(Exception):
    """The files of the call may be better off the next time."""

    def __init__(self, places: Sequence[int], reason: str, *, is_models_fault: bool = False) -> None:
        super().__init__(reason)
        self.places = places
        self.is_models_fault = is_models_fault
        """The model raised: alone, the files will show whose fault it is."""


class _Unanswered(Exception):
    """What the model said about a file is not one entry per row."""

    def __init__(self, place: int, reason: str) -> None:
        super().__init__(reason)
        self.place = place


@dataclass(frozen=True, slots=True)
class Scored:
    part: PartWriter
    failures: Sequence[FileFailure]
    has_scored: bool
    """Whether at least one of the spans is whole."""


class MiniBatchScoring:
    def __init__(
        self,
        store: ObjectStore,
        plan: WorkerPlan,
        settings: BatchSettings,
        workers: ModelWorkers,
        watch: Watch,
        logs: JobLogs,
    ) -> None:
        self._store = store
        self._plan = plan
        self._settings = settings
        self._workers = workers
        self._watch = watch
        self._logs = logs
        self._worker: Worker | None = None
        self._part = PartWriter(settings, plan.material.output_names)
        self._failures: dict[int, FileFailure] = {}
        self._whole: set[int] = set()
        self._alone: set[int] = set()
        """Places of files that share a call no longer."""

    def run(self, spans: Sequence[Span]) -> Scored:
        """Raises Stopped, and WorkerFailed when the model does not start."""
        try:
            self._score_all(spans)
        finally:
            self._let_go()
        return Scored(self._part, list(self._failures.values()), has_scored=bool(self._whole))

    def _score_all(self, spans: Sequence[Span]) -> None:
        place, failed_tries = 0, 0
        while place < len(spans):
            try:
                place = self._try(spans, place)
            except _TryFailed as failed:
                _log.info("a try of %s failed: %s", spans[failed.places[0]].path, failed)
                failed_tries = failed_tries + 1 if place == failed.places[0] else 1
                place = failed.places[0]
                is_shared = len(failed.places) > 1
                if failed_tries <= self._settings.max_retries and not (is_shared and failed.is_models_fault):
                    continue
                if is_shared:
                    self._alone.update(failed.places)
                else:
                    self._fail(spans, place, str(failed))
                    place += 1
            failed_tries = 0

    def _try(self, spans: Sequence[Span], start: int) -> int:
        """The place of the first file that is not done with. Raises _TryFailed."""
        worker = self._take_worker()
        deadline = time.monotonic() + self._settings.timeout_seconds
        mark = self._part.mark()
        units = calls(self._read(spans, start), may_share=self._may_share)
        with read_ahead(units) as ready:
            try:
                for unit in ready:
                    match unit:
                        case Call():
                            self._add(spans, unit, self._ask(worker, unit, deadline))
                            self._whole.update(unit.places if unit.are_whole else ())
                        case Whole(place):
                            self._whole.add(place)
                        case Bad(place, reason):
                            self._part.back_to(mark)
                            self._fail(spans, place, reason)
                    if not isinstance(unit, Call) or unit.are_whole:
                        mark = self._part.mark()
            except _Unanswered as unanswered:
                self._part.back_to(mark)
                self._fail(spans, unanswered.place, str(unanswered))
                return unanswered.place + 1
            except _TryFailed:
                self._part.back_to(mark)
                raise
        return len(spans)

    def _may_share(self, place: int) -> bool:
        return self._plan.material.is_row_by_row and place not in self._alone

    def _read(self, spans: Sequence[Span], start: int) -> Iterator[Item]:
        for place in range(start, len(spans)):
            try:
                for chunk in read(self._store, spans[place], self._plan.material.signature):
                    yield Read(place, chunk)
            except SignatureViolations as violations:
                yield Bad(place, _sentence(violations))
            except UnreadableFile as unreadable:
                yield Bad(place, str(unreadable))
            else:
                yield Whole(place)

    def _ask(self, worker: Worker, call: Call, deadline: float) -> Result:
        self._watch.check()
        left = deadline - time.monotonic()
        if left <= 0:
            raise _TryFailed(call.places, self._out_of_time)
        try:
            with self._watch.minding(worker):
                return worker.connection.score(call.payload, params=call.params, timeout=left)
        except ScoringFailed as failed:
            self._logs.printed(worker.printed())
            if failed.kind == "deadline":
                raise _TryFailed(call.places, self._out_of_time) from None
            raise _TryFailed(call.places, f"the model raised {failed}", is_models_fault=True) from None
        except WorkerSilent:
            self._drop(worker, "the mini-batch's time was over")
            raise _TryFailed(call.places, self._out_of_time) from None
        except WorkerGone as gone:
            wait_for_end(worker.process, _END_SECONDS)
            reason = exit_reason(worker.process) or str(gone)
            self._drop(worker, reason)
            raise _TryFailed(call.places, f"the model's process {reason}") from None
        except BaseException:
            # Whatever it was asked last, its answer may still come.
            self._drop(worker, "its answer is wanted no more")
            raise

    def _add(self, spans: Sequence[Span], call: Call, result: Result) -> None:
        results = call.results(result)
        if results is None:
            reason = "the model did not answer with one entry per row"
            raise _TryFailed(call.places, reason, is_models_fault=True)
        for member, answer in zip(call.members, results, strict=True):
            path, chunk = spans[member.place].path, member.chunk
            is_image = format_of(path) is FileFormat.IMAGE
            try:
                self._part.add(path, chunk.first_row, chunk.rows, answer, whole=is_image)
            except WrongAnswer as wrong:
                if len(call.members) > 1:
                    raise _TryFailed(call.places, str(wrong), is_models_fault=True) from None
                raise _Unanswered(member.place, str(wrong)) from None

    @property
    def _out_of_time(self) -> str:
        return f"it took longer than the timeout of {self._settings.timeout_seconds:g} s (retry_settings.timeout)"

    def _fail(self, spans: Sequence[Span], place: int, reason: str) -> None:
        self._failures[place] = failure_of(spans[place], reason)

    def _take_worker(self) -> Worker:
        if self._worker is None:
            self._worker = self._workers.take(self._plan, self._watch.minding, self._logs.printed)
        return self._worker

    def _drop(self, worker: Worker, because: str) -> None:
        self._logs.printed(worker.printed())
        self._worker = None
        self._workers.end(worker, because)

    def _let_go(self) -> None:
        if self._worker is not None:
            self._logs.printed(self._worker.printed())
            self._workers.give_back(self._worker)
            self._worker = None


def failure_of(span: Span, reason: str) -> FileFailure:
    if span.start == 0 and span.end is None:
        return FileFailure(span.path, None, None, reason)
    return FileFailure(span.path, span.first_row, span.rows, reason)


def _sentence(violations: SignatureViolations) -> str:
    listed = [violation.message for violation in violations.violations[:_MOST_VIOLATIONS]]
    more = len(violations.violations) + violations.more - len(listed)
    return "; ".join(listed) + (f"; and {more} more" if more else "")
