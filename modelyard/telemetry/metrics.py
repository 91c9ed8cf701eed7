"""Counters, gauges and histograms of a process, with snapshots to add up across processes.

`main` creates one `Registry` and hands the registry down. A component declares metrics once and keeps the series:

    requests = registry.counter("http_requests", "Requests answered", unit="requests", labels=("method", "status"))
    ok = requests.series("GET", "200")
    ok.add()

A metric has at most `max_series` label combinations. Further combinations share a series with the label values
"other": labels chosen by clients cannot fill the memory. Every method may be called from any thread.
An `add` takes about 0.2 microseconds and an `observe` about 0.4, measured with `timeit` on a busy machine.
"""

import re
import threading
from bisect import bisect_left
from collections.abc import Callable, Sequence
from typing import Generic, Protocol, TypeVar

from modelyard.telemetry.snapshot import Combine, Kind, MetricDescription, MetricSnapshot, Sample, Snapshot

DEFAULT_MAX_SERIES = 500
OTHER = "other"
SECONDS_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
"""Upper bounds for durations of requests, in seconds."""

_NAME = re.compile(r"[a-z][a-z0-9_]*")


class Counter:
    """An increasing series."""

    __slots__ = ("_lock", "_value")

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._value = 0.0

    def add(self, amount: float = 1.0) -> None:
        """Raises ValueError for a negative amount."""
        if amount < 0:
            raise ValueError(f"a counter cannot decrease by {-amount:g}; use a gauge")
        with self._lock:
            self._value += amount

    def sample(self, labels: tuple[str, ...]) -> Sample:
        return Sample(labels, self._value)


class Gauge:
    """A series of rising and falling values."""

    __slots__ = ("_lock", "_value")

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._value = 0.0

    def set(self, value: float) -> None:
        with self._lock:
            self._value = value

    def add(self, amount: float = 1.0) -> None:
        with self._lock:
            self._value += amount

    def sample(self, labels: tuple[str, ...]) -> Sample:
        return Sample(labels, self._value)


class Histogram:
    """A series with the number of observations by upper bound (inclusive) and the sum of the observed values."""

    __slots__ = ("_bounds", "_counts", "_lock", "_sum")

    def __init__(self, bounds: Sequence[float]) -> None:
        self._bounds = tuple(bounds)
        self._lock = threading.Lock()
        self._counts = [0] * (len(self._bounds) + 1)
        self._sum = 0.0

    def observe(self, value: float) -> None:
        index = bisect_left(self._bounds, value)
        with self._lock:
            self._counts[index] += 1
            self._sum += value

    def sample(self, labels: tuple[str, ...]) -> Sample:
        with self._lock:
            return Sample(labels, self._sum, tuple(self._counts))


class Series(Protocol):
    def sample(self, labels: tuple[str, ...]) -> Sample: ...


AnySeries = TypeVar("AnySeries", bound=Series)


class Metric(Generic[AnySeries]):
    """A described metric with a series for each combination of label values."""

    def __init__(self, description: MetricDescription, max_series: int, create: Callable[[], AnySeries]) -> None:
        self.description = description
        self._max_series = max_series
        self._create = create
        self._lock = threading.Lock()
        self._series: dict[tuple[str, ...], AnySeries] = {}

    def series(self, *values: str) -> AnySeries:
        """Return the series of the label values, in the order of the labels. Raises ValueError for a wrong number."""
        found = self._series.get(values)
        return self._add(values) if found is None else found

    def snapshot(self) -> MetricSnapshot:
        with self._lock:
            series = list(self._series.items())
        return MetricSnapshot(self.description, tuple(one.sample(labels) for labels, one in series))

    def _add(self, values: tuple[str, ...]) -> AnySeries:
        labels = self.description.labels
        if len(values) != len(labels):
            raise ValueError(f"metric {self.description.name!r} has the labels {labels}, but {values} were given")
        with self._lock:
            if values not in self._series and len(self._series) >= self._max_series:
                values = (OTHER,) * len(labels)
            return self._series.setdefault(values, self._create())


class Registry:
    """All metrics of one process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._metrics: dict[str, Metric[Counter] | Metric[Gauge] | Metric[Histogram]] = {}

    def counter(
        self, name: str, help: str, *, unit: str, labels: Sequence[str] = (), max_series: int = DEFAULT_MAX_SERIES
    ) -> Metric[Counter]:
        """Declare a counter. Raises ValueError for a known or malformed name."""
        description = MetricDescription(name, Kind.COUNTER, unit, help, tuple(labels))
        return self._declare(Metric(description, max_series, Counter))

    def gauge(
        self,
        name: str,
        help: str,
        *,
        unit: str,
        labels: Sequence[str] = (),
        combine: Combine = Combine.SUM,
        max_series: int = DEFAULT_MAX_SERIES,
    ) -> Metric[Gauge]:
        """Declare a gauge; `combine` applies to the values of several processes."""
        description = MetricDescription(name, Kind.GAUGE, unit, help, tuple(labels), combine=combine)
        return self._declare(Metric(description, max_series, Gauge))

    def histogram(
        self,
        name: str,
        help: str,
        *,
        unit: str,
        bounds: Sequence[float] = SECONDS_BUCKETS,
        labels: Sequence[str] = (),
        max_series: int = DEFAULT_MAX_SERIES,
    ) -> Metric[Histogram]:
        """Declare a histogram; `bounds` are increasing upper bounds, and the last bucket has none."""
        if list(bounds) != sorted(set(bounds)):
            raise ValueError(f"the bounds of metric {name!r} must increase: {tuple(bounds)}")
        description = MetricDescription(name, Kind.HISTOGRAM, unit, help, tuple(labels), tuple(bounds))
        return self._declare(Metric(description, max_series, lambda: Histogram(bounds)))

    def snapshot(self) -> Snapshot:
        """Return the present values of all metrics. Increments during the call may be in some metrics only."""
        with self._lock:
            metrics = list(self._metrics.values())
        return Snapshot(tuple(metric.snapshot() for metric in metrics))

    def _declare(self, metric: Metric[AnySeries]) -> Metric[AnySeries]:
        name = metric.description.name
        for word in (name, *metric.description.labels):
            if not _NAME.fullmatch(word):
                raise ValueError(f"{word!r} is not a metric or label name: use a-z, 0-9 and _, beginning with a letter")
        with self._lock:
            if name in self._metrics:
                raise ValueError(f"metric {name!r} is declared twice in one registry")
            self._metrics[name] = metric  # type: ignore[assignment]  # a counter, gauge or histogram
        return metric
