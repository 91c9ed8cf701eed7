"""The control plane answers while idle and slow connections are open. The clients are a process of their own."""

import resource
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest

from tests.control_plane.app_server import AppServer

# Opens connections, then reports, and sends a byte now and then on the slow ones. Ends with its standard input.
FLOOD = """
import resource, select, socket, sys
port, idle, slow = map(int, sys.argv[1:])
_, most = resource.getrlimit(resource.RLIMIT_NOFILE)
resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
connections = [socket.create_connection(("127.0.0.1", port)) for _ in range(idle + slow)]
for connection in connections[:slow]:
    connection.sendall(b"GET /health HTTP/1.1\\r\\nHost: x\\r\\nX-Slow: ")
print("open", flush=True)
while not select.select([sys.stdin], [], [], 0.5)[0]:
    for connection in connections[:slow]:
        connection.sendall(b"a")
"""


@pytest.fixture
def port() -> Iterator[int]:
    # The connections stay open for the whole test.
    server = AppServer.without_services(header_seconds=120.0)
    yield urlsplit(server.url).port or 0
    server.close()


def slowest_answer(port: int, *, idle: int, slow: int) -> float:
    """Seconds of the slowest of 20 answers to `/health`, on new connections, during the flood."""
    command = [sys.executable, "-c", FLOOD, str(port), str(idle), str(slow)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as flood:
        assert flood.stdout is not None
        assert flood.stdout.readline() == b"open\n"
        took = []
        for _ in range(20):
            began = time.monotonic()
            with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
                connection.sendall(b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n")
                assert connection.recv(1 << 16).startswith(b"HTTP/1.1 200")
            took.append(time.monotonic() - began)
            time.sleep(0.05)
        assert flood.poll() is None, "the flood ended early: its connections were closed"
    return max(took)


def test_health_is_answered_beside_idle_and_slow_connections(port: int) -> None:
    assert slowest_answer(port, idle=800, slow=100) < 5


@pytest.mark.long
def test_health_is_answered_within_200_ms_beside_10_000_idle_and_500_slow_connections(port: int) -> None:
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    if most < 15_000:
        pytest.skip("needs 15,000 file descriptors: raise `ulimit -n`")
    assert slowest_answer(port, idle=10_000, slow=500) < 0.2
