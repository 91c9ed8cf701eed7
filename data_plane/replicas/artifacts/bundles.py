"""A bundle's files, from the object store to a folder that workers and the gateway can read."""

import hashlib
import os
import shutil
import tempfile
from pathlib import Path

from modelyard.core.domain.bundle import BUNDLE_FILE, SCORING_SCRIPT
from modelyard.core.domain.model_manifest import check_relative_path
from modelyard.core.model_files import ContentMismatch
from modelyard.core.ports.object_store import ObjectMissing, ObjectStore


def materialise_bundle(store: ObjectStore, bundle_hash: str, bundles: Path) -> Path:
    """Make the bundle lie at `bundles/<hash>/`; returns that folder. Repeatable; it appears whole, by rename."""
    target = bundles / bundle_hash
    if target.is_dir():
        return target
    unfinished = Path(tempfile.mkdtemp(dir=bundles, prefix=".unfinished-"))
    try:
        unfinished.chmod(0o755)  # workers, which may run as another user, read it
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
