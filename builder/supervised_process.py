"""Run a program of a build under a process shim, at low priority, with the output in the build log.

The shim ends the program and the whole process group when the build is cancelled, and when the builder dies.
"""

import re
import subprocess
import threading
from collections import deque
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

from builder.build_run import BuildLog, BuildRun
from modelyard.process.sandbox import Sandbox
from modelyard.process.shim_command import shim_command

_NICENESS = 10
_TIMEOUT_SECONDS = 3600.0
_MAX_OUTPUT_LINES = 2000

# The platform account's own settings for fetching and compiling packages. No platform secret is among the names.
_INSTALLER_VARIABLES = re.compile(
    r"^(PATH|HOME|USER|LANG|LC_[A-Z]+|TZ|TMPDIR|NETRC"
    r"|(https?|all|no)_proxy|SSL_CERT_(FILE|DIR)|SSL_CLIENT_CERT|REQUESTS_CA_BUNDLE|CURL_CA_BUNDLE|GIT_SSL_CAINFO"
    r"|UV_[A-Z_]+|PIP_[A-Z_]+|XDG_[A-Z_]+"
    r"|CC|CXX|CFLAGS|CXXFLAGS|CPPFLAGS|LDFLAGS|MAKEFLAGS|CARGO_HOME|RUSTUP_HOME|PKG_CONFIG_PATH|LD_LIBRARY_PATH"
    r"|CMAKE_[A-Z_]+)$",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class FinishedProcess:
    exit_code: int
    output: str
    """The last 2,000 lines of standard output and standard error."""

    @property
    def succeeded(self) -> bool:
        return self.exit_code == 0


def run_supervised(
    command: Sequence[str | Path],
    *,
    environ: Mapping[str, str],
    cwd: Path,
    run: BuildRun,
    user: int | None = None,
    sandbox: Sandbox | None = None,
    drop_output: bool = False,
    timeout: float = _TIMEOUT_SECONDS,
) -> FinishedProcess:
    """Run a program to the end. Raises BuildCancelled when the build was cancelled before or meanwhile.

    `user` is the user id of the program (default: the builder's own), and `sandbox` its sandbox (default: none). With
    `drop_output` the log gets standard error alone. After `timeout` seconds the program is ended.
    """
    run.cancellation.raise_if_cancelled()
    with (
        nullcontext(()) if sandbox is None else sandbox.plan() as confining,
        subprocess.Popen(
            [*_shim_command(run.cancellation.read_end, cwd, user, confining), "--", *map(str, command)],
            env=dict(environ),
            pass_fds=(run.cancellation.read_end, *confining),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL if drop_output else subprocess.PIPE,
            stderr=subprocess.PIPE if drop_output else subprocess.STDOUT,
            encoding="utf-8",
            errors="replace",
        ) as process,
    ):
        # No statement before `try`: SIGTERM raises SystemExit at any line, and the exit of Popen's block then waits
        # for the program, however long the program runs.
        try:
            output = _read_within(timeout, process, run.log)
            exit_code = process.wait()
        finally:
            process.terminate()
    run.cancellation.raise_if_cancelled()
    return FinishedProcess(exit_code, "\n".join(output))


def installer_environ(environ: Mapping[str, str], **extra: str) -> dict[str, str]:
    """The variables of `environ` for an installer, and `extra`."""
    allowed = {name: value for name, value in environ.items() if _INSTALLER_VARIABLES.match(name)}
    return {**allowed, **extra}


def _shim_command(read_end: int, cwd: Path, user: int | None, confining: Sequence[int]) -> list[str]:
    identity = [] if user is None else ["--uid", str(user), "--gid", str(user)]
    confined = ["--confine", str(confining[0])] if confining else []
    options = ("--umask", "022", "--nice", str(_NICENESS), "--cwd", str(cwd))
    return shim_command(read_end, *options, *identity, *confined)


def _read_within(timeout: float, process: subprocess.Popen[str], log: BuildLog) -> deque[str]:
    def end() -> None:
        log.line(f"the program ran longer than {timeout:g} s and was ended")
        process.terminate()

    timer = threading.Timer(timeout, end)
    timer.start()
    lines: deque[str] = deque(maxlen=_MAX_OUTPUT_LINES)
    try:
        for raw in process.stderr or process.stdout or ():
            lines.append(raw.rstrip())
            log.line(lines[-1])
    finally:
        timer.cancel()
    return lines
