"""Build the environment of a spec: resolve, install, and check the import of the model's loader.

Unpinned requirements drift: packages released after the model was logged may break the model. When the check fails
and a version was left open, the build resolves once more as of the day of the model's creation.
"""

import shutil
import time
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

from builder.build_run import BuildRun
from builder.environment_files.implied_requirements import requirements_implied_by_versions
from builder.environment_files.model_paths import path_in_model
from builder.environment_files.requirements import parse_requirement
from builder.errors import ImportCheckFailed, InstallFailed, ResolutionFailed
from builder.failure_lines import lines_named
from builder.import_check import check_imports
from builder.installers.port import format_pins, index_versions
from builder.populate_environment import populate_environment
from builder.toolchain import BuildToolchain
from builder.wheels.wheel_check import check_wheel
from modelyard.core.domain.environment_spec import EnvironmentLock, EnvironmentSpec, normalised
from modelyard.core.domain.operation_step import OperationStep
from modelyard.core.environments.folder import BuiltEnvironment
from modelyard.process.atomic_files import atomic_file

_PIN_OPERATORS = ("==", "===")


@dataclass(frozen=True, slots=True)
class BuildOrder:
    spec: EnvironmentSpec
    model_folder: Path
    modules: tuple[str, ...]
    """Modules to import in the finished environment."""
    model_created_at: datetime | None = None
    known_lock: str | None = None
    """The text of an earlier resolution's lock, whose environment has been removed."""


class EnvironmentRegistry(Protocol):
    """The environments shared between builders and with other machines."""

    def adopt(self, lock: EnvironmentLock) -> BuiltEnvironment | None:
        """Return the published environment of the lock, protected from removal. None: no environment is published."""

    def packing(self, built: BuiltEnvironment) -> AbstractContextManager[None]:
        """Pack the packages for other machines while the block runs. If the block raises, no document is stored."""

    def publish(self, built: BuiltEnvironment) -> None:
        """Record a complete environment, protected from removal."""


def build_environment(
    toolchain: BuildToolchain, order: BuildOrder, registry: EnvironmentRegistry, run: BuildRun
) -> BuiltEnvironment:
    """Return the environment of the order, adopted from the registry or built and published.

    Raises BuildFailed and BuildCancelled; an unfinished environment is removed before.
    """
    return _Build(toolchain, order, registry, run).result()


@dataclass(frozen=True, slots=True)
class _Build:
    toolchain: BuildToolchain
    order: BuildOrder
    registry: EnvironmentRegistry
    run: BuildRun

    def result(self) -> BuiltEnvironment:
        self.run.log.begin(OperationStep.RESOLVING)
        spec = self.order.spec
        _place_local_files(self.toolchain.local_files, self.order)
        lock = self._known_lock() or self._resolve(spec)
        try:
            return self._adopt_or_install(lock, spec)
        except ImportCheckFailed as failure:
            return self._as_of_model_creation(lock, failure)
        except InstallFailed as failure:
            raise InstallFailed(f"{failure.message} {lines_named(failure.message, spec.origins)}".strip()) from None

    def _known_lock(self) -> EnvironmentLock | None:
        text = self.order.known_lock
        if text is None:
            return None
        lock = self.toolchain.installer.load_lock(text, self.order.spec, self.run)
        self.run.log.line("the versions are known from an earlier build")
        self._log_pins(lock)
        return lock

    def _resolve(self, spec: EnvironmentSpec) -> EnvironmentLock:
        """Resolve the spec, and a second time if a resolved version implies further requirements."""
        started = time.monotonic()
        installer = self.toolchain.installer
        lock = installer.resolve(spec, self.run)
        implied = requirements_implied_by_versions(self._versions(lock), spec.requirements)
        if implied:
            for each in implied:
                self.run.log.line(each.note)
            more = [each.requirement for each in implied]
            lock = installer.resolve(replace(spec, requirements=(*spec.requirements, *more)), self.run)
        self.run.log.line(f"resolved {len(self._versions(lock))} packages in {time.monotonic() - started:.1f} s")
        self._log_pins(lock)
        return lock

    def _adopt_or_install(self, lock: EnvironmentLock, spec: EnvironmentSpec) -> BuiltEnvironment:
        existing = self.registry.adopt(lock)
        if existing is not None:
            self.run.log.line(f"the environment {existing.folder.name} has exactly these packages; using it")
            return existing
        with self.toolchain.environments.attempt(lock) as attempt:
            self._install(lock, spec, attempt.folder)
            with self.registry.packing(BuiltEnvironment(attempt.folder, lock)):
                self.run.log.begin(OperationStep.CHECKING)
                self._check_imports(attempt.folder, lock)
            built = attempt.complete(lock)
            self.registry.publish(built)
            attempt.keep()
        self.run.log.line(f"environment {built.folder.name} is complete")
        return built

    def _install(self, lock: EnvironmentLock, spec: EnvironmentSpec, folder: Path) -> None:
        self.run.log.begin(OperationStep.INSTALLING)
        populate_environment(
            folder,
            lambda: self.toolchain.installer.install(lock, spec.sources, folder, self.run),
            interpreter=self.toolchain.base_of(lock, self.run),
            account=self.toolchain.accounts.installer,
            sandbox=self.toolchain.sandbox,
            run=self.run,
        )

    def _check_imports(self, folder: Path, lock: EnvironmentLock) -> None:
        toolchain = self.toolchain
        interpreter = toolchain.base_of(lock, self.run)
        with toolchain.accounts.code_account() as account:
            check_imports(
                folder,
                self.order.modules,
                interpreter=interpreter,
                user=account,
                sandbox=toolchain.sandbox,
                run=self.run,
                file=self.order.spec.file,
            )

    def _as_of_model_creation(self, lock: EnvironmentLock, failure: ImportCheckFailed) -> BuiltEnvironment:
        """Build with the packages of the model's creation day, if the spec leaves a version open."""
        spec, created_at, log = self.order.spec, self.order.model_created_at, self.run.log
        log.line(failure.message)
        if created_at is None or spec.exclude_newer is not None or not self._leaves_versions_open(spec, lock):
            raise failure
        as_of = created_at.astimezone(UTC)
        log.line(
            f"some versions are not pinned: resolving as of {as_of:%Y-%m-%d %H:%M:%S} UTC, when the model was made"
        )
        log.begin(OperationStep.RESOLVING)
        earlier = replace(spec, exclude_newer=as_of)
        try:
            return self._adopt_or_install(self._resolve(earlier), earlier)
        except ImportCheckFailed as second:
            log.line(second.message)
            raise
        except ResolutionFailed as unresolvable:
            log.line(f"as of that day no versions satisfy the requirements: {unresolvable.message}")
            log.line(failure.message)
            raise failure from None

    def _leaves_versions_open(self, spec: EnvironmentSpec, lock: EnvironmentLock) -> bool:
        """Whether the resolver chose a version without a pin in the requirements."""
        requirements = (parse_requirement(line) for line in spec.requirements)
        pinned = {
            normalised(requirement.name)
            for requirement in requirements
            if requirement is not None and any(part.operator in _PIN_OPERATORS for part in requirement.specifier)
        }
        return not self._versions(lock).keys() <= pinned

    def _versions(self, lock: EnvironmentLock) -> dict[str, str]:
        return index_versions(self.toolchain.installer.describe(lock))

    def _log_pins(self, lock: EnvironmentLock) -> None:
        self.run.log.line(format_pins(self.toolchain.installer.describe(lock)))


def _place_local_files(local_files: Path, order: BuildOrder) -> None:
    """Copy the wheels of the model to the place in the requirements, a folder named by the wheel's hash."""
    for file in order.spec.local_files:
        target = local_files / file.sha256 / file.name
        if target.exists():
            continue
        source = path_in_model(order.model_folder, order.model_folder, file.path, where="the environment")
        if target.name.endswith(".whl"):
            check_wheel(source)
        target.parent.mkdir(parents=True, exist_ok=True)
        # The accounts of builds read the file, and find it by its hash alone.
        target.parent.chmod(0o755)
        with source.open("rb") as content, atomic_file(target, mode=0o644) as copy:
            shutil.copyfileobj(content, copy)
