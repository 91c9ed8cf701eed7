"""Child processes of the supervisor: started with only the needed descriptors and variables.

A child that ends, or whose heartbeat is silent, is started again.
"""

import os
import signal
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from modelyard.process.shim_command import shim_command
from modelyard.supervisor.process_tree import kill_tree
from modelyard.supervisor.silence import Silence

_BACKOFF_SECONDS = (0.1, 0.5, 1.0, 2.0, 5.0)
_STEADY_SECONDS = 10.0
_FRESH_SECONDS = 3.0


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
    heartbeat: Path | None = None
    """File that our program touches, or for a foreign program the process that uses it. None: silence is no sign."""
    silence_seconds: float = 10.0
    """Silence after which the process is killed."""
    start_seconds: float = 60.0
    """Time until the first beat."""


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
        self.silence = None if service.heartbeat is None else Silence(service.heartbeat)

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
        if self.silence is not None and self.silence.seconds > self._silence_limit / 2:
            return False
        return self._failures == 0 or time.monotonic() - self._started_at > _STEADY_SECONDS

    @property
    def is_beating(self) -> bool:
        """Whether the process has a heartbeat, has beaten since its start, and was not silent for long."""
        silence = self.silence
        return silence is not None and silence.has_beaten and silence.seconds < _FRESH_SECONDS

    @property
    def _silence_limit(self) -> float:
        has_beaten = self.silence is not None and self.silence.has_beaten
        return self.service.silence_seconds if has_beaten else self.service.start_seconds

    def start(self) -> None:
        _rotate(self.service.log, self._max_log_bytes)
        if self.silence is not None:
            self.silence.begin()
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
            heartbeat = () if self.service.heartbeat is None else ("--heartbeat", str(self.service.heartbeat))
            return [*self.service.command, "--lifeline-fd", str(self._lifeline), *heartbeat]
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

    def take_silence(self, *, counts: bool = True) -> float | None:
        """Kill a process whose heartbeat is silent for too long; return its silence in seconds, once.

        Without `counts` the time since the last call is no silence: the process that beats for it does not run.
        """
        if self._process is None or self.silence is None:
            return None
        self.silence.look(counts=counts)
        seconds = self.silence.seconds
        if seconds < self._silence_limit:
            return None
        self.silence.begin()
        if self.service.shim_options is None:
            # Alone: model workers outlive their host, and the process shims end the programs of a build.
            self._process.kill()
        else:
            # The processes of Postgres have sessions of their own, and a stopped process heeds no other signal.
            kill_tree(self._process.pid)
        return seconds

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
