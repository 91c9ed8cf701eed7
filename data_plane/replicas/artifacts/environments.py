"""Environments of the node: found by the hash of the lock, or restored from the wheels in the object store.

A program of the builder restores an environment. The program runs under a lifeline and ends with the calling process.
"""

import os
import subprocess
import tempfile
import threading
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from modelyard.core.data_dir import DataDir
from modelyard.core.environments.folder import BuiltEnvironment, Environments
from modelyard.core.settings import MachineSettings
from modelyard.core.settings_variables import variables_of
from modelyard.process.program import program_command

_PROGRAM = "builder.restore"
_PASSED_SETTINGS = frozenset(variable.name for variable in variables_of(MachineSettings))

Report = Callable[[str], None]


class EnvironmentNotRestored(Exception):
    """The environment could not be restored; the text says why."""


class EnvironmentUnusable(EnvironmentNotRestored):
    """The environment cannot be restored before the user follows the advice in the text."""


class NodeEnvironments:
    """Callable from any thread."""

    def __init__(self, data_dir: DataDir, environ: Mapping[str, str], *, concurrent_restores: int = 2) -> None:
        """`environ` is the process environment, with the credentials of the object store among its variables."""
        self._environments = Environments(data_dir.environments)
        self._variables = {
            name: value
            for name, value in environ.items()
            if not name.startswith("MODELYARD_") or name in _PASSED_SETTINGS
        }
        self._restoring: defaultdict[str, threading.Lock] = defaultdict(threading.Lock)
        self._slots = threading.BoundedSemaphore(concurrent_restores)

    def find(self, lock_hash: str) -> BuiltEnvironment | None:
        return self._environments.find(lock_hash)

    def get(self, lock_hash: str, report: Report) -> BuiltEnvironment:
        """Find or restore the environment; `report` receives lines of progress.

        Raises EnvironmentUnusable and EnvironmentNotRestored.
        """
        restoring = self._restoring[lock_hash]
        if not restoring.acquire(blocking=False):
            report("another deployment is restoring the same environment on this node; waiting")
            restoring.acquire()
        try:
            return self.find(lock_hash) or self._restore(lock_hash, report)
        finally:
            restoring.release()

    def _restore(self, lock_hash: str, report: Report) -> BuiltEnvironment:
        with self._slots, _lifeline() as lifeline, tempfile.TemporaryFile() as errors:
            command = program_command(_PROGRAM, "--lock-hash", lock_hash, "--lifeline-fd", str(lifeline))
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
                        report(line.rstrip())
                    code = program.wait()
                finally:
                    # `report` may raise, to give the environment up; the program is not needed then.
                    program.kill()
            errors.seek(0)
            sentence = errors.read().decode(errors="replace")
        environment = self.find(lock_hash) if code == 0 else None
        if environment is None:
            raise _failure(code, sentence)
        return environment


@contextmanager
def _lifeline() -> Iterator[int]:
    """Yield the read end of a pipe whose write end stays in this process."""
    reader, writer = os.pipe()
    try:
        yield reader
    finally:
        os.close(writer)
        os.close(reader)


def _failure(code: int, errors: str) -> EnvironmentNotRestored:
    lines = errors.strip().splitlines()
    sentence = lines[-1] if lines else f"the restore program ended with exit code {code}"
    return EnvironmentUnusable(sentence) if code == 1 and lines else EnvironmentNotRestored(sentence)
