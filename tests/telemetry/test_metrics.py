"""Metrics: series by label values, bounded in number, exact under threads, and added up across processes."""

import json
import threading

import pytest

from modelyard.telemetry.metrics import Registry
from modelyard.telemetry.snapshot import Combine, Snapshot, add_up


@pytest.fixture
def registry() -> Registry:
    return Registry()


def test_counter_counts_each_combination_of_label_values_apart(registry):
    requests = registry.counter("requests", "Requests answered", unit="requests", labels=("method", "status"))
    requests.series("GET", "200").add()
    requests.series("GET", "200").add(2)
    requests.series("PUT", "409").add()
    snapshot = registry.snapshot()
    assert snapshot.value("requests", "GET", "200") == 3
    assert snapshot.value("requests", "PUT", "409") == 1
    assert snapshot.value("requests", "DELETE", "404") == 0


def test_counter_refuses_to_decrease(registry):
    counter = registry.counter("restarts", "Restarts", unit="restarts")
    with pytest.raises(ValueError, match="cannot decrease by 1; use a gauge"):
        counter.series().add(-1)


def test_gauge_rises_and_falls(registry):
    waiting = registry.gauge("waiting", "Requests that wait", unit="requests").series()
    waiting.set(5)
    waiting.add(-2)
    assert registry.snapshot().value("waiting") == 3


def test_histogram_counts_a_value_at_a_bound_in_that_bucket_and_larger_ones_in_the_last(registry):
    seconds = registry.histogram("duration", "Duration", unit="seconds", bounds=(0.1, 1.0)).series()
    for value in (0.05, 0.1, 0.5, 7.0):
        seconds.observe(value)
    ((sample,),) = [metric.samples for metric in registry.snapshot().metrics]
    assert sample.counts == (2, 1, 1)
    assert sample.value == pytest.approx(7.65)


def test_label_values_beyond_the_limit_share_the_series_other(registry):
    requests = registry.counter("requests", "Requests", unit="requests", labels=("path",), max_series=2)
    for path in ("/a", "/b", "/c", "/d", "/a"):
        requests.series(path).add()
    snapshot = registry.snapshot()
    assert snapshot.value("requests", "/a") == 2
    assert snapshot.value("requests", "other") == 2
    assert len(snapshot.metrics[0].samples) == 3


def test_wrong_number_of_label_values_is_refused(registry):
    requests = registry.counter("requests", "Requests", unit="requests", labels=("method", "status"))
    with pytest.raises(ValueError, match=r"metric 'requests' has the labels \('method', 'status'\)"):
        requests.series("GET")


def test_metric_name_declared_twice_is_refused(registry):
    registry.counter("requests", "Requests", unit="requests")
    with pytest.raises(ValueError, match="'requests' is declared twice"):
        registry.gauge("requests", "Requests", unit="requests")


@pytest.mark.parametrize("name", ["Requests", "requests-total", "", "1st"])
def test_malformed_metric_name_is_refused(registry, name):
    with pytest.raises(ValueError, match="is not a metric or label name"):
        registry.counter(name, "Requests", unit="requests")


def test_histogram_bounds_that_do_not_increase_are_refused(registry):
    with pytest.raises(ValueError, match="bounds of metric 'duration' must increase"):
        registry.histogram("duration", "Duration", unit="seconds", bounds=(1.0, 1.0))


def test_no_increment_of_eight_threads_is_lost(registry):
    counter = registry.counter("requests", "Requests", unit="requests", labels=("path",), max_series=3)
    seconds = registry.histogram("duration", "Duration", unit="seconds").series()

    def work(number: int) -> None:
        for _ in range(5_000):
            counter.series(str(number)).add()
            seconds.observe(0.2)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    counts, durations = registry.snapshot().metrics
    assert sum(sample.value for sample in counts.samples) == 40_000
    assert sum(durations.samples[0].counts) == 40_000


def of_gateway(requests: int, waiting: int, age: float, seconds: float) -> Snapshot:
    registry = Registry()
    registry.counter("requests", "Requests", unit="requests", labels=("status",)).series("200").add(requests)
    registry.gauge("waiting", "Requests that wait", unit="requests").series().set(waiting)
    registry.gauge("age", "Age of the snapshot", unit="seconds", combine=Combine.MAX).series().set(age)
    registry.histogram("duration", "Duration", unit="seconds", bounds=(1.0,)).series().observe(seconds)
    return registry.snapshot()


def test_snapshots_of_two_gateways_add_up_after_a_trip_through_json():
    one, other = of_gateway(3, 1, 0.5, 0.2), of_gateway(4, 2, 0.25, 5.0)
    total = add_up(Snapshot.from_json(snapshot.to_json()) for snapshot in (one, other))
    assert total.value("requests", "200") == 7
    assert total.value("waiting") == 3
    assert total.value("age") == 0.5
    duration = next(metric for metric in total.metrics if metric.description.name == "duration")
    assert duration.samples[0].counts == (1, 1)
    assert duration.samples[0].value == pytest.approx(5.2)


def test_series_of_one_process_alone_is_part_of_the_sum():
    registry = Registry()
    registry.counter("requests", "Requests", unit="requests", labels=("status",)).series("500").add()
    total = add_up([of_gateway(3, 0, 0, 0), registry.snapshot()])
    assert (total.value("requests", "200"), total.value("requests", "500")) == (3, 1)


def test_snapshot_with_a_field_of_a_newer_version_is_read():
    document = json.loads(of_gateway(3, 1, 0.5, 0.2).to_json())
    document["written_by"] = "2.0"
    for metric in document["metrics"]:
        metric["exemplars"] = []
        metric["description"]["stability"] = "beta"
    assert Snapshot.from_json(json.dumps(document).encode()).value("requests", "200") == 3


def test_snapshots_that_describe_a_metric_differently_do_not_add_up():
    registry = Registry()
    registry.counter("requests", "Requests", unit="requests", labels=("path",))
    with pytest.raises(ValueError, match="metric 'requests' has different descriptions"):
        add_up([of_gateway(1, 1, 1, 1), registry.snapshot()])


def test_unknown_metric_of_a_snapshot_is_a_key_error(registry):
    with pytest.raises(KeyError, match="requests"):
        registry.snapshot().value("requests")
