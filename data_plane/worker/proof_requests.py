"""Generated requests for the proof of a model: payloads and bodies of SCORE frames, as the gateway sends them.

Each column goes through magnitudes from 0 to the ends of its type, shifted from column to column, around the values of
the model's input example if there is one. Further requests lack one value in each row, and all values.
"""

import array
import json
import os
import random
from typing import Any, Dict, Iterator, List, NamedTuple, Optional, Sequence, Tuple

from .frames import Body

_CODES = {"integer": "i", "long": "q", "float": "f", "double": "d"}
_LIMITS = {"integer": 2**31 - 1, "long": 2**53}
_MAGNITUDES = (0.0, 1.0, 0.5, 2.0, 10.0, 0.01, 100.0, 1e4, 1e-6, 1e6)
_EXTREMES = (0.0, 1e9, 1e15, 1e-12, 1e30)
_MAX_EXAMPLE_BYTES = 64 << 10
_MAX_EXAMPLE_ROWS = 16
_ROWS = 16

Row = List[Optional[float]]


class ProofRequest(NamedTuple):
    payload: Dict[str, Any]
    body: bytearray


def proof_requests(columns: Sequence[Tuple[str, str]], example: Sequence[Row]) -> Iterator[ProofRequest]:
    """Yield requests, the most telling first. `example`: rows of the input example."""
    scales = [_scale([row[place] for row in example]) for place in range(len(columns))]
    typical = _spread(columns, scales, _MAGNITUDES, _ROWS)
    yield _request(columns, [*example, *typical])
    yield _request(columns, [_without(row, number % len(columns)) for number, row in enumerate(typical)])
    yield _request(columns, typical[1:2])
    yield _request(columns, _spread(columns, scales, _EXTREMES, len(_EXTREMES)))
    yield _request(columns, [_without(row, *range(len(columns))) for row in typical[:2]])
    for row in (*example[:2], *typical[2:4]):
        yield _request(columns, [row])
    yield _request(columns, _spread(columns, scales, _MAGNITUDES, 4 * _ROWS))


def read_example(folder: str, columns: Sequence[Tuple[str, str]]) -> List[Row]:
    """Return the rows of the input example that MLflow saved with the model; none without a small, fitting example."""
    path = os.path.join(folder, "input_example.json")
    try:
        if os.path.getsize(path) > _MAX_EXAMPLE_BYTES:
            return []
        with open(path, encoding="utf-8") as file:
            document = json.load(file)
        if document["columns"] != [name for name, _ in columns]:
            return []
        rows = [[None if value is None else float(value) for value in row] for row in document["data"]]
    except (OSError, ValueError, LookupError, TypeError, RecursionError):
        return []
    return [row for row in rows[:_MAX_EXAMPLE_ROWS] if len(row) == len(columns)]


def _scale(values: Sequence[Optional[float]]) -> float:
    return max((abs(value) for value in values if value is not None and 0 < abs(value) < 1e9), default=1.0)


def _spread(
    columns: Sequence[Tuple[str, str]], scales: Sequence[float], magnitudes: Sequence[float], count: int
) -> List[Row]:
    """Return `count` rows with both signs of each magnitude in each column."""
    # An own generator: numpy's and Python's shared ones belong to the model.
    draw = random.Random(0)
    rows: List[Row] = []
    for number in range(count):
        signed = [
            magnitudes[(number + place) % len(magnitudes)] * (-1 if (number + place // 2) % 2 else 1)
            for place in range(len(columns))
        ]
        rows.append([value * scale * draw.uniform(0.5, 1.0) for value, scale in zip(signed, scales)])
    return rows


def _without(row: Row, *places: int) -> Row:
    return [None if place in places else value for place, value in enumerate(row)]


def _request(columns: Sequence[Tuple[str, str]], rows: Sequence[Row]) -> ProofRequest:
    body = Body()
    described = [_column(name, kind, [row[at] for row in rows], body) for at, (name, kind) in enumerate(columns)]
    payload = {"kind": "frame", "rows": len(rows), "columns": described}
    return ProofRequest(payload, bytearray(b"".join(body.buffers)))


def _column(name: str, kind: str, values: Sequence[Optional[float]], body: Body) -> Dict[str, Any]:
    nulls = [value is None for value in values]
    data = array.array(_CODES[kind], [_typed(0.0 if value is None else value, kind) for value in values])
    described = {"name": name, "type": kind, "data": list(body.add(data.tobytes()))}
    # A missing integer makes a column of Python objects, which is no array.
    if any(nulls) and kind not in _LIMITS:
        described["nulls"] = body.add(bytes(nulls))
    return described


def _typed(value: float, kind: str) -> Any:
    limit = _LIMITS.get(kind)
    return value if limit is None else max(-limit, min(limit, round(value)))
