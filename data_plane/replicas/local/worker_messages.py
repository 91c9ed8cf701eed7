"""Read the messages of a model worker: statuses, pongs and errors, checked as input from foreign code.

User code shares the worker's process and can write any bytes to the worker's socket. Each reader returns values of the
declared types, with bounded and storable texts, or raises ProtocolError.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, cast

import orjson

from data_plane.worker import frames
from data_plane.worker.frames import Frame, ProtocolError
from modelyard.core.domain.storable_text import storable_text

MAX_META_BYTES = 4 << 20
"""Largest meta of a worker's frame: the JSON is parsed on the gateway's event loop."""

MAX_STATUSES = 100
"""Statuses on one connection. A worker changes its state a few times in its life."""

_MAX_MESSAGE_CHARACTERS = 2048
_MAX_NAME_CHARACTERS = 256
_STATES = ("loading", "ready", "failed")

State = Literal["loading", "ready", "failed"]


@dataclass(frozen=True, slots=True)
class WorkerStatus:
    worker_id: str
    generation: int
    pid: int
    state: State
    error: str | None
    python: str
    started_at: float


@dataclass(frozen=True, slots=True)
class Pong:
    state: str
    busy_for: float | None
    """Seconds that the model has been at work on the current batch."""

    overdue_for: float | None
    """Seconds since the deadline of the current batch; None before that deadline, and for an idle worker."""

    answered: int


@dataclass(frozen=True, slots=True)
class WorkerError:
    """An ERROR frame in place of a result."""

    kind: str
    """`model`, `input`, `deadline` or `protocol`."""
    type_name: str
    message: str
    reference: str | None


def read_meta(frame: Frame) -> Mapping[str, Any]:
    """Raises ProtocolError."""
    try:
        meta = orjson.loads(frame.meta)
    except orjson.JSONDecodeError:
        # A worker escapes half a surrogate pair of a model's message, which orjson does not read.
        return frames.unpack_meta(frame.meta)
    if not isinstance(meta, dict):
        raise ProtocolError(f"the meta of a frame is a JSON {type(meta).__name__}, not an object")
    return meta


def read_status(frame: Frame) -> WorkerStatus:
    meta = read_meta(frame)
    if frame.kind != frames.STATUS or meta.get("protocol") != frames.VERSION:
        raise ProtocolError(f"the worker answered HELLO with {storable_text(meta, max_characters=200)}")
    state, error = meta.get("state"), meta.get("error")
    if state not in _STATES:
        raise ProtocolError(f"the worker has the state {storable_text(state, max_characters=200)}")
    return WorkerStatus(
        worker_id=storable_text(meta.get("worker_id"), max_characters=_MAX_NAME_CHARACTERS),
        generation=_whole(meta, "generation"),
        pid=_whole(meta, "pid"),
        state=cast(State, state),
        error=None if error is None else storable_text(error, max_characters=_MAX_MESSAGE_CHARACTERS),
        python=storable_text(meta.get("python"), max_characters=_MAX_NAME_CHARACTERS),
        started_at=_seconds(meta, "started_at"),
    )


def read_pong(frame: Frame) -> Pong:
    meta = read_meta(frame)
    return Pong(
        state=storable_text(meta.get("state"), max_characters=_MAX_NAME_CHARACTERS),
        busy_for=_optional_seconds(meta, "busy_for"),
        # A worker of an earlier platform version sends no `overdue_for`.
        overdue_for=_optional_seconds(meta, "overdue_for"),
        answered=_whole(meta, "answered"),
    )


def read_error(frame: Frame) -> WorkerError:
    meta = read_meta(frame)
    reference = meta.get("reference")
    return WorkerError(
        kind=storable_text(meta.get("error"), max_characters=_MAX_NAME_CHARACTERS),
        type_name=storable_text(meta.get("type"), max_characters=_MAX_NAME_CHARACTERS),
        message=storable_text(meta.get("message"), max_characters=_MAX_MESSAGE_CHARACTERS),
        reference=None if reference is None else storable_text(reference, max_characters=_MAX_NAME_CHARACTERS),
    )


def read_model_seconds(meta: Mapping[str, Any]) -> float:
    """Return the seconds of the predict call in a RESULT frame."""
    return _seconds(meta, "seconds")


def _whole(meta: Mapping[str, Any], name: str) -> int:
    value = meta.get(name)
    if type(value) is not int or not 0 <= value < 1 << 63:
        raise ProtocolError(f"{name!r} must be a whole number, not {storable_text(value, max_characters=200)}")
    return value


def _seconds(meta: Mapping[str, Any], name: str) -> float:
    value: Any = meta.get(name)
    if type(value) not in (int, float) or not math.isfinite(value) or not 0 <= value < 1e12:
        raise ProtocolError(f"{name!r} must be a number of seconds, not {storable_text(value, max_characters=200)}")
    return float(value)


def _optional_seconds(meta: Mapping[str, Any], name: str) -> float | None:
    return None if meta.get(name) is None else _seconds(meta, name)
