"""The one-shot process that looks for database, broker and store, watched while it does."""

import os
import subprocess
import sys
from collections.abc import Callable, Mapping

from modelyard.core.errors import InvalidSetting
from modelyard.process.signals import SignalPipe
from modelyard.supervisor.options import Say, StartRefused

_WRONG_SETTING = 2


class Preparation:
    def __init__(self, arguments: tuple[str, ...], environment: Mapping[str, str]) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "modelyard.supervisor.prepare", *arguments],
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )

    def run(self, signals: SignalPipe, say: Say, meanwhile: Callable[[], None] = lambda: None) -> None:
        """Until it has ended, or a signal has ended it. Raises what it refuses."""
        assert self._process.stdout is not None
        printed = self._process.stdout.fileno()
        rest = b""
        try:
            while not signals.told_to_stop:
                meanwhile()
                if printed not in signals.wait(0.2, printed):
                    continue
                piece = os.read(printed, 65536)
                if not piece:
                    return self._raise_its_refusal()
                *lines, rest = (rest + piece).split(b"\n")
                for line in lines:
                    say(line.decode(errors="replace"))
        finally:
            self._end()

    def _raise_its_refusal(self) -> None:
        assert self._process.stderr is not None
        words = self._process.stderr.read().decode(errors="replace")
        code = self._process.wait()
        if code == _WRONG_SETTING:
            raise InvalidSetting(_last_line(words))
        if code != 0:
            raise StartRefused(_last_line(words) or f"preparing the start failed with exit code {code}")

    def _end(self) -> None:
        self._process.kill()
        self._process.communicate()


def _last_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else ""
