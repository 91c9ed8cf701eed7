"""The main thread's loop: calls the user's `run` for each SCORE frame and answers with RESULT or ERROR."""

import json
import time
import traceback
import uuid
from typing import Any, Dict, List, Optional

from . import frames, output
from .array_shortcut import ArrayShortcut
from .channel import Channel, ScoreJob
from .inputs import read_params
from .refused_input import is_refused_input
from .results import describe_result
from .state import WorkerState

_MAX_MESSAGE = 2048


class ResultTooLarge(ValueError):
    """The other end of the connection takes no result of this size."""


class Scorer:
    def __init__(self, shortcut: ArrayShortcut, channel: Channel, state: WorkerState) -> None:
        self._shortcut = shortcut
        self._channel = channel
        self._state = state

    def run(self) -> None:
        while True:
            job = self._channel.next_job()
            if job is None:
                return
            self._finish(job)
            # Frees the model's input, which may be large.
            del job

    def _finish(self, job: ScoreJob) -> None:
        self._state.busy_since = time.monotonic()
        self._state.deadline = _deadline(job.meta)
        try:
            if not job.peer.closed:
                job.peer.send(self._answer(job))
                self._state.answered += 1
        finally:
            self._state.busy_since = self._state.deadline = None
            self._channel.finish(job)

    def _answer(self, job: ScoreJob) -> List[frames.Buffer]:
        if _is_late(job.meta):
            return _deadline_error(job)
        try:
            return self._score(job)
        except KeyboardInterrupt:
            raise
        except frames.ProtocolError as error:
            return _scoring_error(job, "protocol", error)
        except BaseException as error:  # noqa: BLE001 - sys.exit() in run() fails one request only
            if is_refused_input(error):
                return _input_error(job, error)
            return _scoring_error(job, "model", error)

    def _score(self, job: ScoreJob) -> List[frames.Buffer]:
        if job.meta.get("arrays_differ") is True:
            self._shortcut.note_difference_elsewhere()
        answer = self._shortcut.score(job.meta.get("payload", {}), job.body, read_params(job.meta))
        result, body = describe_result(answer.result)
        limit = job.peer.max_answer_bytes
        if limit is not None and body.length > limit:
            raise ResultTooLarge(
                "the model's result has {} bytes, over the limit of {}: return less, or send fewer rows".format(
                    body.length, limit
                )
            )
        meta = {"result": result, "seconds": answer.seconds}
        if self._shortcut.has_differed:
            meta["arrays_differ"] = True
        return frames.pack(frames.RESULT, job.request_id, json.dumps(meta).encode(), body)


def _is_late(meta: Dict[str, Any]) -> bool:
    deadline = _deadline(meta)
    return deadline is not None and time.time() >= deadline


def _deadline(meta: Dict[str, Any]) -> Optional[float]:
    deadline = meta.get("deadline")
    return deadline if isinstance(deadline, (int, float)) else None


def _deadline_error(job: ScoreJob) -> List[frames.Buffer]:
    message = "the deadline passed before the model was free"
    output.log(output.WARNING, "Not scored: {} (request {})".format(message, _request_ids(job)))
    return _error(job, "deadline", "TimeoutError", message, None)


def _input_error(job: ScoreJob, error: BaseException) -> List[frames.Buffer]:
    message = _message(error)
    output.log(output.WARNING, "MLflow refused the input of request {}: {}".format(_request_ids(job), message))
    return _error(job, "input", type(error).__name__, message, None)


def _scoring_error(job: ScoreJob, kind: str, error: BaseException) -> List[frames.Buffer]:
    reference = uuid.uuid4().hex[:12]
    output.log_exception("Scoring failed, reference {} (request {})".format(reference, _request_ids(job)), error)
    return _error(job, kind, type(error).__name__, _message(error), reference)


def _error(job: ScoreJob, kind: str, name: str, message: str, reference: Optional[str]) -> List[frames.Buffer]:
    meta = {"error": kind, "type": name, "message": message, "reference": reference}
    return frames.pack_json(frames.ERROR, job.request_id, meta)


def _request_ids(job: ScoreJob) -> str:
    return ", ".join(map(str, job.meta.get("request_ids") or ())) or "unnamed"


def _message(error: BaseException) -> str:
    try:
        return str(error)[:_MAX_MESSAGE]
    except Exception:  # noqa: BLE001 - __str__ is user code
        return "(the exception has no text: its __str__ raises)"


def exception_line(error: BaseException) -> str:
    """Return the last line of the traceback, as Python prints it."""
    return traceback.format_exception_only(type(error), error)[-1].strip()[:_MAX_MESSAGE]
