"""Pending requests, counted over several gateways."""

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from data_plane.gateway.admission import PendingRequests
from tests.data_plane.gateway.conftest import StartGateway
from tests.data_plane.gateway.test_workers import HELD, wait_for
from tests.data_plane.replicas.worker_harness import eventually

BLUE = ("bundles/1", "blue", 3)


@pytest.fixture
def two(tmp_path: Path) -> tuple[PendingRequests, PendingRequests]:
    return PendingRequests(tmp_path, 0, 2), PendingRequests(tmp_path, 1, 2)


class TestPendingRequests:
    def test_limit_counts_requests_of_all_gateways(self, two: tuple[PendingRequests, PendingRequests]) -> None:
        here, there = (each.slot(*BLUE) for each in two)
        assert [here.enter(3), there.enter(3), here.enter(3)] == [True] * 3
        assert [here.enter(3), there.enter(3)] == [False, False]
        there.leave()
        assert [here.enter(3), there.enter(3)] == [True, False]

    def test_each_deployment_and_generation_has_its_own_count(
        self, two: tuple[PendingRequests, PendingRequests]
    ) -> None:
        here, there = two
        assert here.slot(*BLUE).enter(1)
        assert there.slot("bundles/2", "blue", 4).enter(1)
        assert not there.slot(*BLUE).enter(1)

    def test_counts_of_a_dead_gateway_end_with_its_successor(self, tmp_path: Path) -> None:
        dying, other = PendingRequests(tmp_path, 0, 2), PendingRequests(tmp_path, 1, 2).slot(*BLUE)
        assert dying.slot(*BLUE).enter(1)
        assert not other.enter(1)
        PendingRequests(tmp_path, 0, 2)
        assert other.enter(1)

    def test_a_released_slot_can_be_taken_again_and_hides_no_other_slot(
        self, two: tuple[PendingRequests, PendingRequests]
    ) -> None:
        here, there = two
        for generation in range(10_000):
            slot = here.slot("bundles", "blue", generation)
            assert slot.enter(1)
            other = there.slot("bundles", "blue", generation)
            assert not other.enter(1)
            other.release()
            slot.leave()
            slot.release()

    def test_a_full_table_leaves_each_gateway_with_its_own_count(
        self, two: tuple[PendingRequests, PendingRequests]
    ) -> None:
        here, there = two
        for generation in range(5_000):
            here.slot("bundles", "blue", generation)
        slot, theirs = here.slot(*BLUE), there.slot(*BLUE)
        assert [slot.enter(1), slot.enter(1), theirs.enter(1)] == [True, False, True]


class TestSeveralGateways:
    def test_request_beyond_the_limit_is_429_at_every_gateway(
        self, start_gateway: StartGateway, tmp_path: Path
    ) -> None:
        first = start_gateway(options=("--gateways", "2"))
        second = start_gateway(options=("--gateways", "2", "--index", "1"))
        first.serve(HELD, max_concurrent_requests_per_instance=1)
        report = first.applied_file.with_name("gateway-1.applied")
        eventually(lambda: report.exists() and json.loads(report.read_text())["revision"] == first.revision)
        with ThreadPoolExecutor(2) as threads:
            held = threads.submit(first.score, str(tmp_path / "held"))
            wait_for(tmp_path / "held")
            behind = threads.submit(second.score, "")
            eventually(lambda: first.pending() == 2)
            for gateway in (first, second):
                reply = gateway.score("")
                assert (reply.status, reply.error["code"]) == (429, "TooManyRequests")
                assert reply.headers["retry-after"] == "1"
            (tmp_path / "held").unlink()
            assert (held.result().status, behind.result().status) == (200, 200)
