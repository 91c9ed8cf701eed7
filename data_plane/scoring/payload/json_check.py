"""Check a worker's JSON before it leaves as a response: user code in the worker's process can forge any bytes."""

import json
from typing import NoReturn

import orjson

from data_plane.scoring.errors import WorkerProtocolError
from data_plane.scoring.payload.large_json import parse_large


def check_json(text: bytes) -> None:
    """Raises WorkerProtocolError for a text that is not JSON in UTF-8.

    The check takes about 1 microsecond for a small text. A large text is parsed piece by piece, so that other requests
    proceed in between.
    """
    try:
        parse_large(text)
    except orjson.JSONDecodeError:
        _check_slowly(text)


def _check_slowly(text: bytes) -> None:
    """Accept the valid JSON that orjson refuses: numbers beyond a double."""
    try:
        json.loads(str(text, "utf-8"), parse_constant=_refuse)
    except RecursionError:
        raise WorkerProtocolError("the model worker's result is nested too deeply") from None
    except ValueError:
        raise WorkerProtocolError("the model worker's result is not valid JSON") from None


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not JSON")
