"""The environments of this machine: found by the hash of their lock, or made of what is in the object store.

Making is the builder's trade. Its program runs beside whoever asks, under a lifeline, so that it ends with them.
"""

import os
import subprocess
import sys
import tempfile
import threading
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from modelyard.core.data_dir import DataDir
from modelyard.core.environments.folder import BuiltEnvironment, Environments
from modelyard.core.settings import MachineSettings
from modelyard.core.settings_variables import variables_of

_PROGRAM = "builder.restore"
_MADE_AT_A_TIME = 2
_ITS_SETTINGS = frozenset(variable.name for variable in variables_of(MachineSettings))

Say = Callable[[str], None]


class EnvironmentNotMade(Exception):
    """An environment cannot be made here now; the text says why."""


class EnvironmentRefused(EnvironmentNotMade):
    """It will not be otherwise the next time, unless somebody does what the text says."""


class MachineEnvironments:
    """Callable from any thread."""

    def __init__(self, data_dir: DataDir, environ: Mapping[str, str]) -> None:
        """`environ` is the process's own: it has the variables that the object store's credentials are in."""
        self._environments = Environments(data_dir.environments)
        self._variables = {
            name: value for name, value in environ.items() if not name.startswith("MODELYARD_") or name in _ITS_SETTINGS
        }
        self._making: defaultdict[str, threading.Lock] = defaultdict(threading.Lock)
        self._turns = threading.BoundedSemaphore(_MADE_AT_A_TIME)

    def find(self, lock_hash: str) -> BuiltEnvironment | None:
        return self._environments.find(lock_hash)

    def get(self, lock_hash: str, say: Say) -> BuiltEnvironment:
        """Find or make it; `say` hears how far that is. Raises EnvironmentRefused and EnvironmentNotMade."""
        making = self._making[lock_hash]
        if not making.acquire(blocking=False):
            say("another deployment has the same environment made on this machine; waiting for it")
            making.acquire()
        try:
            return self.find(lock_hash) or self._make(lock_hash, say)
        finally:
            making.release()

    def _make(self, lock_hash: str, say: Say) -> BuiltEnvironment:
        with self._turns, _lifeline() as lifeline, tempfile.TemporaryFile() as errors:
            command = [sys.executable, "-m", _PROGRAM, "--lock-hash", lock_hash, "--lifeline-fd", str(lifeline)]
            with subprocess.Popen(
                command,
                env=self._variables,
                pass_fds=[lifeline],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=errors,
                encoding="utf-8",
                errors="replace",
            ) as program:
                try:
                    for line in program.stdout or ():
                        say(line.rstrip())
                    code = program.wait()
                finally:
                    # Whoever no longer listens, because nobody wants the environment any more, has it stopped.
                    program.kill()
            errors.seek(0)
            sentence = errors.read().decode(errors="replace")
        made = self.find(lock_hash) if code == 0 else None
        if made is None:
            raise _failure(code, sentence)
        return made


@contextmanager
def _lifeline() -> Iterator[int]:
    """The read end of a pipe whose write end no other process has."""
    reader, writer = os.pipe()
    try:
        yield reader
    finally:
        os.close(writer)
        os.close(reader)


def _failure(code: int, errors: str) -> EnvironmentNotMade:
    lines = errors.strip().splitlines()
    sentence = lines[-1] if lines else f"the program that makes environments ended with exit code {code}"
    return EnvironmentRefused(sentence) if code == 1 and lines else EnvironmentNotMade(sentence)
