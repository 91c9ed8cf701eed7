"""Many requests of every kind on a few connections: no error, no wrong answer, no growing process."""

import asyncio
import statistics
from collections.abc import Iterator

import psutil
import pytest

from data_plane.replicas.local.worker_process import WorkerProcess
from tests.data_plane.gateway.conftest import gateways
from tests.data_plane.gateway.gateway_process import DOUBLES, GatewayProcess
from tests.data_plane.gateway.soaking import SCRIPT, Soak

CONNECTIONS = 8
PARTS = 40
WARM_UP = PARTS // 4
# For each process: a few pages of the allocator, and what 200,000 requests may leave behind each.
MOST_GROWTH = 2 << 20


@pytest.fixture(scope="module")
def served() -> Iterator[tuple[GatewayProcess, list[WorkerProcess]]]:
    with gateways() as start:
        gateway = start()
        yield gateway, gateway.serve(SCRIPT, inputs=DOUBLES, instances=2)


def soak(served: tuple[GatewayProcess, list[WorkerProcess]], times: int) -> None:
    gateway, workers = served
    processes = {"gateway": psutil.Process(gateway.process.pid)}
    processes |= {f"worker {number}": psutil.Process(worker.pid) for number, worker in enumerate(workers)}
    soaking = Soak(gateway.port, CONNECTIONS)
    memory: dict[str, list[int]] = {name: [] for name in processes}
    for _ in range(PARTS):
        asyncio.run(soaking.ask(times // PARTS))
        for name, process in processes.items():
            memory[name].append(process.memory_info().rss)
    for name, seen in memory.items():
        grown = _grown(seen)
        print(f"{times} requests: {name} has {seen[-1] >> 10} KiB, grown by {grown >> 10} KiB")
        assert grown < MOST_GROWTH, f"{name}: {[size >> 10 for size in seen]}"
    assert gateway.process.poll() is None
    assert gateway.log.read_bytes() == b""


def _grown(seen: list[int]) -> int:
    """Return the growth from the quarter after the warm-up to the last quarter."""
    return int(statistics.median(seen[-WARM_UP:]) - statistics.median(seen[WARM_UP : 2 * WARM_UP]))


def test_five_thousand_requests_get_their_answers_and_no_process_grows(
    served: tuple[GatewayProcess, list[WorkerProcess]],
) -> None:
    soak(served, 5_000)


@pytest.mark.long
@pytest.mark.timeout(3600)
def test_two_hundred_thousand_requests_get_their_answers_and_no_process_grows(
    served: tuple[GatewayProcess, list[WorkerProcess]],
) -> None:
    soak(served, 200_000)
