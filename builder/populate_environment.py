"""An environment's folder with packages in it, whether they come from an index or from the object store."""

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from builder.installers.virtual_environment import create_environment
from builder.interpreters.probe import Interpreter
from builder.supervised_process import CancellationToken, run
from builder.toolchain import BuildToolchain
from modelyard.core.adapters.file_access import make_readable

_TESTS = r"/tests/"


@dataclass(frozen=True, slots=True)
class EnvironmentPlace:
    folder: Path
    interpreter: Interpreter
    alive: CancellationToken
    say: Callable[[str], None]


def populate_environment(toolchain: BuildToolchain, place: EnvironmentPlace, install: Callable[[], None]) -> None:
    """Make the environment, have `install` put its packages in, and make all of it fit for workers."""
    started = time.monotonic()
    create_environment(
        place.folder,
        place.interpreter,
        app_data=toolchain.virtualenv_data,
        environ=toolchain.environ,
        alive=place.alive,
        say=place.say,
    )
    install()
    compile_bytecode(place.folder, alive=place.alive, say=place.say)
    if toolchain.worker_user is not None:
        make_readable(place.folder)
    place.say(f"installed in {time.monotonic() - started:.1f} s")


def compile_bytecode(environment: Path, *, alive: CancellationToken, say: Callable[[str], None]) -> None:
    """Files that do not compile (templates, Python 2) are left as they are."""
    packages = environment.glob("lib/python3.*/site-packages")
    run(
        [environment / "bin" / "python", "-I", "-m", "compileall", "-qq", "-j", "0", "-x", _TESTS, *packages],
        environ={"PATH": os.defpath, "LANG": "C.UTF-8"},
        cwd=environment,
        alive=alive,
        on_line=say,
    )
