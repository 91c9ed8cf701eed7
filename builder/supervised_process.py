"""Programs that a build runs: under a keeper, at lower priority, their output line by line.

The builder holds the write end of a build's lifeline. When the builder dies, however it dies, the keeper ends the
program with its whole process group; and `cut` ends a build that has become somebody else's.
"""

import os
import re
import subprocess
import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from modelyard.process.shim_command import shim_command

_NICENESS = 10
_LONGEST_SECONDS = 3600.0
_LINES_KEPT = 2000

_ALLOWED = re.compile(
    r"^(PATH|HOME|USER|LANG|LC_[A-Z]+|TZ|TMPDIR|NETRC"
    r"|(https?|all|no)_proxy|SSL_CERT_(FILE|DIR)|SSL_CLIENT_CERT|REQUESTS_CA_BUNDLE|CURL_CA_BUNDLE|GIT_SSL_CAINFO"
    r"|UV_[A-Z_]+|PIP_[A-Z_]+|XDG_[A-Z_]+"
    r"|CC|CXX|CFLAGS|CXXFLAGS|CPPFLAGS|LDFLAGS|MAKEFLAGS|CARGO_HOME|RUSTUP_HOME|PKG_CONFIG_PATH|LD_LIBRARY_PATH"
    r"|CMAKE_[A-Z_]+)$",
    re.IGNORECASE,
)

OnLine = Callable[[str], None]


class BuildCancelled(Exception):
    """The build was told to stop: what it was doing is undone and counts for nothing."""


class CancellationToken:
    """One pipe for all the programs of one build."""

    def __init__(self) -> None:
        self.read_end, self._write_end = os.pipe()
        self._lock = threading.Lock()
        self._closed = False
        self.is_cancelled = False

    def cancel(self) -> None:
        """End every program of the build. Callable from any thread, any number of times."""
        self.is_cancelled = True
        self._close_write_end()

    def close(self) -> None:
        self._close_write_end()
        os.close(self.read_end)

    def _close_write_end(self) -> None:
        with self._lock:
            if not self._closed:
                self._closed = True
                os.close(self._write_end)


@contextmanager
def cancellation_token() -> Iterator[CancellationToken]:
    held = CancellationToken()
    try:
        yield held
    finally:
        held.close()


@dataclass(frozen=True, slots=True)
class Finished:
    exit_code: int
    output: str
    """The last lines of standard output and error together."""

    @property
    def succeeded(self) -> bool:
        return self.exit_code == 0


def run(
    command: Sequence[str | Path],
    *,
    environ: Mapping[str, str],
    cwd: Path,
    alive: CancellationToken,
    on_line: OnLine,
    user: int | None = None,
    drop_output: bool = False,
    timeout: float = _LONGEST_SECONDS,
) -> Finished:
    """Run a program to its end. Raises BuildCancelled when the lifeline was cut meanwhile.

    With `drop_output` only standard error is read.
    """
    if alive.is_cancelled:
        raise BuildCancelled
    with subprocess.Popen(
        [*_shim_command(alive, cwd, user), "--", *map(str, command)],
        env=dict(environ),
        pass_fds=(alive.read_end,),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL if drop_output else subprocess.PIPE,
        stderr=subprocess.PIPE if drop_output else subprocess.STDOUT,
        encoding="utf-8",
        errors="replace",
    ) as process:
        # Nothing before `try`: a builder that is told to stop unwinds from wherever it is, and Popen waits on the
        # way out for a program that nobody has ended.
        try:
            output = _read_within(timeout, process, on_line)
            exit_code = process.wait()
        finally:
            process.terminate()
    if alive.is_cancelled:
        raise BuildCancelled
    return Finished(exit_code, "\n".join(output))


def _read_within(timeout: float, process: subprocess.Popen[str], on_line: OnLine) -> deque[str]:
    limit = threading.Timer(timeout, _end, (process, timeout, on_line))
    limit.start()
    try:
        return _read(process, on_line)
    finally:
        limit.cancel()


def _end(process: subprocess.Popen[str], timeout: float, on_line: OnLine) -> None:
    on_line(f"it took longer than {timeout:g} s and was ended")
    process.terminate()


def _shim_command(alive: CancellationToken, cwd: Path, user: int | None) -> list[str]:
    identity = [] if user is None else ["--uid", str(user), "--gid", str(user)]
    priority = ("--umask", "022", "--nice", str(_NICENESS))
    return shim_command(alive.read_end, *priority, "--cwd", str(cwd), *identity)


def _read(process: subprocess.Popen[str], on_line: OnLine) -> deque[str]:
    kept: deque[str] = deque(maxlen=_LINES_KEPT)
    for raw in process.stderr or process.stdout or ():
        line = raw.rstrip()
        kept.append(line)
        on_line(line)
    return kept


def installer_environ(environ: Mapping[str, str], **extra: str) -> dict[str, str]:
    """What of `environ` an installer may see, with `extra` on top."""
    return {**{name: value for name, value in environ.items() if _ALLOWED.match(name)}, **extra}
