"""Values of metrics at a time: plain data to exchange as JSON and to add up."""

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from typing import Any


class Kind(StrEnum):
    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


class Combine(StrEnum):
    """Combination of the gauges of several processes."""

    SUM = "sum"
    MAX = "max"


@dataclass(frozen=True, slots=True)
class MetricDescription:
    name: str
    kind: Kind
    unit: str
    help: str
    labels: tuple[str, ...] = ()
    bounds: tuple[float, ...] = ()
    """Upper bounds of a histogram, in `unit`; empty for counters and gauges."""
    combine: Combine = Combine.SUM


@dataclass(frozen=True, slots=True)
class Sample:
    labels: tuple[str, ...]
    """Values of the labels, in the order of the metric."""
    value: float
    """A histogram's sum of observations."""
    counts: tuple[int, ...] = ()
    """Observations of a histogram by bucket, not cumulative; the last bucket has no upper bound."""


@dataclass(frozen=True, slots=True)
class MetricSnapshot:
    description: MetricDescription
    samples: tuple[Sample, ...]

    def add(self, other: "MetricSnapshot") -> "MetricSnapshot":
        """Raises ValueError for a metric with another description; a changed help text makes no difference."""
        if self.description != replace(other.description, help=self.description.help):
            raise ValueError(f"metric {self.description.name!r} has different descriptions in the added snapshots")
        samples = {sample.labels: sample for sample in self.samples}
        for sample in other.samples:
            known = samples.get(sample.labels)
            samples[sample.labels] = sample if known is None else self._combined(known, sample)
        return replace(self, samples=tuple(samples.values()))

    def _combined(self, one: Sample, other: Sample) -> Sample:
        if self.description.combine is Combine.MAX:
            return max(one, other, key=lambda sample: sample.value)
        counts = tuple(mine + theirs for mine, theirs in zip(one.counts, other.counts, strict=True))
        return Sample(one.labels, one.value + other.value, counts)


@dataclass(frozen=True, slots=True)
class Snapshot:
    metrics: tuple[MetricSnapshot, ...] = ()

    def value(self, name: str, *labels: str) -> float:
        """Return the value of a series; 0 for a series without a sample. Raises KeyError for an unknown metric."""
        metric = next((metric for metric in self.metrics if metric.description.name == name), None)
        if metric is None:
            raise KeyError(name)
        return next((sample.value for sample in metric.samples if sample.labels == labels), 0.0)

    def to_json(self) -> bytes:
        return json.dumps({"metrics": [asdict(metric) for metric in self.metrics]}).encode()

    @classmethod
    def from_json(cls, content: bytes) -> "Snapshot":
        """Unknown fields are ignored: a process of a newer version may have written the snapshot."""
        return cls(tuple(_read_metric(metric) for metric in json.loads(content)["metrics"]))


def add_up(snapshots: Iterable[Snapshot]) -> Snapshot:
    """Return the sum over processes. Raises ValueError for a metric with different descriptions."""
    metrics: dict[str, MetricSnapshot] = {}
    for snapshot in snapshots:
        for metric in snapshot.metrics:
            name = metric.description.name
            metrics[name] = metrics[name].add(metric) if name in metrics else metric
    return Snapshot(tuple(metrics.values()))


def _read_metric(document: dict[str, Any]) -> MetricSnapshot:
    described = document["description"]
    description = MetricDescription(
        name=described["name"],
        kind=Kind(described["kind"]),
        unit=described["unit"],
        help=described["help"],
        labels=tuple(described["labels"]),
        bounds=tuple(described["bounds"]),
        combine=Combine(described["combine"]),
    )
    samples = [
        Sample(tuple(sample["labels"]), sample["value"], tuple(sample["counts"])) for sample in document["samples"]
    ]
    return MetricSnapshot(description, tuple(samples))
