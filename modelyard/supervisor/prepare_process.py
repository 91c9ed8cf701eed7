"""Run a one-shot preparation of a start in a process of its own, and watch the process."""

import os
import subprocess
from collections.abc import Callable, Mapping

from modelyard.core.errors import InvalidSetting
from modelyard.process.program import program_command
from modelyard.process.signals import SignalPipe
from modelyard.supervisor.options import Announce, StartRefused

_INVALID_SETTING = 2


class PrepareProcess:
    def __init__(
        self,
        arguments: tuple[str, ...],
        environment: Mapping[str, str],
        program: str = "modelyard.supervisor.prepare",
    ) -> None:
        self._process = subprocess.Popen(
            program_command(program, *arguments),
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )

    def run(self, signals: SignalPipe, announce: Announce, meanwhile: Callable[[], None] = lambda: None) -> None:
        """Run to the end, or until a stop signal. Raises InvalidSetting or StartRefused as the process reports."""
        assert self._process.stdout is not None
        output = self._process.stdout.fileno()
        rest = b""
        try:
            while not signals.told_to_stop:
                meanwhile()
                if output not in signals.wait(0.2, output):
                    continue
                piece = os.read(output, 65536)
                if not piece:
                    return self._raise_failure()
                *lines, rest = (rest + piece).split(b"\n")
                for line in lines:
                    announce(line.decode(errors="replace"))
        finally:
            self._process.kill()
            self._process.communicate()

    def _raise_failure(self) -> None:
        assert self._process.stderr is not None
        text = self._process.stderr.read().decode(errors="replace")
        code = self._process.wait()
        message = next((line.strip() for line in reversed(text.splitlines()) if line.strip()), "")
        if code == _INVALID_SETTING:
            raise InvalidSetting(message)
        if code != 0:
            raise StartRefused(message or f"preparing the start failed with exit code {code}")
