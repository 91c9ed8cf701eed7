"""Measure the least that a server in Python can take: `orjson.loads` and the model's `predict`, in this process."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any

import numpy as np
import orjson
import pandas as pd

from benchmarks.figures import percentile
from benchmarks.models import SavedModel
from benchmarks.servers.server import split

_LEAST_CALLS = 5


@dataclass(slots=True)
class Bound:
    """Median milliseconds of each round, for one request after another."""

    model: str
    rows: int
    rounds: list[float] = field(default_factory=list)

    @property
    def milliseconds(self) -> float:
        return median(self.rounds)


class InProcess:
    """Reads bodies and predicts, as the shortest program does: no HTTP, no checks, no answer in JSON."""

    def __init__(self, model: SavedModel, frames: Sequence[pd.DataFrame]) -> None:
        self._predict = _shortest_predict(model)
        self._bodies = [orjson.dumps({"input_data": split(frame)}) for frame in frames]

    def milliseconds(self, seconds: float) -> float:
        """Return the median time of a call, over `seconds` of calls."""
        times: list[float] = []
        ends_at = time.perf_counter() + seconds
        while len(times) < _LEAST_CALLS or time.perf_counter() < ends_at:
            body = self._bodies[len(times) % len(self._bodies)]
            begun = time.perf_counter()
            self._predict(orjson.loads(body)["input_data"]["data"])
            times.append(1000 * (time.perf_counter() - begun))
        return percentile(times, 50)


def _shortest_predict(model: SavedModel) -> Callable[[list[list[Any]]], object]:
    """Pass an array; to the text pipeline, which selects its column by name, a DataFrame."""
    estimator, columns = model.estimator, list(model.rows.columns)
    if hasattr(estimator, "steps"):
        return lambda rows: estimator.predict(pd.DataFrame(rows, columns=columns))
    return lambda rows: estimator.predict(np.asarray(rows, dtype=np.float64))
