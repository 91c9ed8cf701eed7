"""The environments of a machine, found by the hash of the lock.

A virtual environment contains absolute paths and cannot move, so each attempt is built in its final folder,
`<lock hash>-<attempt>`. The `complete` marker makes an attempt an environment. An attempt without the marker belongs
to a live builder, which locks the file beside the folder, or is the remains of a dead builder, and is removed.
"""

import json
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO

from modelyard.core.domain.documents import VERSION, check_format
from modelyard.core.domain.environment_spec import EnvironmentLock
from modelyard.process.atomic_files import replace_file
from modelyard.process.file_lock import try_lock

_FORMAT = 1
_COMPLETE = "complete"
_BEING_BUILT = ".building"
_HASH_LENGTH = 16


@dataclass(frozen=True, slots=True)
class BuiltEnvironment:
    folder: Path
    lock: EnvironmentLock

    @property
    def name(self) -> str:
        return self.folder.name

    @property
    def python(self) -> Path:
        return self.folder / "bin" / "python"


@dataclass(slots=True)
class Attempt:
    folder: Path
    is_kept: bool = False

    def complete(self, lock: EnvironmentLock) -> BuiltEnvironment:
        """Write the `complete` marker."""
        content = json.dumps({VERSION: _FORMAT, "lock_hash": lock.digest, **asdict(lock)}, indent=1)
        replace_file(self.folder / _COMPLETE, content)
        return BuiltEnvironment(self.folder, lock)

    def keep(self) -> None:
        """Keep the folder after the attempt: the environment is published."""
        self.is_kept = True


class Environments:
    def __init__(self, root: Path) -> None:
        self._root = root

    def find(self, lock_hash: str) -> BuiltEnvironment | None:
        """The complete environment of a lock; of several environments, the first."""
        for folder in sorted(self._root.glob(f"{lock_hash[:_HASH_LENGTH]}-*")):
            built = _read(folder)
            # With the interpreter gone, a new environment is built beside this folder.
            if built is not None and built.lock.digest == lock_hash and built.python.exists():
                return built
        return None

    def elsewhere(self, name: str, lock: EnvironmentLock) -> BuiltEnvironment:
        """An environment in a folder of another machine."""
        return BuiltEnvironment(self._root / name, lock)

    def all(self) -> list[BuiltEnvironment]:
        """Every complete environment."""
        found = (_read(folder) for folder in sorted(self._root.glob("*-*")))
        return [built for built in found if built is not None]

    @contextmanager
    def attempt(self, lock: EnvironmentLock) -> Iterator[Attempt]:
        """A folder to build in, removed at the end unless the attempt is kept."""
        self._root.mkdir(parents=True, exist_ok=True)
        folder, held = self._claim(lock)
        attempt = Attempt(folder)
        try:
            folder.mkdir(mode=0o755)
            folder.chmod(0o755)
            yield attempt
        finally:
            if not attempt.is_kept:
                shutil.rmtree(folder, ignore_errors=True)
            _being_built(folder).unlink(missing_ok=True)
            held.close()

    def remove_abandoned(self) -> list[str]:
        """Remove attempts without a live builder and return the names."""
        names = {folder.name for folder in self._root.glob("*-*") if folder.is_dir() and not _is_complete(folder)}
        names |= {
            file.name.removesuffix(_BEING_BUILT).removeprefix(".") for file in self._root.glob(f".*{_BEING_BUILT}")
        }
        return [name for name in sorted(names) if self._remove_if_abandoned(self._root / name)]

    def remove(self, name: str, *, unless: Callable[[], bool] = lambda: False) -> bool:
        """Remove a complete environment, unless a builder is about to publish it.

        `unless` is called under the lock: no builder can publish in between.
        """
        folder = self._root / name
        held = _lock(_being_built(folder))
        if held is None:
            return False
        with held:
            is_to_go = not unless()
            if is_to_go:
                (folder / _COMPLETE).unlink(missing_ok=True)
                shutil.rmtree(folder, ignore_errors=True)
            _being_built(folder).unlink(missing_ok=True)
        return is_to_go

    def _claim(self, lock: EnvironmentLock) -> tuple[Path, IO[str]]:
        """A free folder name, and the lock that reserves the name while this process lives."""
        number = 1
        while True:
            folder = self._root / f"{lock.digest[:_HASH_LENGTH]}-{number}"
            held = None if folder.exists() else _lock(_being_built(folder))
            if held is not None and not folder.exists():
                return folder, held
            if held is not None:
                held.close()
            number += 1

    def _remove_if_abandoned(self, folder: Path) -> bool:
        held = _lock(_being_built(folder))
        if held is None:
            return False
        with held:
            abandoned = folder.exists() and not _is_complete(folder)
            if abandoned:
                shutil.rmtree(folder, ignore_errors=True)
            _being_built(folder).unlink(missing_ok=True)
        return abandoned


def _being_built(folder: Path) -> Path:
    return folder.with_name(f".{folder.name}{_BEING_BUILT}")


def _lock(file: Path) -> IO[str] | None:
    """The exclusive lock on a file, or None while another process holds the lock."""
    opened = file.open("a")
    if try_lock(opened.fileno()) and _still_names(file, opened):
        return opened
    opened.close()
    return None


def _still_names(file: Path, opened: IO[str]) -> bool:
    """False: the process that held the lock before has removed the file, and this lock excludes no process."""
    try:
        return os.path.samestat(file.stat(), os.fstat(opened.fileno()))
    except FileNotFoundError:
        return False


def _is_complete(folder: Path) -> bool:
    return (folder / _COMPLETE).is_file()


def _read(folder: Path) -> BuiltEnvironment | None:
    """The environment in a folder. None: the folder is no complete environment."""
    try:
        document = json.loads((folder / _COMPLETE).read_text())
        check_format(document, noun=f"the marker of environment {folder.name}", newest=_FORMAT)
        return BuiltEnvironment(folder, EnvironmentLock(document["text"], document["python"], document["platform"]))
    except (OSError, ValueError, KeyError):
        return None
