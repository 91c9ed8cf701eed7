"""One build for everybody who asks for the same environment at the same time.

The row of the spec hash is the place to queue: whoever claims it builds, and the others wait for what comes of it, be
it an environment or a failure.
"""

import os
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from builder import repository
from builder.environment_build import BuildOrder, Progress, build_environment
from builder.lease_watch import cancel_when_lease_lost
from builder.supervised_process import CancellationToken
from builder.toolchain import BuildToolchain
from builder.wheels.wheel_store import WheelStore
from modelyard.core.db.leases import Claim, LeaseLost, finish, heartbeat
from modelyard.core.db.unit_of_work import Sessions, transaction
from modelyard.core.domain.environment_spec import EnvironmentLock
from modelyard.core.domain.lifecycle import BuildState
from modelyard.core.domain.operation_step import OperationStep
from modelyard.core.environments.folder import BuiltEnvironment
from modelyard.core.errors import BuildFailed, PlatformError, Unavailable
from modelyard.core.ports.object_store import ObjectStore

_POLL_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class EnvironmentRequest:
    """A generation that needs an environment."""

    generation: Claim
    order: BuildOrder
    spec_hash: str
    progress: Progress
    alive: CancellationToken
    check: Callable[[], None]
    """Raises LeaseLost once the generation is no longer ours to build."""


class SharedBuilds:
    def __init__(self, sessions: Sessions, toolchain: BuildToolchain, store: ObjectStore) -> None:
        self._sessions = sessions
        self._toolchain = toolchain
        self._wheels = WheelStore(store, work=toolchain.work, fetched=toolchain.wheels)

    def get(self, request: EnvironmentRequest) -> BuiltEnvironment:
        """The environment, used by the generation from then on. Raises BuildFailed."""
        waited_for: int | None = None
        while True:
            request.check()
            ready = self._ready(request)
            if ready is not None:
                request.progress.say(f"using the environment {ready.folder.name}, which is there already")
                request.progress.say(ready.lock.pins)
                return ready
            held, seen = self._claim(request, waited_for)
            if held is not None:
                return self._build(request, held, known_lock=_known_lock(seen))
            if waited_for is None:
                request.progress.step(OperationStep.WAITING)
                request.progress.say("another deployment is building the same environment; waiting for it")
            waited_for = seen.attempt
            time.sleep(_POLL_SECONDS)

    def _ready(self, request: EnvironmentRequest) -> BuiltEnvironment | None:
        with transaction(self._sessions) as work:
            answer = repository.resolved_lock(work.session, request.spec_hash)
            row = repository.published_environment(work.session, answer[0]) if answer else None
            if answer is None or row is None:
                return None
            name, lock = row.folder, EnvironmentLock(answer[1], row.python_version, self._toolchain.platform)
        built = self._usable(name, lock, request)
        if built is None:
            return None
        with transaction(self._sessions) as work:
            if repository.published_environment(work.session, lock.digest) is None:
                return None
            _use(work.session, request, lock.digest)
        return built

    def _usable(self, name: str, lock: EnvironmentLock, request: EnvironmentRequest) -> BuiltEnvironment | None:
        """What was published, if every machine can have it: from the object store, where it is put if it is here."""
        here = self._toolchain.environments.find(lock.digest)
        if self._wheels.has(lock.digest):
            return here or self._toolchain.environments.elsewhere(name, lock)
        if here is not None:
            request.progress.say(f"the environment {here.name} is not in the object store yet; packing it")
            with self._wheels.packing(here, request.progress.say):
                return here
        with transaction(self._sessions) as work:
            repository.forget_environment(work.session, lock.digest)
        return None

    def _claim(self, request: EnvironmentRequest, waited_for: int | None) -> tuple[Claim | None, repository.SeenBuild]:
        """The right to build, and how the last build ended. A failure that we waited for is ours too."""
        with transaction(self._sessions) as work:
            seen = repository.see_build(work.session, request.spec_hash, request.order.spec)
            if seen.state is BuildState.FAILED and seen.attempt == waited_for:
                raise BuildFailed(seen.error or "the build that this one waited for failed")
            return repository.take_build(work.session, request.spec_hash), seen

    def _build(self, request: EnvironmentRequest, held: Claim, *, known_lock: str | None) -> BuiltEnvironment:
        order = replace(request.order, known_lock=known_lock)
        with heartbeat(self._sessions, held) as beating, cancel_when_lease_lost(beating, request.alive):
            try:
                return build_environment(
                    self._toolchain,
                    order,
                    already_built=lambda lock: self._adopt(request, held, lock),
                    packing=self._wheels.packing,
                    publish=lambda built: self._publish(request, held, built),
                    progress=request.progress,
                    alive=request.alive,
                )
            except Unavailable:
                self._give_back(held)
                raise
            except PlatformError as failure:
                with transaction(self._sessions) as work:
                    repository.record_build_failure(work.session, held, failure.message)
                raise
            except BaseException:
                self._give_back(held)
                raise

    def _adopt(self, request: EnvironmentRequest, held: Claim, lock: EnvironmentLock) -> BuiltEnvironment | None:
        """The published environment of this lock, recorded as the answer to this spec too."""
        with transaction(self._sessions) as work:
            row = repository.published_environment(work.session, lock.digest)
            name = row.folder if row is not None else None
        built = self._usable(name, lock, request) if name is not None else None
        if built is None:
            return None
        with transaction(self._sessions) as work:
            if repository.published_environment(work.session, lock.digest) is None:
                return None
            if not repository.record_resolution(work.session, held, lock_hash=lock.digest, lock=lock.text):
                raise LeaseLost
            _use(work.session, request, lock.digest)
        return built

    def _publish(self, request: EnvironmentRequest, held: Claim, built: BuiltEnvironment) -> None:
        size = _size(built.folder)
        with transaction(self._sessions) as work:
            if not repository.record_environment(work.session, held, built, size_bytes=size):
                raise LeaseLost
            _use(work.session, request, built.lock.digest)

    def _give_back(self, held: Claim) -> None:
        """Others need not wait for the lease to run out. Where the database is away, they do."""
        with suppress(SQLAlchemyError), transaction(self._sessions) as work:
            finish(work.session, held)


def _known_lock(seen: repository.SeenBuild) -> str | None:
    """Of an environment that was removed. After a failure everything is resolved anew."""
    return seen.lock if seen.state is BuildState.SUCCEEDED else None


def _use(session: Session, request: EnvironmentRequest, lock_hash: str) -> None:
    if not repository.use_environment(session, request.generation, spec_hash=request.spec_hash, lock_hash=lock_hash):
        raise LeaseLost


def _size(folder: Path) -> int:
    return sum((Path(parent) / name).lstat().st_size for parent, _, names in os.walk(folder) for name in names)
