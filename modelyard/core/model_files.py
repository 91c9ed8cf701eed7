"""A registered model's files, from the object store to a folder that workers can be let into."""

import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from modelyard.core.domain.bounded_yaml import LARGEST_BYTES
from modelyard.core.domain.mlmodel import MLMODEL_FILE
from modelyard.core.domain.model_manifest import ModelFile, ModelManifest
from modelyard.core.domain.windows_paths import links_for
from modelyard.core.ports.object_store import ObjectStore

_READABLE_FOLDER = 0o755
_READABLE_FILE = 0o644


class ContentMismatch(Exception):
    """The content in the object store differs from the registered content."""


def materialise(store: ObjectStore, manifest: ModelManifest, models: Path) -> Path:
    """Fetch the model's files to `models/<manifest hash>/` and return the folder. Repeatable, and safe in a race.

    The folder appears complete, by rename, is shared by every deployment of the same content and never changes. Only
    the platform's account may enter the folder (0700); the start of a worker lets the worker's group in.
    """
    target = models / manifest.digest
    if target.is_dir():
        return target
    unfinished = Path(tempfile.mkdtemp(dir=models, prefix=".unfinished-"))
    try:
        for file in manifest.files:
            _write(unfinished / file.path, file, store)
        _link_windows_paths(unfinished, manifest)
        _publish(unfinished, target)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    return target


def _write(path: Path, file: ModelFile, store: ObjectStore) -> None:
    _make_folders(path.parent)
    with path.open("wb") as out:
        for chunk in _verified(file, store):
            out.write(chunk)
    path.chmod(_READABLE_FILE)


def _link_windows_paths(unfinished: Path, manifest: ModelManifest) -> None:
    """Give the files that MLmodel names with backslashes these names too."""
    # All files lie in the registered folder.
    for folder in unfinished.iterdir():
        files = {file.path.removeprefix(f"{folder.name}/") for file in manifest.files}
        if MLMODEL_FILE in files:
            with (folder / MLMODEL_FILE).open("rb") as file:
                links = links_for(file.read(LARGEST_BYTES + 1), files)
            for link, target in links.items():
                place = folder / link
                place.symlink_to(os.path.relpath(folder / target, place.parent))


def _make_folders(folder: Path) -> None:
    if folder.is_dir():
        return
    _make_folders(folder.parent)
    folder.mkdir()
    folder.chmod(_READABLE_FOLDER)


def _verified(file: ModelFile, store: ObjectStore) -> Iterator[bytes]:
    digest = hashlib.sha256()
    for chunk in store.get(file.key):
        digest.update(chunk)
        yield chunk
    if digest.hexdigest() != file.sha256:
        raise ContentMismatch(
            f"the object store's content of {file.path} differs from the registered content: register the model again"
        )


def _publish(unfinished: Path, target: Path) -> None:
    try:
        os.rename(unfinished, target)
    except OSError:
        # Another process was first. The content of both folders is equal.
        if not target.is_dir():
            raise
