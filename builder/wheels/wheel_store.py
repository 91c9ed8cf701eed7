"""Store the packages of environments in the object store as wheels, and fetch them.

A wheel's key has the hash of the content, known from RECORD before packing: a stored wheel is not packed again.
The environment's document is written last, so a document implies all wheels.
"""

import hashlib
import os
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from threading import Event

from builder.build_run import BuildLog
from builder.wheels.archive import content_hash, write_wheel
from builder.wheels.installed import Distribution, installed_distributions
from builder.wheels.packed_environment import PackedEnvironment, PackedWheel, document_key, wheels_prefix
from builder.wheels.wheel_check import check_wheel
from builder.work_folder import work_folder
from modelyard.core.environments.folder import BuiltEnvironment
from modelyard.core.model_files import ContentMismatch
from modelyard.core.ports.object_store import ObjectMissing, ObjectStore

_PACKING_THREADS = 2
_FETCHING_THREADS = 4
_LOOKUP_THREADS = 16
_CHUNK = 1 << 20


class PackingInterrupted(Exception):
    """The build of the environment failed during packing."""


class WheelStore:
    def __init__(self, store: ObjectStore, *, work: Path, fetched: Path) -> None:
        self._store = store
        self._work = work
        self._fetched = fetched

    def read(self, lock_hash: str) -> PackedEnvironment:
        """Raises ObjectMissing."""
        return PackedEnvironment.from_json(b"".join(self._store.get(document_key(lock_hash))))

    def has(self, lock_hash: str) -> bool:
        """Whether the store has the environment's document and all wheels."""
        try:
            packed = self.read(lock_hash)
        except ObjectMissing:
            return False
        with ThreadPoolExecutor(_LOOKUP_THREADS) as pool:
            return all(pool.map(self._store.exists, [wheel.key for wheel in packed.wheels]))

    @contextmanager
    def packing(self, built: BuiltEnvironment, log: BuildLog) -> Iterator[None]:
        """Pack the installed packages while the block runs.

        Other machines can restore the environment from then on, unless the block raises.
        """
        distributions = installed_distributions(built.folder)
        stopped = Event()
        with work_folder(self._work) as folder, ThreadPoolExecutor(_PACKING_THREADS) as pool:
            packing = [pool.submit(self._pack, each, folder, stopped) for each in distributions]
            try:
                yield
                wheels = tuple(each.result() for each in packing)
            except BaseException:
                stopped.set()
                raise
        document = PackedEnvironment(built.lock, wheels)
        self._store.put(document_key(built.lock.digest), [document.to_json()])
        log.line(f"{len(wheels)} packages, {document.size >> 20} MB, are in the object store for other machines")

    def fetch(self, wheel: PackedWheel) -> Path:
        """Return the wheel's local file, checked by hash. Raises ContentMismatch and ObjectMissing."""
        target = self._fetched / wheel.sha256 / wheel.file_name
        if target.exists():
            return target
        target.parent.mkdir(parents=True, exist_ok=True)
        # The installer's account reads the package.
        target.parent.chmod(0o711)
        with work_folder(self._work) as folder:
            unfinished = folder / wheel.file_name
            if self._download(wheel, unfinished) != wheel.sha256:
                raise ContentMismatch(
                    f"the package {wheel.key} in the object store is damaged: delete the object and update the "
                    "deployment, which packs its environment again"
                )
            check_wheel(unfinished)
            unfinished.chmod(0o644)
            os.replace(unfinished, target)
        return target

    def fetch_all(self, packed: PackedEnvironment) -> list[Path]:
        with ThreadPoolExecutor(_FETCHING_THREADS) as pool:
            return list(pool.map(self.fetch, packed.wheels))

    def _download(self, wheel: PackedWheel, target: Path) -> str:
        digest = hashlib.sha256()
        with target.open("wb") as file:
            for chunk in self._store.get(wheel.key):
                digest.update(chunk)
                file.write(chunk)
        return digest.hexdigest()

    def _pack(self, distribution: Distribution, folder: Path, stopped: Event) -> PackedWheel:
        if stopped.is_set():
            raise PackingInterrupted
        stored = self._stored(content_hash(distribution), distribution.wheel_name)
        return stored or self._put(distribution, folder)

    def _stored(self, content: str, name: str) -> PackedWheel | None:
        for key in self._store.list(wheels_prefix(content)):
            if key.endswith(f"/{name}"):
                return PackedWheel(key, self._store.size(key))
        return None

    def _put(self, distribution: Distribution, folder: Path) -> PackedWheel:
        descriptor, name = tempfile.mkstemp(dir=folder)
        os.close(descriptor)
        wheel = Path(name)
        content = write_wheel(distribution, wheel)
        with wheel.open("rb") as file:
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
            file.seek(0)
            key = f"{wheels_prefix(content)}{sha256}/{distribution.wheel_name}"
            size = self._store.put(key, iter(lambda: file.read(_CHUNK), b""))
        wheel.unlink()
        return PackedWheel(key, size)
