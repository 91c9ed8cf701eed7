"""Programs that end with this process, even after a crash: each runs under the platform's process shim."""

import os
import signal
import socket
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.processes import tree
from benchmarks.servers.server import HOST
from modelyard.process.shim_command import shim_command

_GRACE_SECONDS = 5
_LAST_LINES = 25


@dataclass(frozen=True, slots=True)
class SupervisedProcess:
    pid: int
    log: Path
    is_alive: Callable[[], bool]

    def processes(self) -> list[int]:
        """Return the program and all descendants, without the process shim."""
        return tree(self.pid)[1:]

    def log_tail(self) -> str:
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-_LAST_LINES:])


@contextmanager
def supervised_process(
    command: Sequence[str | Path], log: Path, environment: Mapping[str, str], cwd: Path
) -> Iterator[SupervisedProcess]:
    reader, lifeline = os.pipe()
    options = ("--log", str(log), "--cwd", str(cwd), "--grace", str(_GRACE_SECONDS))
    process = subprocess.Popen(
        [*shim_command(reader, *options), "--", *map(str, command)],
        env=dict(environment),
        pass_fds=[reader],
        # Ctrl-C interrupts the benchmark only, and the benchmark ends the servers.
        start_new_session=True,
    )
    os.close(reader)
    try:
        yield SupervisedProcess(process.pid, log, lambda: process.poll() is None)
    finally:
        with _ignore_interrupts():
            os.close(lifeline)
            process.wait(_GRACE_SECONDS + 5)


@contextmanager
def _ignore_interrupts() -> Iterator[None]:
    """Ignore a second Ctrl-C during clean-up."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def free_ports(count: int) -> list[int]:
    listeners = [socket.create_server((HOST, 0)) for _ in range(count)]
    ports: list[int] = [listener.getsockname()[1] for listener in listeners]
    for listener in listeners:
        listener.close()
    return ports
