"""Populate an environment's folder: packages by an installer, bytecode, and read access for model workers."""

import os
import time
from collections.abc import Callable
from pathlib import Path

from builder.accounts import check_tree, hand_over, keep_folder_itself
from builder.build_run import BuildRun
from builder.build_sandbox import BuildSandbox
from builder.interpreters.probe import Interpreter
from builder.supervised_process import run_supervised
from modelyard.core.adapters.file_access import make_readable

_TESTS = r"/tests/"


def populate_environment(
    folder: Path,
    install: Callable[[], None],
    *,
    interpreter: Interpreter,
    account: int | None,
    sandbox: BuildSandbox | None,
    run: BuildRun,
) -> None:
    """Run `install` to make the environment in `folder`; then compile the packages and make the folder readable.

    `interpreter` is the environment's base. `account` owns the environment's files. Raises InstallFailed.
    """
    started = time.monotonic()
    hand_over(folder, account)
    install()
    check_tree(folder, beside=(interpreter.prefix,))
    hand_over(folder, account)
    installed = time.monotonic()
    _compile_bytecode(folder, interpreter, account, sandbox, run)
    if account is not None:
        make_readable(folder)
        keep_folder_itself(folder)
    ended = time.monotonic()
    run.log.line(f"installed in {installed - started:.1f} s, compiled in {ended - installed:.1f} s")


def _compile_bytecode(
    environment: Path, interpreter: Interpreter, account: int | None, sandbox: BuildSandbox | None, run: BuildRun
) -> None:
    """Compile the packages: model workers cannot write into the environment, and would compile at each start.

    The base interpreter compiles, without `site`: the environment's own would run the packages' `.pth` files first.
    uv could compile, but includes the packages' tests, a quarter of all files. Files that do not compile (templates,
    Python 2) stay uncompiled.
    """
    packages = environment.glob("lib/python3.*/site-packages")
    # No account of its own: the installer account has further programs.
    confined = (
        None
        if sandbox is None
        else sandbox.of(own=(environment,), read=(interpreter.prefix,), has_network=False, owns_account=False)
    )
    run_supervised(
        [interpreter.executable, "-I", "-S", "-m", "compileall", "-qq", "-j", "0", "-x", _TESTS, *packages],
        environ={"PATH": os.defpath, "LANG": "C.UTF-8"},
        cwd=environment,
        run=run,
        user=account,
        sandbox=confined,
    )
