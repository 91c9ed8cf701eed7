"""Processes of a platform that hang, for the tests of silence."""

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager

import httpx2
import psutil

from modelyard.supervisor.process_tree import descendants
from tests.e2e.platform import Platform

SERVICES = {
    "gateway": ("data_plane.gateway.main",),
    "control plane": ("control_plane.main",),
    "host": ("data_plane.host.main",),
    "builder": ("builder.main",),
    "batch worker": ("data_plane.batch.main",),
    "Valkey": ("valkey-server",),
}


def is_healthy(platform: Platform) -> bool:
    try:
        return time.time() - (platform.data_dir / "run" / "healthy").stat().st_mtime < 3
    except FileNotFoundError:
        return False


def health(platform: Platform) -> dict:
    return httpx2.get(f"{platform.url}/health", timeout=5, verify=False).json()


def answers(platform: Platform) -> bool:
    try:
        scores = httpx2.get(f"{platform.scoring_url}/", timeout=1, verify=False).status_code == 200
        return scores and platform.rest("GET", "/onlineEndpoints").status_code == 200
    except httpx2.TransportError:
        return False


@contextmanager
def stopped(*pids: int) -> Iterator[None]:
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in pids:
            if psutil.pid_exists(pid):
                os.kill(pid, signal.SIGCONT)


def postgres(platform: Platform) -> list[int]:
    """The server and its backends."""
    server = platform.process("bin/postgres -D")
    return [server.pid, *descendants(server.pid)]
