"""Scores one mini-batch: reads its spans, has a guest predict them, and keeps what it says, in the input's order.

A try that timed out, whose guest died or whose model raised is done again from the span it had come to. What is wrong
with a file itself is not: the file fails, and the others of its mini-batch count.
"""

import logging
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from data_plane.batch.failures import FileFailure, UnreadableFile
from data_plane.batch.formats import FileFormat, format_of
from data_plane.batch.guests import Guest, GuestPlan, Guests
from data_plane.batch.logs import JobLogs
from data_plane.batch.read_ahead import read_ahead
from data_plane.batch.reading import Chunk, read
from data_plane.batch.spans import Span
from data_plane.batch.watching import Watch
from data_plane.batch.writing import PartWriter, WrongAnswer
from data_plane.guests.connection import GuestGone, GuestSilent, ScoringFailed
from data_plane.guests.exit_reason import exit_reason
from data_plane.guests.guest_process import wait_for_end
from data_plane.signature import SignatureViolations
from modelyard.core.domain.batch import BatchSettings
from modelyard.core.ports.object_store import ObjectStore

_log = logging.getLogger(__name__)

_END_SECONDS = 2.0
_MOST_VIOLATIONS = 5

_Item = tuple[int, Chunk | str | None]
"""Of the span at a place: rows, why there are no more, or that it is whole."""


class _TryFailed(Exception):
    """The span that the try had come to may be better off the next time."""


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
        plan: GuestPlan,
        settings: BatchSettings,
        guests: Guests,
        watch: Watch,
        logs: JobLogs,
    ) -> None:
        self._store = store
        self._plan = plan
        self._settings = settings
        self._guests = guests
        self._watch = watch
        self._logs = logs
        self._guest: Guest | None = None
        self._part = PartWriter(settings, plan.material.output_names)
        self._failures: list[FileFailure] = []
        self._scored = 0

    def run(self, spans: Sequence[Span]) -> Scored:
        """Raises Stopped, and GuestFailed when the model does not start."""
        try:
            self._score_all(spans)
        finally:
            self._let_go()
        return Scored(self._part, self._failures, self._scored > 0)

    def _score_all(self, spans: Sequence[Span]) -> None:
        place, failed_tries = 0, 0
        while place < len(spans):
            reached, fault = self._try(spans, place)
            failed_tries = 0 if fault is None else 1 if reached > place else failed_tries + 1
            place = reached
            if fault is not None and failed_tries > self._settings.max_retries:
                self._fail(spans[place], fault)
                place, failed_tries = place + 1, 0

    def _try(self, spans: Sequence[Span], start: int) -> tuple[int, str | None]:
        """The place of the first span that is not done with, and why there is one."""
        guest = self._take_guest()
        deadline = time.monotonic() + self._settings.timeout_seconds
        place, mark = start, self._part.mark()
        with read_ahead(self._read(spans, start)) as items:
            try:
                for place, item in items:
                    if isinstance(item, Chunk):
                        self._score(guest, spans[place], item, deadline)
                        continue
                    if item is None:
                        self._scored += 1
                    else:
                        self._part.back_to(mark)
                        self._fail(spans[place], item)
                    mark = self._part.mark()
            except WrongAnswer as wrong:
                self._part.back_to(mark)
                self._fail(spans[place], str(wrong))
                return place + 1, None
            except _TryFailed as failed:
                self._part.back_to(mark)
                _log.info("a try of %s failed: %s", spans[place].path, failed)
                return place, str(failed)
        return len(spans), None

    def _read(self, spans: Sequence[Span], start: int) -> Iterator[_Item]:
        for place in range(start, len(spans)):
            try:
                for chunk in read(self._store, spans[place], self._plan.material.signature):
                    yield place, chunk
            except SignatureViolations as violations:
                yield place, _sentence(violations)
            except UnreadableFile as unreadable:
                yield place, str(unreadable)
            else:
                yield place, None

    def _score(self, guest: Guest, span: Span, chunk: Chunk, deadline: float) -> None:
        self._watch.check()
        left = deadline - time.monotonic()
        if left <= 0:
            raise _TryFailed(self._out_of_time)
        try:
            with self._watch.minding(guest):
                payload, params = chunk.enforced.payload, chunk.enforced.params
                result = guest.connection.score(payload, params=params, timeout=left)
        except ScoringFailed as failed:
            self._logs.printed(guest.printed())
            late = failed.kind == "deadline"
            raise _TryFailed(self._out_of_time if late else f"the model raised {failed}") from None
        except GuestSilent:
            self._drop(guest, "the mini-batch's time was over")
            raise _TryFailed(self._out_of_time) from None
        except GuestGone as gone:
            wait_for_end(guest.process, _END_SECONDS)
            reason = exit_reason(guest.process) or str(gone)
            self._drop(guest, reason)
            raise _TryFailed(f"the model's process {reason}") from None
        except BaseException:
            # Whatever it was asked last, its answer may still come.
            self._drop(guest, "its answer is wanted no more")
            raise
        is_image = format_of(span.path) is FileFormat.IMAGE
        self._part.add(span.path, chunk.first_row, chunk.rows, result, whole=is_image)

    @property
    def _out_of_time(self) -> str:
        return f"it took longer than the timeout of {self._settings.timeout_seconds:g} s (retry_settings.timeout)"

    def _fail(self, span: Span, reason: str) -> None:
        self._failures.append(failure_of(span, reason))

    def _take_guest(self) -> Guest:
        if self._guest is None:
            self._guest = self._guests.take(self._plan, self._watch.minding)
        return self._guest

    def _drop(self, guest: Guest, because: str) -> None:
        self._logs.printed(guest.printed())
        self._guest = None
        self._guests.end(guest, because)

    def _let_go(self) -> None:
        if self._guest is not None:
            self._logs.printed(self._guest.printed())
            self._guests.give_back(self._guest)
            self._guest = None


def failure_of(span: Span, reason: str) -> FileFailure:
    if span.start == 0 and span.end is None:
        return FileFailure(span.path, None, None, reason)
    return FileFailure(span.path, span.first_row, span.rows, reason)


def _sentence(violations: SignatureViolations) -> str:
    listed = [violation.message for violation in violations.violations[:_MOST_VIOLATIONS]]
    more = len(violations.violations) + violations.more - len(listed)
    return "; ".join(listed) + (f"; and {more} more" if more else "")
