"""Makes the environment that a spec asks for: interpreter, lock, packages, and proof that the model's loader imports.

What is resolved without pins drifts: a requirement that worked when the model was logged may not work with the newest
releases. When the check shows that, everything is resolved once more as of the day the model was made.
"""

import shutil
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

from builder.environment_files.implied_requirements import requirements_implied_by_lock
from builder.environment_files.model_paths import path_in_model
from builder.environment_files.requirements import parsed
from builder.errors import ImportCheckFailed, ResolutionFailed
from builder.import_check import check_imports
from builder.import_error_hints import explain_import_error
from builder.interpreters.probe import Interpreter
from builder.populate_environment import EnvironmentPlace, populate_environment
from builder.supervised_process import CancellationToken
from builder.toolchain import BuildToolchain
from modelyard.core.domain.environment_spec import EnvironmentLock, EnvironmentSpec, normalised
from modelyard.core.domain.operation_step import OperationStep
from modelyard.core.environments.folder import BuiltEnvironment
from modelyard.process.atomic_files import atomic_file

_PINS = ("==", "===")


class Progress(Protocol):
    """Who wants to know how far a build is."""

    def step(self, step: OperationStep) -> None:
        """Record that a step begins: RESOLVING, INSTALLING or CHECKING."""

    def say(self, line: str) -> None:
        """A line for the build log."""


class AlreadyBuilt(Protocol):
    def __call__(self, lock: EnvironmentLock) -> BuiltEnvironment | None:
        """The environment of this very lock, when there is one; nobody may remove it from then on."""


class Packing(Protocol):
    def __call__(self, built: BuiltEnvironment, say: Callable[[str], None]) -> AbstractContextManager[None]:
        """Pack what is installed for other machines, during the block; when that ends well, it is packed."""


@dataclass(frozen=True, slots=True)
class BuildOrder:
    spec: EnvironmentSpec
    model_folder: Path
    modules: tuple[str, ...]
    """What must be importable in the end."""
    model_created_at: datetime | None = None
    known_lock: str | None = None
    """The text that an earlier resolution came to, whose environment is gone."""


@dataclass(frozen=True, slots=True)
class _Build:
    toolchain: BuildToolchain
    order: BuildOrder
    interpreter: Interpreter
    already_built: AlreadyBuilt
    packing: Packing
    publish: Callable[[BuiltEnvironment], None]
    progress: Progress
    alive: CancellationToken


def build_environment(
    toolchain: BuildToolchain,
    order: BuildOrder,
    *,
    already_built: AlreadyBuilt,
    packing: Packing,
    publish: Callable[[BuiltEnvironment], None],
    progress: Progress,
    alive: CancellationToken,
) -> BuiltEnvironment:
    """Get or make the environment. A new one is handed to `publish` before anybody else may remove it.

    Raises BuildFailed, and BuildCancelled when `alive` was cut; either way nothing half-made stays behind.
    """
    progress.step(OperationStep.RESOLVING)
    spec = order.spec
    interpreter = toolchain.interpreters.get(
        spec.python,
        spec.asked_patch,
        say=progress.say,
        fetch=lambda minor: toolchain.uv.fetch_interpreter(minor, alive=alive, say=progress.say),
    )
    progress.say(f"interpreter: {interpreter.executable}")
    _place_local_files(toolchain, order)
    build = _Build(toolchain, order, interpreter, already_built, packing, publish, progress, alive)
    lock = _known(build) or _resolved(build, spec)
    try:
        return _get_or_install(build, lock, spec)
    except ImportCheckFailed as failure:
        return _as_of_the_models_creation(build, lock, failure)


def _known(build: _Build) -> EnvironmentLock | None:
    text = build.order.known_lock
    if text is None:
        return None
    lock = EnvironmentLock(text, build.interpreter.version, build.toolchain.platform)
    build.progress.say("the versions are known from an earlier build")
    build.progress.say(lock.pins)
    return lock


def _resolved(build: _Build, spec: EnvironmentSpec) -> EnvironmentLock:
    started = time.monotonic()
    lock = _resolve(build, spec)
    needs = requirements_implied_by_lock(lock, spec.requirements)
    if needs:
        for need in needs:
            build.progress.say(need.note)
        lock = _resolve(build, _with_requirements(spec, [need.requirement for need in needs]))
    build.progress.say(f"resolved {len(lock.versions)} packages in {time.monotonic() - started:.1f} s")
    build.progress.say(lock.pins)
    return lock


def _resolve(build: _Build, spec: EnvironmentSpec) -> EnvironmentLock:
    toolchain = build.toolchain
    return toolchain.uv.resolve(
        spec, build.interpreter, platform=toolchain.platform, alive=build.alive, say=build.progress.say
    )


def _get_or_install(build: _Build, lock: EnvironmentLock, spec: EnvironmentSpec) -> BuiltEnvironment:
    existing = build.already_built(lock)
    if existing is not None:
        build.progress.say(f"the environment {existing.folder.name} has exactly these packages; using it")
        return existing
    with build.toolchain.environments.attempt(lock) as attempt:
        _install(build, lock, spec, attempt.folder)
        with build.packing(BuiltEnvironment(attempt.folder, lock), build.progress.say):
            build.progress.step(OperationStep.CHECKING)
            _check(build, attempt.folder)
        built = attempt.complete(lock)
        build.publish(built)
        attempt.keep()
    build.progress.say(f"environment {built.folder.name} is complete")
    return built


def _install(build: _Build, lock: EnvironmentLock, spec: EnvironmentSpec, folder: Path) -> None:
    build.progress.step(OperationStep.INSTALLING)
    toolchain, alive, say = build.toolchain, build.alive, build.progress.say
    place = EnvironmentPlace(folder, build.interpreter, alive, say)
    populate_environment(
        toolchain, place, lambda: toolchain.uv.install(lock, folder, spec.sources, alive=alive, say=say)
    )


def _check(build: _Build, folder: Path) -> None:
    modules, say = build.order.modules, build.progress.say
    say(f"checking that the environment imports {', '.join(modules)}")
    ended = check_imports(folder, modules, user=build.toolchain.worker_user, alive=build.alive, say=say)
    if not ended.succeeded:
        failure = explain_import_error(ended.output)
        raise ImportCheckFailed(
            f"the environment installs, but {modules[-1]} does not import in it: {failure.error}. "
            f"In conda.yaml: {failure.remedy}"
        )


def _as_of_the_models_creation(build: _Build, lock: EnvironmentLock, failure: ImportCheckFailed) -> BuiltEnvironment:
    """Once more with the packages of that day, if anything was left open and the day is known."""
    spec, created_at, say = build.order.spec, build.order.model_created_at, build.progress.say
    if created_at is None or spec.exclude_newer is not None or not _left_open(spec, lock):
        say(failure.message)
        raise failure
    as_of = created_at.astimezone(UTC)
    say(f"{failure.message}")
    say(f"not everything is pinned: resolving once more as of {as_of:%Y-%m-%d %H:%M:%S} UTC, when the model was made")
    earlier = replace(spec, exclude_newer=as_of)
    build.progress.step(OperationStep.RESOLVING)
    try:
        return _get_or_install(build, _resolved(build, earlier), earlier)
    except ImportCheckFailed as second:
        say(second.message)
        raise
    except ResolutionFailed as unresolvable:
        say(f"as of that day there is no solution: {unresolvable.message}")
        say(failure.message)
        raise failure from None


def _left_open(spec: EnvironmentSpec, lock: EnvironmentLock) -> bool:
    """Some version was the resolver's choice."""
    pinned = set()
    for line in spec.requirements:
        requirement = parsed(line)
        if requirement is not None and any(part.operator in _PINS for part in requirement.specifier):
            pinned.add(normalised(requirement.name))
    return not set(lock.versions) <= pinned


def _with_requirements(spec: EnvironmentSpec, more: list[str]) -> EnvironmentSpec:
    return replace(spec, requirements=(*spec.requirements, *more))


def _place_local_files(toolchain: BuildToolchain, order: BuildOrder) -> None:
    """Wheels of the model, each where its requirement says: in a folder named by its hash."""
    for file in order.spec.local_files:
        target = toolchain.local_files / file.sha256 / file.name
        if target.exists():
            continue
        source = path_in_model(order.model_folder, order.model_folder, file.path, where="the environment")
        target.parent.mkdir(parents=True, exist_ok=True)
        with source.open("rb") as content, atomic_file(target) as copy:
            shutil.copyfileobj(content, copy)
