"""The main thread's loop: one SCORE after the other through the user's `run`, each answered by RESULT or ERROR."""

import json
import time
import traceback
import uuid
from typing import Any, Dict, List, Optional

from . import frames, output
from .channel import Channel, Job
from .condition import Condition
from .inputs import read_input, read_params
from .results import describe_answer
from .script import Script

_LONGEST_MESSAGE = 2048


class Scorer:
    def __init__(self, script: Script, channel: Channel, condition: Condition) -> None:
        self._script = script
        self._channel = channel
        self._condition = condition

    def run(self) -> None:
        while True:
            job = self._channel.jobs.get()
            if job is None:
                return
            self._finish(job)
            # Its body is the model's input, and may be large.
            del job

    def _finish(self, job: Job) -> None:
        self._condition.busy_since = time.monotonic()
        self._condition.deadline = _deadline(job.meta)
        try:
            if not job.peer.closed:
                job.peer.send(self._answer(job))
                self._condition.answered += 1
        finally:
            self._condition.busy_since = self._condition.deadline = None
            self._channel.finish(job)

    def _answer(self, job: Job) -> List[frames.Buffer]:
        if _is_late(job.meta):
            return _too_late(job)
        try:
            return self._score(job)
        except KeyboardInterrupt:
            raise
        except frames.ProtocolError as error:
            return _failed(job, "protocol", error)
        except BaseException as error:  # noqa: BLE001 - sys.exit() in run() fails one request and takes nobody with it
            return _failed(job, "model", error)

    def _score(self, job: Job) -> List[frames.Buffer]:
        input_data = read_input(job.meta.get("payload", {}), job.body)
        params = read_params(job.meta)
        started = time.perf_counter()
        answer = self._script.run(input_data, params)
        seconds = time.perf_counter() - started
        result, body = describe_answer(answer)
        meta = json.dumps({"result": result, "seconds": seconds}).encode()
        return frames.pack(frames.RESULT, job.request_id, meta, body)


def _is_late(meta: Dict[str, Any]) -> bool:
    deadline = _deadline(meta)
    return deadline is not None and time.time() >= deadline


def _deadline(meta: Dict[str, Any]) -> Optional[float]:
    deadline = meta.get("deadline")
    return deadline if isinstance(deadline, (int, float)) else None


def _too_late(job: Job) -> List[frames.Buffer]:
    message = "the deadline passed before the model was free"
    output.log(output.WARNING, "Not scored, {} (request {})".format(message, _requests(job)))
    return _error(job, "deadline", "TimeoutError", message, None)


def _failed(job: Job, kind: str, error: BaseException) -> List[frames.Buffer]:
    reference = uuid.uuid4().hex[:12]
    output.log_exception("Scoring failed, reference {} (request {})".format(reference, _requests(job)), error)
    return _error(job, kind, type(error).__name__, _message(error), reference)


def _error(job: Job, kind: str, name: str, message: str, reference: Optional[str]) -> List[frames.Buffer]:
    meta = {"error": kind, "type": name, "message": message, "reference": reference}
    return frames.pack_json(frames.ERROR, job.request_id, meta)


def _requests(job: Job) -> str:
    return ", ".join(map(str, job.meta.get("request_ids") or ())) or "unnamed"


def _message(error: BaseException) -> str:
    try:
        return str(error)[:_LONGEST_MESSAGE]
    except Exception:  # noqa: BLE001 - it is the user's exception
        return "(the exception has no text: its __str__ raises)"


def one_line(error: BaseException) -> str:
    """The last line of the traceback, as Python prints it."""
    return traceback.format_exception_only(type(error), error)[-1].strip()[:_LONGEST_MESSAGE]
