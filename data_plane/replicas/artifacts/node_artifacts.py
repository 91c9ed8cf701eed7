"""Bundles, model files and environments of this node, each fetched from the object store on first use."""

import hashlib
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from data_plane.replicas.artifacts.environments import NodeEnvironments, Report
from modelyard.core.data_dir import DataDir
from modelyard.core.domain.bundle import BUNDLE_FILE, SCORING_SCRIPT, Bundle
from modelyard.core.domain.model_manifest import check_relative_path
from modelyard.core.environments.folder import BuiltEnvironment
from modelyard.core.model_files import ContentMismatch, materialise
from modelyard.core.ports.object_store import ObjectMissing, ObjectStore

_ABANDONED_SECONDS = 24 * 3600.0


class ArtifactUnusable(Exception):
    """An artifact is missing from the object store or damaged; the text says what to do."""


@dataclass(frozen=True, slots=True)
class LocalBundle:
    """A bundle with all files on this node."""

    bundle: Bundle
    folder: Path


class NodeArtifacts:
    """Callable from any thread. Every method may be repeated; an artifact appears whole, by rename."""

    def __init__(self, store: ObjectStore, data_dir: DataDir, environments: NodeEnvironments) -> None:
        self._store = store
        self._data_dir = data_dir
        self._environments = environments

    def bundle(self, bundle_hash: str) -> LocalBundle:
        """Raises ArtifactUnusable."""
        folder = _usable(lambda: fetch_bundle(self._store, bundle_hash, self._data_dir.bundles))
        return LocalBundle(Bundle.from_json((folder / BUNDLE_FILE).read_bytes()), folder)

    def bundle_folders(self, bundle_hashes: Iterable[str]) -> Mapping[str, Path]:
        """Return the folders, by hash, of the bundles that are on this node already."""
        folders = {bundle_hash: self._data_dir.bundles / bundle_hash for bundle_hash in bundle_hashes}
        return {bundle_hash: folder for bundle_hash, folder in folders.items() if folder.is_dir()}

    def model_dir(self, bundle: Bundle) -> Path:
        """Raises ArtifactUnusable."""
        return _usable(lambda: materialise(self._store, bundle.model.manifest, self._data_dir.models))

    def find_environment(self, lock_hash: str) -> BuiltEnvironment | None:
        return self._environments.find(lock_hash)

    def environment(self, lock_hash: str, report: Report) -> BuiltEnvironment:
        """Find or restore the environment; `report` receives lines of progress. Raises EnvironmentNotRestored."""
        return self._environments.get(lock_hash, report)

    def remove_abandoned(self) -> None:
        """Remove the unfinished files and folders of killed processes."""
        for folder in (self._data_dir.models, self._data_dir.bundles):
            for unfinished in folder.glob(".unfinished-*"):
                if time.time() - unfinished.stat().st_mtime > _ABANDONED_SECONDS:
                    shutil.rmtree(unfinished, ignore_errors=True)


def _usable(fetch: Callable[[], Path]) -> Path:
    try:
        return fetch()
    except ContentMismatch as mismatch:
        raise ArtifactUnusable(str(mismatch)) from None
    except ObjectMissing as missing:
        raise ArtifactUnusable(
            f"{missing.args[0]} is missing from the object store: register the model and deploy it again"
        ) from None


def fetch_bundle(store: ObjectStore, bundle_hash: str, bundles: Path) -> Path:
    """Fetch the bundle into `bundles/<hash>/` and return the folder (0700); a worker's start lets the worker in."""
    target = bundles / bundle_hash
    if target.is_dir():
        return target
    unfinished = Path(tempfile.mkdtemp(dir=bundles, prefix=".unfinished-"))
    try:
        _fetch(store, f"bundles/{bundle_hash}/", unfinished)
        _check(unfinished, bundle_hash)
        os.rename(unfinished, target)
    except OSError:
        # Another process was first: its folder has the same content.
        if not target.is_dir():
            raise
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    return target


def _fetch(store: ObjectStore, prefix: str, folder: Path) -> None:
    for key in store.list(prefix):
        path = folder / check_relative_path(key.removeprefix(prefix))
        path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        with path.open("wb") as file:
            file.writelines(store.get(key))
        path.chmod(0o644)


def _check(folder: Path, bundle_hash: str) -> None:
    try:
        document, script = (folder / BUNDLE_FILE).read_bytes(), (folder / SCORING_SCRIPT).read_bytes()
    except FileNotFoundError as error:
        raise ObjectMissing(f"bundles/{bundle_hash}") from error
    if hashlib.sha256(document + b"\0" + script).hexdigest() != bundle_hash:
        raise ContentMismatch("the deployment's bundle in the object store is damaged; deploy again")
