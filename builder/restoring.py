"""Makes an environment on this machine as it was built on another: offline, of its lock and wheels in the object store.

Killed at any moment it leaves nothing that counts as an environment; what it leaves, the next one removes.
"""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from builder.errors import NotInTheStore, OtherPlatform
from builder.populate_environment import EnvironmentPlace, populate_environment
from builder.supervised_process import CancellationToken
from builder.toolchain import BuildToolchain
from builder.wheels.packed_environment import PackedEnvironment, document_key
from builder.wheels.wheel_store import WheelStore
from modelyard.core.environments.folder import BuiltEnvironment
from modelyard.core.model_files import ContentMismatch
from modelyard.core.ports.object_store import ObjectMissing, ObjectStore
from modelyard.process.file_lock import locked_file

_GLIBC = re.compile(r"^(?P<kind>.*-glibc)(?P<version>\d+(?:\.\d+)*)$")


@dataclass(frozen=True, slots=True)
class Restoring:
    toolchain: BuildToolchain
    store: ObjectStore
    alive: CancellationToken
    say: Callable[[str], None]

    def get(self, lock_hash: str) -> BuiltEnvironment:
        """Find or make it; of several processes that ask at once, one makes it.

        Raises BuildFailed and ContentMismatch, and what the object store raises when it is away.
        """
        found = self.toolchain.environments.find(lock_hash)
        if found is not None:
            return found
        with self._only_one(lock_hash):
            self.toolchain.remove_abandoned()
            return self.toolchain.environments.find(lock_hash) or self._make(lock_hash)

    @contextmanager
    def _only_one(self, lock_hash: str) -> Iterator[None]:
        folder = self.toolchain.wheels.parent / "restoring"
        folder.mkdir(parents=True, exist_ok=True)
        message = "another process on this machine makes this environment; waiting for it"
        with locked_file(folder / lock_hash, on_wait=lambda: self.say(message)):
            yield

    def _make(self, lock_hash: str) -> BuiltEnvironment:
        wheels = WheelStore(self.store, work=self.toolchain.work, fetched=self.toolchain.wheels)
        try:
            packed = wheels.read(lock_hash)
            if packed.lock.digest != lock_hash:
                raise ContentMismatch(f"{document_key(lock_hash)} in the object store is damaged; delete it there")
            _check_platform(packed.lock.platform, self.toolchain.platform)
            self.say(f"fetching {len(packed.wheels)} packages, {packed.size >> 20} MB, from the object store")
            return self._install(packed, wheels)
        except ObjectMissing as missing:
            raise NotInTheStore(
                f"{missing.args[0]} is not in the object store, so this machine cannot have the deployment's Python "
                "environment: update the deployment to have it packed or built again"
            ) from None

    def _install(self, packed: PackedEnvironment, wheels: WheelStore) -> BuiltEnvironment:
        toolchain, alive, say, lock = self.toolchain, self.alive, self.say, packed.lock
        interpreter = toolchain.interpreters.get(
            lock.python.rpartition(".")[0],
            lock.python,
            say=say,
            fetch=lambda minor: toolchain.uv.fetch_interpreter(minor, alive=alive, say=say),
        )
        files = wheels.fetch_all(packed)
        with toolchain.environments.attempt(lock) as attempt:
            place = EnvironmentPlace(attempt.folder, interpreter, alive, say)
            populate_environment(
                toolchain, place, lambda: toolchain.uv.install_wheels(files, attempt.folder, alive=alive, say=say)
            )
            built = attempt.complete(lock)
            attempt.keep()
        return built


def _check_platform(built_on: str, here: str) -> None:
    """Compiled packages run on the same kind of machine, with the same C library or a newer one."""
    theirs, ours = _GLIBC.match(built_on), _GLIBC.match(here)
    if theirs and ours and theirs["kind"] == ours["kind"]:
        if _release(theirs["version"]) <= _release(ours["version"]):
            return
    elif built_on == here:
        return
    raise OtherPlatform(
        f"the environment was built on {built_on} and cannot run on this machine, which is {here}: run the builders "
        "on machines of the kind that serve, with the same C library or an older one, and deploy again"
    )


def _release(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("."))
