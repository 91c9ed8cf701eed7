"""How many requests a second the load generator itself can do: it asks the cheapest server there is."""

import os
import sys
from pathlib import Path

from benchmarks.figures import percentile
from benchmarks.load.generator import LoadGenerator
from benchmarks.load.http_answer import post
from benchmarks.load.load import Load
from benchmarks.servers.server import HOST, wait_until_it_answers
from benchmarks.servers.supervised_process import free_ports, kept

_SECONDS = 2.0
_BODY = b"x" * 300


def ceiling(generator: LoadGenerator, folder: Path) -> dict[int, dict[str, float]]:
    """By the number of connections."""
    port = free_ports(1)[0]
    url = f"http://{HOST}:{port}/score"
    command = [sys.executable, "-m", "benchmarks.load.echo", HOST, str(port)]
    with kept(command, folder / "echo.log", os.environ, Path(__file__).parents[1]) as echo:
        wait_until_it_answers(url, _BODY, echo.is_alive, echo.last_words)
        return {count: _reached(generator, port, count) for count in (1, 8, 32)}


def _reached(generator: LoadGenerator, port: int, connections: int) -> dict[str, float]:
    request = post(f"{HOST}:{port}", "/score", _BODY)
    seen = generator.run(Load((HOST, port), (request,), connections, _SECONDS))
    return {"per_second": seen.answers / seen.seconds, "p50_ms": 1000 * percentile(seen.latencies, 50)}
