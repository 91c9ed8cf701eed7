"""Download files into a folder, never outside the folder and never half written.

A file of a registered model is verified by hash, a file of a job by size.
"""

import hashlib
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from modelyard.client.connection import Connection, RetryPolicy
from modelyard.client.errors import ApiError, PlatformUnreachable, TransferFailed
from modelyard.client.folder import sha256_of
from modelyard.client.watching import Watcher
from modelyard.core.domain.model_manifest import check_relative_path
from modelyard.core.errors import InvalidModel
from modelyard.process.atomic_files import atomic_file

_RETRY_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class RemoteFile:
    path: str
    size: int
    url: str
    sha256: str | None

    @classmethod
    def of(cls, entry: Mapping[str, Any]) -> "RemoteFile":
        try:
            path = check_relative_path(str(entry["path"]))
        except InvalidModel as error:
            raise TransferFailed(f"the platform lists a file with an unsafe path: {error}") from None
        return cls(path, int(entry["size"]), str(entry["url"]), entry.get("sha256"))


def download_files(
    connection: Connection, entries: Iterable[Mapping[str, Any]], target: Path, watcher: Watcher
) -> list[Path]:
    """Download the entries of a file list below `target`. Returns the local paths."""
    files = [RemoteFile.of(entry) for entry in entries]
    total = sum(file.size for file in files)
    locations, done = [], 0
    for file in files:
        location = _location(target, file.path)
        if not _is_there(location, file):
            _fetch_with_retries(connection, file, location)
        locations.append(location)
        done += file.size
        watcher.transferred(done, total)
    return locations


def _location(target: Path, path: str) -> Path:
    """Return the local path of a file. Raises TransferFailed for a link in the target that leads out of the target."""
    location = target / path
    location.parent.mkdir(parents=True, exist_ok=True)
    if not location.parent.resolve().is_relative_to(target.resolve()):
        raise TransferFailed(f"{location.parent} is a link out of {target}: choose another --download-path")
    return location


def _is_there(location: Path, file: RemoteFile) -> bool:
    if not os.path.lexists(location):
        return False
    is_file = location.is_file() and not location.is_symlink()
    if is_file and file.sha256 is None:
        # From an earlier download, perhaps during the job.
        return False
    if is_file and sha256_of(location) == file.sha256:
        return True
    raise TransferFailed(f"{location} exists already with other content: choose another --download-path")


def _fetch_with_retries(connection: Connection, file: RemoteFile, location: Path) -> None:
    retries = RetryPolicy(_RETRY_SECONDS)
    while True:
        try:
            return _fetch(connection, file, location)
        except PlatformUnreachable:
            if not retries.pause():
                raise


def _fetch(connection: Connection, file: RemoteFile, location: Path) -> None:
    digest = hashlib.sha256()
    with atomic_file(location) as out, connection.stream(file.url) as chunks:
        for chunk in chunks:
            digest.update(chunk)
            out.write(chunk)
        if file.sha256 not in {None, digest.hexdigest()}:
            raise ApiError("ContentMismatch", f"the downloaded {file.path} differs from the registered file; try again")
