"""Limits per key: requests per second and per day, counted over all gateways."""

import json
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from itertools import cycle
from pathlib import Path

import pytest

from data_plane.gateway import mapped_table
from data_plane.gateway.rate_limits import RateCounters
from tests.data_plane.gateway.conftest import StartGateway
from tests.data_plane.gateway.gateway_process import KEY, GatewayProcess
from tests.data_plane.replicas.worker_harness import eventually

OTHER_KEY = "another key"
ANSWERING = """
    def init():
        pass

    def run(input_data):
        return "ok"
"""


class TestRateCounters:
    @pytest.fixture
    def two(self, tmp_path: Path) -> tuple[RateCounters, RateCounters]:
        return RateCounters(tmp_path, 0, 2), RateCounters(tmp_path, 1, 2)

    def test_two_gateways_let_exactly_the_limit_pass_in_each_window(self, two):
        counters = cycle([each.counter("wines", "key") for each in two])
        passed = Counter[int]()
        for number in range(3000):
            window = number // 1000
            passed[window] += next(counters).second.take(window, 100) >= 0
        assert passed == {0: 100, 1: 100, 2: 100}

    def test_uneven_load_passes_as_much_as_even_load(self, two):
        here, there = (each.counter("wines", "key") for each in two)
        assert sum(here.day.take(1, 100) >= 0 for _ in range(90)) == 90
        assert sum(there.day.take(1, 100) >= 0 for _ in range(90)) == 10

    def test_keys_are_counted_apart(self, two):
        here, there = two
        assert here.counter("wines", "primary").day.take(1, 1) == 0
        assert there.counter("wines", "secondary").day.take(1, 1) == 0
        assert there.counter("wines", "primary").day.take(1, 1) < 0

    def test_count_of_the_day_goes_on_after_a_restart_and_with_fewer_gateways(self, tmp_path, two):
        today = int(time.time()) // 86_400
        for each in two:
            each.counter("wines", "key").day.take(today, 10)
        restarted = RateCounters(tmp_path, 0, 1)
        assert restarted.counter("wines", "key").day.take(today, 10) == 7
        assert restarted.counter("wines", "key").day.take(today + 1, 10) == 9

    def test_full_table_takes_the_slots_of_earlier_days_after_a_restart(self, tmp_path, two, monkeypatch):
        monkeypatch.setattr(mapped_table, "SLOTS", 64)
        today = int(time.time()) // 86_400
        for number in range(64):
            two[0].counter("old", number).day.take(today - 1, 10)
        restarted, there = RateCounters(tmp_path, 0, 2), two[1].counter("wines", "key")
        assert restarted.counter("wines", "key").day.take(today, 1) == 0
        assert there.day.take(today, 1) < 0

    def test_full_table_leaves_each_gateway_with_its_own_count(self, two, monkeypatch):
        monkeypatch.setattr(mapped_table, "SLOTS", 64)
        for number in range(64):
            two[0].counter("key", number)
        late = two[0].counter("wines", "key")
        assert [late.day.take(1, 1), late.day.take(1, 1)] == [0, -1]
        assert two[0].counter("wines", "key").day.take(1, 1) < 0


@pytest.fixture
def two_gateways(start_gateway: StartGateway) -> tuple[GatewayProcess, GatewayProcess]:
    return start_gateway(options=("--gateways", "2")), start_gateway(options=("--gateways", "2", "--index", "1"))


def serve(gateways: tuple[GatewayProcess, GatewayProcess], **limits: int) -> None:
    first, _ = gateways
    if "wines" not in first.endpoints:
        first.serve(ANSWERING)
    first.endpoint(*first.endpoints["wines"].deployments.values(), **limits)
    first.publish()
    report = first.applied_file.with_name("gateway-1.applied")
    eventually(lambda: report.exists() and json.loads(report.read_text())["revision"] == first.revision)
    for gateway in gateways:
        eventually(lambda gateway=gateway: gateway.request("GET", "/wines/").status == 200)


def statuses(gateways: tuple[GatewayProcess, GatewayProcess], count: int, key: str = KEY) -> Counter[int]:
    """The statuses of `count` requests, sent to both gateways at the same time."""
    headers = {"Authorization": f"Bearer {key}"}
    with ThreadPoolExecutor(4) as threads:
        replies = threads.map(lambda number: gateways[number % 2].score(1, headers=headers), range(count))
        return Counter(reply.status for reply in replies)


class TestOverTwoGateways:
    def test_requests_of_a_day_are_exact_for_each_key_and_go_on_after_a_restart(self, two_gateways):
        serve(two_gateways, requests_per_day=100)
        passed = statuses(two_gateways, 130)
        assert 99 <= passed[200] <= 100
        assert passed[200] + passed[429] == 130
        assert statuses(two_gateways, 4, OTHER_KEY) == {200: 4}
        two_gateways[0].process.kill()
        two_gateways[0].process.wait()
        two_gateways[0].restart()
        refused = two_gateways[0].score(1)
        assert refused.status == 429
        assert refused.error["code"] == "RateLimitExceeded"
        assert "limit of 100 requests per day" in refused.error["message"]
        assert 0 < int(refused.headers["retry-after"]) <= 86_400
        assert refused.headers["ratelimit-policy"] == '"day";q=100;w=86400'
        assert refused.headers["ratelimit"] == f'"day";r=0;t={refused.headers["retry-after"]}'

    def test_answers_tell_what_is_left_and_requests_without_a_valid_key_count_nothing(self, two_gateways):
        serve(two_gateways, requests_per_second=1000, requests_per_day=10)
        for _ in range(3):
            assert two_gateways[0].score(1, headers={"Authorization": "Bearer wrong"}).status == 401
            assert two_gateways[0].request("GET", "/wines/").status == 200
        answer = two_gateways[1].score(1)
        assert answer.headers["ratelimit-policy"] == '"second";q=1000;w=1, "day";q=10;w=86400'
        second, _, day = answer.headers["ratelimit"].partition(", ")
        assert (second, day.partition(";t=")[0]) == ('"second";r=999;t=1', '"day";r=9')
        basic = {"Authorization": "Basic eDphIGtleSBvZiB0aGUgZW5kcG9pbnQgd2luZXM="}
        assert '"day";r=8' in two_gateways[0].score(1, headers=basic).headers["ratelimit"]
        serve(two_gateways)
        assert "ratelimit" not in two_gateways[0].score(1).headers

    def test_request_beyond_the_second_is_429_and_does_not_count_for_the_day(self, two_gateways):
        serve(two_gateways, requests_per_second=1, requests_per_day=1000)
        replies = [two_gateways[number % 2].score(1) for number in range(40)]
        passed = [reply for reply in replies if reply.status == 200]
        assert {reply.headers["retry-after"] for reply in replies if reply.status == 429} == {"1"}
        assert 1 <= len(passed) < 40
        assert f'"day";r={1000 - len(passed)};' in passed[-1].headers["ratelimit"]

    @pytest.mark.long
    def test_requests_per_second_are_exact_to_1_percent_over_ten_seconds(self, two_gateways):
        serve(two_gateways, requests_per_second=100)
        beginning = int(time.time()) + 1
        time.sleep(beginning - time.time())

        def score_until_the_end(gateway: GatewayProcess) -> int:
            passed = 0
            while time.time() < beginning + 9.9:
                passed += gateway.score(1).status == 200
            return passed

        with ThreadPoolExecutor(4) as threads:
            passed = sum(threads.map(score_until_the_end, (*two_gateways, *two_gateways)))
        assert passed == pytest.approx(1000, rel=0.01)
