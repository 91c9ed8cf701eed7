"""An empty virtual environment, made by virtualenv at its final place.

Unseeded: virtualenv's newest releases bring no pip for Python 3.8, and uv needs none.
"""

import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from builder.errors import InstallFailed
from builder.interpreters.probe import Interpreter
from builder.supervised_process import CancellationToken, installer_environ, run


def create_environment(
    folder: Path,
    interpreter: Interpreter,
    *,
    app_data: Path,
    environ: Mapping[str, str],
    alive: CancellationToken,
    say: Callable[[str], None],
) -> None:
    options = ["--quiet", "--no-seed", "--no-vcs-ignore", "--activators", "bash", "--app-data", str(app_data)]
    ended = run(
        [sys.executable, "-I", "-m", "virtualenv", *options, "--python", interpreter.executable, folder],
        environ=installer_environ(environ),
        cwd=folder.parent,
        alive=alive,
        on_line=say,
    )
    if not ended.succeeded:
        raise InstallFailed(f"virtualenv cannot use {interpreter.executable}: {' '.join(ended.output.split())[-500:]}")
