"""Measure the maximal rate of the load generator, against a server that does no work."""

import os
import sys
from pathlib import Path

from benchmarks.figures import percentile
from benchmarks.load.generator import LoadGenerator
from benchmarks.load.http_answer import post
from benchmarks.load.load import Load
from benchmarks.servers.server import HOST, wait_until_ready
from benchmarks.servers.supervised_process import free_ports, supervised_process

_SECONDS = 2.0
_BODY = b"x" * 300


def ceiling(generator: LoadGenerator, folder: Path) -> dict[int, dict[str, float]]:
    """Return requests per second and median latency by number of connections."""
    port = free_ports(1)[0]
    url = f"http://{HOST}:{port}/score"
    command = [sys.executable, "-m", "benchmarks.load.echo", HOST, str(port)]
    with supervised_process(command, folder / "echo.log", os.environ, Path(__file__).parents[1]) as echo:
        wait_until_ready(url, _BODY, echo.is_alive, echo.log_tail)
        return {count: _reached(generator, port, count) for count in (1, 8, 32)}


def _reached(generator: LoadGenerator, port: int, connections: int) -> dict[str, float]:
    request = post(f"{HOST}:{port}", "/score", _BODY)
    seen = generator.run(Load((HOST, port), (request,), connections, _SECONDS))
    return {"per_second": seen.answers / seen.seconds, "p50_ms": 1000 * percentile(seen.latencies, 50)}
