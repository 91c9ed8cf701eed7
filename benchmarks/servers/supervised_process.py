"""Programs that end with this process, however it ends: each runs under a process shim."""

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
class Kept:
    pid: int
    log: Path
    is_alive: Callable[[], bool]

    def processes(self) -> list[int]:
        """The program and what it has started, without the shim."""
        return tree(self.pid)[1:]

    def last_words(self) -> str:
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-_LAST_LINES:])


@contextmanager
def kept(command: Sequence[str | Path], log: Path, environment: Mapping[str, str], cwd: Path) -> Iterator[Kept]:
    reader, lifeline = os.pipe()
    options = ("--log", str(log), "--cwd", str(cwd), "--grace", str(_GRACE_SECONDS))
    process = subprocess.Popen(
        [*shim_command(reader, *options), "--", *map(str, command)],
        env=dict(environment),
        pass_fds=[reader],
        # Ctrl-C is for the benchmark, which then ends its servers itself.
        start_new_session=True,
    )
    os.close(reader)
    try:
        yield Kept(process.pid, log, lambda: process.poll() is None)
    finally:
        with _undisturbed():
            os.close(lifeline)
            process.wait(_GRACE_SECONDS + 5)


@contextmanager
def _undisturbed() -> Iterator[None]:
    """A second Ctrl-C does not stop the tidying up."""
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
