"""The processes under the supervisor: started with what they need and nothing else, and started again when they end."""

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
_LARGEST_LOG_BYTES = 10 << 20


@dataclass(frozen=True, slots=True)
class Service:
    """What to run. A service that is not our code runs under a keeper, because it does not watch the lifeline."""

    name: str
    command: tuple[str, ...]
    log: Path
    environment: Mapping[str, str] = field(default_factory=dict)
    sockets: tuple[int, ...] = ()
    """Listening sockets that it inherits."""
    kept: bool = False
    kept_options: tuple[str, ...] = ()


class Child:
    """One service's process, now and after each restart."""

    def __init__(self, service: Service, lifeline: int, lock: int) -> None:
        self.service = service
        self._inherited = (lifeline, lock)
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
    def is_well(self) -> bool:
        """Running; and, once it has failed, for so long that it does not look as if it failed again."""
        if self._process is None or self._process.poll() is not None:
            return False
        return self._failures == 0 or time.monotonic() - self._started_at > _STEADY_SECONDS

    def start(self) -> None:
        _rotate(self.service.log)
        with self.service.log.open("ab") as log:
            self._process = subprocess.Popen(
                self._command(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=dict(self.service.environment),
                pass_fds=(*self._inherited, *self.service.sockets),
                # A Ctrl-C in the terminal is for the supervisor, which then ends the others in order.
                start_new_session=True,
            )
        self._started_at = time.monotonic()
        self._start_at = None

    def _command(self) -> list[str]:
        if not self.service.kept:
            return [*self.service.command, "--lifeline-fd", str(self._inherited[0])]
        return [*shim_command(self._inherited[0], *self.service.kept_options), "--", *self.service.command]

    def ended(self) -> str | None:
        """Why the process ended, once, when it has; a restart is then due at `restart_in`."""
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
        if self._process is None:
            return
        try:
            os.killpg(self._process.pid, signal.SIGKILL)
        except ProcessLookupError:
            return

    def gone_by(self, deadline: float) -> bool:
        """Wait for the end until `deadline` (monotonic seconds)."""
        if self._process is None:
            return True
        try:
            self._process.wait(max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            return False
        return True


def _rotate(log: Path) -> None:
    if log.exists() and log.stat().st_size > _LARGEST_LOG_BYTES:
        log.replace(log.with_suffix(".1.log"))
