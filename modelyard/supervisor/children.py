"""Child processes of the supervisor: started with only the needed descriptors and variables, restarted on exit."""

import os
import signal
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from modelyard.process.shim_command import shim_command

_BACKOFF_SECONDS = (0.1, 0.5, 1.0, 2.0, 5.0)
_STEADY_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Service:
    """A program to run as a child process."""

    name: str
    command: tuple[str, ...]
    log: Path
    environment: Mapping[str, str] = field(default_factory=dict)
    sockets: tuple[int, ...] = ()
    """Inherited listening sockets."""
    shim_options: tuple[str, ...] | None = None
    """Options of the process shim, for a foreign program. None: our program watches the lifeline itself."""


class Child:
    """The process of a service, through all restarts."""

    def __init__(self, service: Service, *, lifeline: int, lock: int, max_log_bytes: int) -> None:
        """The process inherits `lifeline`, a pipe's read end, and `lock`, the descriptor of the data dir's lock."""
        self.service = service
        self._lifeline = lifeline
        self._lock = lock
        self._max_log_bytes = max_log_bytes
        self._process: subprocess.Popen[bytes] | None = None
        self._started_at = 0.0
        self._failures = 0
        self._start_at: float | None = 0.0

    @property
    def name(self) -> str:
        return self.service.name

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process else None

    @property
    def is_steady(self) -> bool:
        """Whether the process runs, and after a failure has run for ten seconds."""
        if self._process is None or self._process.poll() is not None:
            return False
        return self._failures == 0 or time.monotonic() - self._started_at > _STEADY_SECONDS

    def start(self) -> None:
        _rotate(self.service.log, self._max_log_bytes)
        with self.service.log.open("ab") as log:
            self._process = subprocess.Popen(
                self._command(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=dict(self.service.environment),
                pass_fds=(self._lifeline, self._lock, *self.service.sockets),
                # Ctrl-C in the terminal reaches the supervisor alone; the supervisor ends the children in order.
                start_new_session=True,
            )
        self._started_at = time.monotonic()
        self._start_at = None

    def _command(self) -> list[str]:
        if self.service.shim_options is None:
            return [*self.service.command, "--lifeline-fd", str(self._lifeline)]
        return [*shim_command(self._lifeline, *self.service.shim_options), "--", *self.service.command]

    def take_exit(self) -> str | None:
        """Return the reason of an exit once, and schedule the restart. None while the process runs."""
        if self._process is None or self._process.poll() is None:
            return None
        code = self._process.returncode
        if time.monotonic() - self._started_at > _STEADY_SECONDS:
            self._failures = 0
        delay = _BACKOFF_SECONDS[min(self._failures, len(_BACKOFF_SECONDS) - 1)]
        self._failures += 1
        self._start_at = time.monotonic() + delay
        self._process = None
        return f"killed by {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"

    def start_if_due(self) -> None:
        if self._process is None and self._start_at is not None and time.monotonic() >= self._start_at:
            self.start()

    def signal(self, number: int) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(number)

    def kill_group(self) -> None:
        """Kill the whole process group."""
        if self._process is None:
            return
        try:
            os.killpg(self._process.pid, signal.SIGKILL)
        except ProcessLookupError:
            return

    def wait(self, seconds: float) -> bool:
        """Wait for the exit. False: the process still runs after `seconds`."""
        if self._process is None:
            return True
        try:
            self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            return False
        return True


def _rotate(log: Path, max_bytes: int) -> None:
    if log.exists() and log.stat().st_size > max_bytes:
        log.replace(log.with_suffix(".1.log"))
