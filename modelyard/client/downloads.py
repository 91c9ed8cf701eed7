"""A registered model back to this machine: every file by its hash, and none outside the folder that was asked for."""

import hashlib
import os
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from modelyard.client.connection import Connection, Patience
from modelyard.client.errors import ApiError, PlatformUnreachable, TransferFailed
from modelyard.client.folder import sha256_of
from modelyard.client.watching import Watcher
from modelyard.core.domain.model_manifest import ModelFile, check_relative_path
from modelyard.core.errors import InvalidModel

_PATIENCE_SECONDS = 60.0


def download_files(
    connection: Connection, entries: Iterable[Mapping[str, Any]], target: Path, watcher: Watcher
) -> None:
    """Write every entry of a version's file list below `target`."""
    listed = [(_checked(entry), str(entry["url"])) for entry in entries]
    total = sum(file.size for file, _ in listed)
    done = 0
    for file, url in listed:
        location = _location(target, file.path)
        if not _is_there(location, file):
            _fetch_with_patience(connection, url, file, location)
        done += file.size
        watcher.transferred(done, total)


def _checked(entry: Mapping[str, Any]) -> ModelFile:
    try:
        return ModelFile(check_relative_path(str(entry["path"])), str(entry["sha256"]), int(entry["size"]))
    except InvalidModel as error:
        raise TransferFailed(f"the platform names a file that must not be written: {error}") from None


def _location(target: Path, path: str) -> Path:
    """Where a file goes. A link that lies in the target already may not lead it elsewhere."""
    location = target / path
    location.parent.mkdir(parents=True, exist_ok=True)
    if not location.parent.resolve().is_relative_to(target.resolve()):
        raise TransferFailed(f"{location.parent} is a link out of {target}; choose another --download-path")
    return location


def _is_there(location: Path, file: ModelFile) -> bool:
    if not os.path.lexists(location):
        return False
    if location.is_file() and not location.is_symlink() and sha256_of(location) == file.sha256:
        return True
    raise TransferFailed(f"{location} exists already and is something else; choose another --download-path")


def _fetch_with_patience(connection: Connection, url: str, file: ModelFile, location: Path) -> None:
    patience = Patience(_PATIENCE_SECONDS)
    while True:
        try:
            return _fetch(connection, url, file, location)
        except PlatformUnreachable:
            if not patience.is_left():
                raise


def _fetch(connection: Connection, url: str, file: ModelFile, location: Path) -> None:
    descriptor, unfinished = tempfile.mkstemp(dir=location.parent, prefix=".unfinished-")
    try:
        digest = hashlib.sha256()
        with os.fdopen(descriptor, "wb") as out, connection.stream(url) as chunks:
            for chunk in chunks:
                digest.update(chunk)
                out.write(chunk)
        if digest.hexdigest() != file.sha256:
            raise ApiError("ContentMismatch", f"{file.path} arrived with other content than was registered; try again")
        Path(unfinished).chmod(0o666 & ~_umask())
        os.replace(unfinished, location)
    finally:
        Path(unfinished).unlink(missing_ok=True)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
