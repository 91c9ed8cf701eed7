"""Finds or makes an environment on this machine: `python -m builder.restore --lock-hash HASH [--lifeline-fd N]`.

For hosts and batch workers, which start it as a program. It reads MODELYARD_DATA_DIR, MODELYARD_STORAGE_URL and
MODELYARD_WORKER_UID, and asks no database and no package index. On standard output it prints how far it is and, as the
last line, the name of the environment's folder. If it fails, standard error has one line that says why, and the exit
code is 1; or 75, when the same may go well another time.
"""

import argparse
import os
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from builder.errors import NotInTheStore, OtherPlatform
from builder.populate_environment import EnvironmentPlace, populate_environment
from builder.supervised_process import CancellationToken, cancellation_token
from builder.toolchain import BuildToolchain, open_toolchain
from builder.wheels.packed_environment import PackedEnvironment, document_key
from builder.wheels.wheel_store import WheelStore
from modelyard.core.adapters.object_stores import open_store
from modelyard.core.data_dir import DataDir
from modelyard.core.environments.folder import BuiltEnvironment
from modelyard.core.errors import PlatformError, Unavailable
from modelyard.core.model_files import ContentMismatch
from modelyard.core.ports.object_store import ObjectMissing, ObjectStore
from modelyard.core.worker_user import DEFAULT_WORKER_UID
from modelyard.process.file_lock import locked_file
from modelyard.process.lifeline import when_cut

_REFUSED = 1
_GLIBC = re.compile(r"^(?P<kind>.*-glibc)(?P<version>\d+(?:\.\d+)*)$")


class RestoreSettings(BaseSettings):
    """No secret is among them."""

    model_config = SettingsConfigDict(env_prefix="MODELYARD_", frozen=True, extra="ignore")

    data_path: Path = Field(validation_alias="MODELYARD_DATA_DIR")
    storage_url: str
    worker_uid: int = DEFAULT_WORKER_UID

    @property
    def worker_user(self) -> int | None:
        return self.worker_uid if os.getuid() == 0 else None


def main(arguments: list[str]) -> int:
    options = _parse(arguments)
    if options.lifeline_fd is not None:
        when_cut(options.lifeline_fd, lambda: os._exit(_REFUSED))
    settings = RestoreSettings()  # type: ignore[call-arg] # from the environment
    try:
        print(_restore(settings, options.lock_hash), flush=True)
    except Unavailable as away:
        return _failed(away.message, os.EX_TEMPFAIL)
    except PlatformError as refusal:
        return _failed(refusal.message, _REFUSED)
    except ContentMismatch as mismatch:
        return _failed(str(mismatch), _REFUSED)
    except Exception as error:  # noqa: BLE001 - whatever it is, it takes one line to say
        return _failed(f"the environment cannot be made on this machine now: {error}", os.EX_TEMPFAIL)
    return 0


def _parse(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m builder.restore", description=__doc__)
    parser.add_argument("--lock-hash", required=True)
    parser.add_argument("--lifeline-fd", type=int, help="read end of a pipe: the program ends when it is closed")
    return parser.parse_args(arguments)


def _restore(settings: RestoreSettings, lock_hash: str) -> str:
    data_dir = DataDir(settings.data_path)
    toolchain = open_toolchain(data_dir, environ=os.environ, home=Path.home(), worker_user=settings.worker_user)
    with cancellation_token() as alive:
        restoring = Restoring(toolchain, open_store(settings.storage_url), alive, lambda line: print(line, flush=True))
        return restoring.get(lock_hash).name


def _failed(sentence: str, code: int) -> int:
    print(" ".join(sentence.split()), file=sys.stderr, flush=True)
    return code


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


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
