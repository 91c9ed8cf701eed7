"""The load generator's process, and the measuring process's handle.

    python -m benchmarks.load.generator

reads `Load` objects from standard input, writes a result for each, and ends at the end of the input.
"""

import pickle
import signal
import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from benchmarks.load.closed_loop import TooManyFailures, run
from benchmarks.load.load import Load, LoadResult

_ROOT = Path(__file__).parents[2]


class LoadFailed(Exception):
    """The load could not run: the server does not listen, or the generator has ended."""


class LoadGenerator:
    def __enter__(self) -> Self:
        command = [sys.executable, "-m", "benchmarks.load.generator"]
        # Ctrl-C interrupts the measuring process only; the generator ends with the input.
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True, cwd=_ROOT
        )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe is not None
            pipe.close()

    def run(self, load: Load) -> LoadResult:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            pickle.dump(load, self._process.stdin)
            self._process.stdin.flush()
            seen = pickle.load(self._process.stdout)
        except (OSError, EOFError) as ended:
            raise LoadFailed(f"the load generator has ended: {ended}") from ended
        if isinstance(seen, LoadResult):
            return seen
        raise LoadFailed(seen)


def serve(loads: IO[bytes], answers: IO[bytes]) -> None:
    while True:
        try:
            load: Load = pickle.load(loads)
        except EOFError:
            return
        pickle.dump(_seen_or_why_not(load), answers)
        answers.flush()


def _seen_or_why_not(load: Load) -> LoadResult | str:
    try:
        return run(load)
    except (OSError, TooManyFailures) as error:
        return f"{load.address[0]}:{load.address[1]}: {error}"


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    serve(sys.stdin.buffer, sys.stdout.buffer)
