"""The uv installer: uv resolves and installs the packages, virtualenv makes the environment.

The environment stands on an interpreter of the machine, or on an interpreter fetched by uv.
"""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from builder.accounts import hand_over
from builder.build_run import BuildRun
from builder.errors import InstallFailed
from builder.installers.port import LockedPackage
from builder.installers.uv_lock import locked_packages
from builder.installers.uv_program import UvProgram
from builder.interpreters.find import Interpreters
from builder.interpreters.probe import Interpreter
from builder.supervised_process import installer_environ, run_supervised
from modelyard.core.domain.environment_spec import EnvironmentLock, EnvironmentSpec, PackageSources

# Unseeded: the newest virtualenv has no pip for Python 3.8, and uv installs without pip.
_VIRTUALENV_OPTIONS = ("--quiet", "--no-seed", "--no-vcs-ignore", "--activators", "bash")


@dataclass(frozen=True, slots=True)
class UvInstaller:
    uv: UvProgram
    interpreters: Interpreters
    virtualenv_data: Path
    """The folder of virtualenv's own files, unpacked once."""
    environ: Mapping[str, str]
    """The platform account's variables."""
    platform: str
    installer_account: int | None = None

    def resolve(self, spec: EnvironmentSpec, run: BuildRun) -> EnvironmentLock:
        interpreter = self._interpreter_of(spec, run)
        text = self.uv.compile(spec, interpreter.executable, run)
        return EnvironmentLock(text, interpreter.version, self.platform)

    def load_lock(self, text: str, spec: EnvironmentSpec, run: BuildRun) -> EnvironmentLock:
        return EnvironmentLock(text, self._interpreter_of(spec, run).version, self.platform)

    def install(self, lock: EnvironmentLock, sources: PackageSources, folder: Path, run: BuildRun) -> None:
        self._create_virtual_environment(lock, folder, run)
        self.uv.sync(lock.text, folder, sources, run)

    def install_files(self, lock: EnvironmentLock, files: Sequence[Path], folder: Path, run: BuildRun) -> None:
        self._create_virtual_environment(lock, folder, run)
        self.uv.install_wheels(files, folder, run)

    def describe(self, lock: EnvironmentLock) -> tuple[LockedPackage, ...]:
        return locked_packages(lock.text)

    def _interpreter_of(self, spec: EnvironmentSpec, run: BuildRun) -> Interpreter:
        interpreter = self._interpreter(spec.python, spec.asked_patch, run)
        run.log.note(f"interpreter: {interpreter.executable}")
        return interpreter

    def _interpreter(self, minor: str, patch: str | None, run: BuildRun) -> Interpreter:
        return self.interpreters.get(
            minor, patch, log=run.log, fetch=lambda minor: self.uv.fetch_interpreter(minor, run)
        )

    def _create_virtual_environment(self, lock: EnvironmentLock, folder: Path, run: BuildRun) -> None:
        interpreter = self._interpreter(lock.python.rpartition(".")[0], lock.python, run)
        options: list[str | Path] = [
            *_VIRTUALENV_OPTIONS,
            "--app-data",
            self.virtualenv_data,
            "--python",
            interpreter.executable,
        ]
        finished = run_supervised(
            [sys.executable, "-I", "-m", "virtualenv", *options, folder],
            environ=installer_environ(self.environ),
            cwd=folder.parent,
            run=run,
        )
        hand_over(folder, self.installer_account)
        if not finished.succeeded:
            output = " ".join(finished.output.split())[-500:]
            raise InstallFailed(f"virtualenv cannot use {interpreter.executable}: {output}")
