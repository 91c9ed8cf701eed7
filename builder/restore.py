"""Find or restore an environment on this machine: `builder.restore --lock-hash HASH [--lifeline-fd N]`.

Hosts and batch workers start the program. An environment of another machine is installed offline, from the lock and
wheels in the object store, without a request to the database or to a package index.

Settings: `MachineSettings`, none of which is a secret. Standard output has the log and, as its last
line, the name of the environment's folder. On failure standard error has one line with the reason, and the exit code
is 1, or 75 when a retry may succeed. A killed restore leaves no complete environment; the next restore removes the
rest.
"""

import argparse
import os
import re
import sys
from dataclasses import dataclass
from pathlib import Path

from builder.accounts import builder_accounts
from builder.build_run import BuildLog, BuildRun, cancellation_token
from builder.build_sandbox import open_build_sandbox
from builder.composition import open_toolchain
from builder.errors import NotInTheStore, OtherPlatform
from builder.populate_environment import populate_environment
from builder.toolchain import BuildToolchain
from builder.wheels.packed_environment import PackedEnvironment, document_key
from builder.wheels.wheel_store import WheelStore
from modelyard.core.adapters.object_stores import open_store
from modelyard.core.environments.folder import BuiltEnvironment
from modelyard.core.errors import PlatformError, Unavailable
from modelyard.core.model_files import ContentMismatch
from modelyard.core.ports.object_store import ObjectMissing
from modelyard.core.settings import MachineSettings
from modelyard.core.settings_variables import read_settings
from modelyard.process.file_lock import locked_file
from modelyard.process.lifeline import when_cut

_PERMANENT_FAILURE = 1
_GLIBC = re.compile(r"^(?P<kind>.*-glibc)(?P<version>\d+(?:\.\d+)*)$")


def main(arguments: list[str]) -> int:
    options = _parse(arguments)
    if options.lifeline_fd is not None:
        when_cut(options.lifeline_fd, lambda: os._exit(_PERMANENT_FAILURE))
    settings = read_settings(MachineSettings, os.environ)
    try:
        print(_restore(settings, options.lock_hash), flush=True)
    except Unavailable as unavailable:
        return _failed(unavailable.message, os.EX_TEMPFAIL)
    except PlatformError as failure:
        return _failed(failure.message, _PERMANENT_FAILURE)
    except ContentMismatch as mismatch:
        return _failed(str(mismatch), _PERMANENT_FAILURE)
    except Exception as error:  # noqa: BLE001 - the caller shows one line, whatever the error
        return _failed(f"the environment cannot be restored on this machine now: {error}", os.EX_TEMPFAIL)
    return 0


def _parse(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="builder.restore", description=__doc__)
    parser.add_argument("--lock-hash", required=True)
    parser.add_argument("--lifeline-fd", type=int, help="read end of a pipe: the program ends when the pipe is closed")
    return parser.parse_args(arguments)


def _restore(settings: MachineSettings, lock_hash: str) -> str:
    toolchain = open_toolchain(
        settings.data_dir,
        environ=os.environ,
        home=Path.home(),
        worker_user=settings.worker_user,
        accounts=builder_accounts(settings),
        sandbox=open_build_sandbox(settings),
    )
    store = open_store(settings.storage_url, settings=settings.object_store)
    wheels = WheelStore(store, work=toolchain.work, fetched=toolchain.wheels)
    log = BuildLog(lambda line: print(line, flush=True))
    with cancellation_token() as token:
        return EnvironmentRestorer(toolchain, wheels, BuildRun(log, token)).get(lock_hash).name


def _failed(sentence: str, code: int) -> int:
    print(" ".join(sentence.split()), file=sys.stderr, flush=True)
    return code


@dataclass(frozen=True, slots=True)
class EnvironmentRestorer:
    toolchain: BuildToolchain
    wheels: WheelStore
    run: BuildRun

    def get(self, lock_hash: str) -> BuiltEnvironment:
        """Find the environment or restore it; of several processes at once, one restores.

        Raises BuildFailed, ContentMismatch and the object store's Unavailable.
        """
        environments = self.toolchain.environments
        found = environments.find(lock_hash)
        if found is not None:
            return found
        locks = self.toolchain.wheels.parent / "restoring"
        locks.mkdir(parents=True, exist_ok=True)
        message = "another process on this machine is restoring this environment; waiting for its result"
        with locked_file(locks / lock_hash, on_wait=lambda: self.run.log.line(message)):
            self.toolchain.remove_abandoned()
            return environments.find(lock_hash) or self._restore(lock_hash)

    def _restore(self, lock_hash: str) -> BuiltEnvironment:
        try:
            packed = self.wheels.read(lock_hash)
            if packed.lock.digest != lock_hash:
                raise ContentMismatch(
                    f"{document_key(lock_hash)} in the object store is damaged: delete the object and update the "
                    "deployment, which packs its environment again"
                )
            _check_platform(packed.lock.platform, self.toolchain.platform)
            self.run.log.line(f"fetching {len(packed.wheels)} packages, {packed.size >> 20} MB, from the object store")
            return self._install(packed)
        except ObjectMissing as missing:
            raise NotInTheStore(
                f"{missing.args[0]} is not in the object store, so this machine cannot restore the deployment's "
                "Python environment: update the deployment, which packs or builds its environment again"
            ) from None

    def _install(self, packed: PackedEnvironment) -> BuiltEnvironment:
        toolchain, lock = self.toolchain, packed.lock
        files = self.wheels.fetch_all(packed)
        with toolchain.environments.attempt(lock) as attempt:
            populate_environment(
                attempt.folder,
                lambda: toolchain.installer.install_files(lock, files, attempt.folder, self.run),
                interpreter=toolchain.base_of(lock, self.run),
                account=toolchain.accounts.installer,
                sandbox=toolchain.sandbox,
                run=self.run,
            )
            built = attempt.complete(lock)
            attempt.keep()
        return built


def _check_platform(built_on: str, here: str) -> None:
    """Compiled packages run on the kind of machine that they were built on, with the same or a newer C library."""
    theirs, ours = _GLIBC.match(built_on), _GLIBC.match(here)
    if theirs and ours and theirs["kind"] == ours["kind"]:
        if _release(theirs["version"]) <= _release(ours["version"]):
            return
    elif built_on == here:
        return
    raise OtherPlatform(
        f"the environment was built on {built_on} and cannot run on this machine, which is {here}: run the builders "
        "on machines of the serving kind, with the same C library or an older one, and deploy again"
    )


def _release(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("."))
