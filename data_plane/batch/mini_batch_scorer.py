"""Scores mini-batches: reads the spans, has a model worker predict, and writes the predictions in input order.

After a timeout, a dead model worker or an exception of the model, the next try starts from the file at work. An
unreadable file fails without a retry, and the mini-batch goes on with the next file.
"""

import logging
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from data_plane.batch.cancellation import CancellationWatch
from data_plane.batch.failures import FileFailure, UnreadableFile
from data_plane.batch.input.chunk_reader import read_chunks
from data_plane.batch.input.formats import FileFormat, format_of
from data_plane.batch.input.spans import Span
from data_plane.batch.job_logs import JobLogs
from data_plane.batch.output import PartWriter, WrongResult
from data_plane.batch.predict_calls import ChunkRead, FileEnd, FileError, PredictCall, ReadItem, predict_calls
from data_plane.batch.read_ahead import read_ahead
from data_plane.batch.worker_pool import PooledWorker, WorkerPlan, WorkerPool
from data_plane.replicas.port import ReplicaGone, ReplicaSilent, ScoringFailed
from data_plane.scoring.errors import InputRefused
from data_plane.scoring.payload.values import Result
from data_plane.scoring.signature import SignatureViolations
from modelyard.core.domain.batch import BatchSettings
from modelyard.core.ports.object_store import ObjectStore

_log = logging.getLogger(__name__)

_EXIT_SECONDS = 2.0
_MAX_VIOLATIONS = 5


class _TryFailed(Exception):
    """A call failed; the files may succeed in the next try."""

    def __init__(self, indexes: Sequence[int], reason: str, *, is_models_fault: bool = False) -> None:
        super().__init__(reason)
        self.indexes = indexes
        self.is_models_fault = is_models_fault
        """The model raised: scored alone, the files will show the file at fault."""


class _FileRejected(Exception):
    """Every try of the file fails: the model's result has no entry for each row, or the type hint refuses the input."""

    def __init__(self, index: int, reason: str) -> None:
        super().__init__(reason)
        self.index = index


@dataclass(frozen=True, slots=True)
class ScoredMiniBatch:
    rows: int
    """Rows that were added to the part."""
    failures: Sequence[FileFailure]
    has_scored: bool
    """Whether any span was scored completely."""
    seconds: float


_FAULTS_OF_CONTENT = (ArithmeticError, IndexError, MemoryError, RecursionError, TypeError, ValueError)


class MiniBatchScorer:
    def __init__(
        self,
        store: ObjectStore,
        plan: WorkerPlan,
        settings: BatchSettings,
        pool: WorkerPool,
        watch: CancellationWatch,
        logs: JobLogs,
        part: PartWriter,
    ) -> None:
        """Add the predictions to `part`."""
        self._store = store
        self._plan = plan
        self._settings = settings
        self._pool = pool
        self._watch = watch
        self._logs = logs
        self._worker: PooledWorker | None = None
        self._part = part
        self._failures: dict[int, FileFailure] = {}
        self._completed: set[int] = set()
        self._alone: set[int] = set()
        """Indexes of files to be scored alone."""

    def run(self, spans: Sequence[Span]) -> ScoredMiniBatch:
        """Score one mini-batch. Raises Canceled, and WorkerFailed when the model does not start."""
        started, rows_before = time.monotonic(), self._part.rows
        self._failures, self._completed, self._alone = {}, set(), set()
        self._score_all(spans)
        return ScoredMiniBatch(
            self._part.rows - rows_before,
            list(self._failures.values()),
            has_scored=bool(self._completed),
            seconds=time.monotonic() - started,
        )

    def close(self) -> None:
        """Give the model worker back."""
        if self._worker is not None:
            self._logs.add_output(self._worker.replica.read_log())
            self._pool.release(self._worker)
            self._worker = None

    def _score_all(self, spans: Sequence[Span]) -> None:
        index, failed_tries = 0, 0
        while index < len(spans):
            try:
                index = self._try(spans, index)
            except _TryFailed as failed:
                _log.info("a try of %s failed: %s", spans[failed.indexes[0]].path, failed)
                failed_tries = failed_tries + 1 if index == failed.indexes[0] else 1
                index = failed.indexes[0]
                is_shared = len(failed.indexes) > 1
                if failed_tries <= self._settings.max_retries and not (is_shared and failed.is_models_fault):
                    continue
                if is_shared:
                    self._alone.update(failed.indexes)
                else:
                    self._fail(spans, index, str(failed))
                    index += 1
            failed_tries = 0

    def _try(self, spans: Sequence[Span], start: int) -> int:
        """Score from the file `start` on; return the index of the next file to score. Raises _TryFailed."""
        worker = self._take_worker()
        deadline = time.monotonic() + self._settings.timeout_seconds
        mark = self._part.mark()
        steps = predict_calls(self._read(spans, start), may_share=self._may_share)
        with read_ahead(steps) as ready:
            try:
                for step in ready:
                    match step:
                        case PredictCall():
                            self._add(spans, step, self._predict(worker, step, deadline))
                            self._completed.update(step.indexes if step.are_whole_files else ())
                        case FileEnd(index):
                            self._completed.add(index)
                        case FileError(index, reason):
                            self._part.rewind(mark)
                            self._fail(spans, index, reason)
                    if not isinstance(step, PredictCall) or step.are_whole_files:
                        mark = self._part.mark()
            except _FileRejected as wrong:
                self._part.rewind(mark)
                self._fail(spans, wrong.index, str(wrong))
                return wrong.index + 1
            except _TryFailed:
                self._part.rewind(mark)
                raise
        return len(spans)

    def _may_share(self, index: int) -> bool:
        return self._plan.job_bundle.is_row_by_row and index not in self._alone

    def _read(self, spans: Sequence[Span], start: int) -> Iterator[ReadItem]:
        for index in range(start, len(spans)):
            try:
                for chunk in read_chunks(self._store, spans[index], self._plan.job_bundle.signature):
                    yield ChunkRead(index, chunk)
            except SignatureViolations as violations:
                yield FileError(index, _sentence(violations))
            except UnreadableFile as unreadable:
                yield FileError(index, str(unreadable))
            except _FAULTS_OF_CONTENT as fault:
                # Another attempt would read the same content. The store's errors are of other types.
                _log.exception("reading %s", spans[index].path)
                yield FileError(index, f"the file cannot be read: {fault!r}")
            else:
                yield FileEnd(index)

    def _predict(self, worker: PooledWorker, call: PredictCall, deadline: float) -> Result:
        self._watch.check()
        left = deadline - time.monotonic()
        if left <= 0:
            raise _TryFailed(call.indexes, self._timeout_message)
        replica = worker.replica
        try:
            with self._watch.interruptible(replica):
                return replica.score(call.payload, params=call.params, timeout=left)
        except ScoringFailed as failed:
            self._logs.add_output(replica.read_log(until=failed.reference))
            if failed.kind == "deadline":
                raise _TryFailed(call.indexes, self._timeout_message) from None
            if failed.kind == "input" and len(call.indexes) == 1:
                raise _FileRejected(call.indexes[0], str(InputRefused(failed.message))) from None
            raise _TryFailed(call.indexes, f"the model raised {failed}", is_models_fault=True) from None
        except ReplicaSilent:
            self._drop(worker, "the mini-batch's timeout passed")
            raise _TryFailed(call.indexes, self._timeout_message) from None
        except ReplicaGone as gone:
            reason = replica.exit_reason(wait=_EXIT_SECONDS) or str(gone)
            self._drop(worker, reason)
            raise _TryFailed(call.indexes, f"the model's process {reason}") from None
        except BaseException:
            # A late answer to the last call must not be taken for the next call's.
            self._drop(worker, "the answer is no longer wanted")
            raise

    def _add(self, spans: Sequence[Span], call: PredictCall, result: Result) -> None:
        results = call.split(result)
        if results is None:
            reason = "the model did not answer with one entry per row"
            raise _TryFailed(call.indexes, reason, is_models_fault=True)
        for member, member_result in zip(call.members, results, strict=True):
            path, chunk = spans[member.index].path, member.chunk
            is_image = format_of(path) is FileFormat.IMAGE
            try:
                self._part.add(path, chunk.first_row, chunk.rows, member_result, is_single=is_image)
            except WrongResult as wrong:
                if len(call.members) > 1:
                    raise _TryFailed(call.indexes, str(wrong), is_models_fault=True) from None
                raise _FileRejected(member.index, str(wrong)) from None

    @property
    def _timeout_message(self) -> str:
        return f"scoring took longer than the timeout of {self._settings.timeout_seconds:g} s (retry_settings.timeout)"

    def _fail(self, spans: Sequence[Span], index: int, reason: str) -> None:
        self._failures[index] = failure_of(spans[index], reason)

    def _take_worker(self) -> PooledWorker:
        if self._worker is None:
            self._worker = self._pool.take(self._plan, self._watch.interruptible, self._logs.add_output)
        return self._worker

    def _drop(self, worker: PooledWorker, reason: str) -> None:
        self._worker = None
        self._logs.add_output(self._pool.end(worker, reason))


def failure_of(span: Span, reason: str) -> FileFailure:
    if span.start == 0 and span.end is None:
        return FileFailure(span.path, None, None, reason)
    return FileFailure(span.path, span.first_row, span.rows, reason)


def _sentence(violations: SignatureViolations) -> str:
    sentences = violations.sentences
    listed = sentences[:_MAX_VIOLATIONS]
    more = len(sentences) + violations.more - len(listed)
    return "; ".join(listed) + (f"; and {more} more" if more else "")
