"""Build each environment once, however many deployments need it at the same time.

The row of the spec hash is leased. The builder with the lease builds; the other builders wait for the outcome, an
environment or a failure.
"""

import os
import time
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass, replace
from pathlib import Path

from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from builder import repository
from builder.build_run import BuildRun
from builder.environment_build import BuildOrder, build_environment
from builder.installers.port import format_pins
from builder.lease_watch import cancel_when_lease_lost
from builder.toolchain import BuildToolchain
from builder.wheels.wheel_store import WheelStore
from modelyard.core.db.leases import Claim, LeaseLost, finish, heartbeat
from modelyard.core.db.lifecycle import environment_built, environment_failed
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
    """A generation's request for an environment."""

    generation: Claim
    order: BuildOrder
    spec_hash: str
    run: BuildRun


class SharedBuilds:
    def __init__(self, sessions: Sessions, toolchain: BuildToolchain, store: ObjectStore) -> None:
        self._sessions = sessions
        self._toolchain = toolchain
        self._wheels = WheelStore(store, work=toolchain.work, fetched=toolchain.wheels)

    def get(self, request: EnvironmentRequest) -> BuiltEnvironment:
        """Return the environment, recorded as used by the generation.

        Raises BuildFailed, BuildCancelled, and LeaseLost when another builder holds the generation.
        """
        log, waited_for = request.run.log, None
        while True:
            request.run.cancellation.raise_if_cancelled()
            ready = self._ready(request)
            if ready is not None:
                log.line(f"using the environment {ready.folder.name}, which is already built")
                log.line(format_pins(self._toolchain.installer.describe(ready.lock)))
                return ready
            held, last = self._claim(request, waited_for)
            if held is not None:
                return self._build(request, held, last)
            if waited_for is None:
                log.begin(OperationStep.WAITING)
                log.line("another deployment is building the same environment; waiting for its result")
            waited_for = last.attempt
            time.sleep(_POLL_SECONDS)

    def _ready(self, request: EnvironmentRequest) -> BuiltEnvironment | None:
        """The published environment of the spec, recorded as used by the generation."""
        with transaction(self._sessions) as work:
            resolved = repository.resolved_lock(work.session, request.spec_hash)
            row = repository.published_environment(work.session, resolved[0]) if resolved else None
            if resolved is None or row is None:
                return None
            name, lock = row.folder, EnvironmentLock(resolved[1], row.python_version, self._toolchain.platform)
        built = self.find(name, lock, request.run)
        if built is None:
            return None
        with transaction(self._sessions) as work:
            if repository.published_environment(work.session, lock.digest) is None:
                return None
            use_environment(work.session, request, lock.digest)
        return built

    def find(self, name: str, lock: EnvironmentLock, run: BuildRun) -> BuiltEnvironment | None:
        """The published environment, if every machine can get it from the object store.

        An environment in no other place than this machine is packed first; a lost environment is unpublished.
        """
        here = self._toolchain.environments.find(lock.digest)
        if self._wheels.has(lock.digest):
            return here or self._toolchain.environments.elsewhere(name, lock)
        if here is not None:
            run.log.line(f"the environment {here.name} is not in the object store yet; packing it")
            with self._wheels.packing(here, run.log):
                return here
        with transaction(self._sessions) as work:
            repository.unpublish_environment(work.session, lock.digest)
        return None

    def _claim(
        self, request: EnvironmentRequest, waited_for: int | None
    ) -> tuple[Claim | None, repository.BuildRecord]:
        """Claim the build, and return the outcome of the last build. Raises BuildFailed if the awaited build failed."""
        with transaction(self._sessions) as work:
            last = repository.build_of_spec(work.session, request.spec_hash, request.order.spec)
            if last.state is BuildState.FAILED and last.attempt == waited_for:
                raise BuildFailed(last.error or "the other deployment's build of this environment failed")
            return repository.claim_build(work.session, request.spec_hash), last

    def _build(self, request: EnvironmentRequest, held: Claim, last: repository.BuildRecord) -> BuiltEnvironment:
        # The lock of a removed environment still counts. After a failure the spec is resolved anew.
        order = replace(request.order, known_lock=last.lock if last.state is BuildState.SUCCEEDED else None)
        registry = _HeldBuild(self, self._sessions, self._wheels, request, held)
        with (
            heartbeat(self._sessions, held) as lease,
            cancel_when_lease_lost(lease, request.run.cancellation),
        ):
            try:
                return build_environment(self._toolchain, order, registry, request.run)
            except Unavailable:
                self._release(held)
                raise
            except PlatformError as failure:
                with transaction(self._sessions) as work:
                    environment_failed(work.session, held, failure.message)
                raise
            except BaseException:
                self._release(held)
                raise

    def _release(self, held: Claim) -> None:
        """Give up the lease, so that waiting builders go on at once. Without a database the lease runs out."""
        with suppress(SQLAlchemyError), transaction(self._sessions) as work:
            finish(work.session, held)


@dataclass(frozen=True, slots=True)
class _HeldBuild:
    """The environment registry of a leased build."""

    shared: SharedBuilds
    sessions: Sessions
    wheels: WheelStore
    request: EnvironmentRequest
    held: Claim

    def adopt(self, lock: EnvironmentLock) -> BuiltEnvironment | None:
        """Also records the lock as the resolution of the spec."""
        with transaction(self.sessions) as work:
            row = repository.published_environment(work.session, lock.digest)
            name = row.folder if row is not None else None
        built = self.shared.find(name, lock, self.request.run) if name is not None else None
        if built is None:
            return None
        with transaction(self.sessions) as work:
            if repository.published_environment(work.session, lock.digest) is None:
                return None
            if not environment_built(work.session, self.held, lock_hash=lock.digest, lock=lock.text):
                raise LeaseLost
            use_environment(work.session, self.request, lock.digest)
        return built

    def packing(self, built: BuiltEnvironment) -> AbstractContextManager[None]:
        return self.wheels.packing(built, self.request.run.log)

    def publish(self, built: BuiltEnvironment) -> None:
        size = _size_bytes(built.folder)
        with transaction(self.sessions) as work:
            if not repository.record_environment(work.session, self.held, built, size_bytes=size):
                raise LeaseLost
            use_environment(work.session, self.request, built.lock.digest)


def use_environment(session: Session, request: EnvironmentRequest, lock_hash: str) -> None:
    """Record the generation as a user of the environment. Raises LeaseLost."""
    if not repository.use_environment(session, request.generation, spec_hash=request.spec_hash, lock_hash=lock_hash):
        raise LeaseLost


def _size_bytes(folder: Path) -> int:
    return sum((Path(parent) / name).lstat().st_size for parent, _, names in os.walk(folder) for name in names)
