"""A local folder with a model or with data. Links that lead out of the folder are errors."""

import hashlib
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from modelyard.client.errors import InvalidFolder
from modelyard.core.domain.model_manifest import ModelFile, ModelManifest, check_relative_path
from modelyard.core.errors import InvalidModel

CHUNK_BYTES = 1 << 20
_MODEL_FOLDER = "the model folder, with the MLmodel file"
_DATA = "the file or folder to score, or a URI that begins with azureml:"


@dataclass(frozen=True, slots=True)
class LocalFile:
    location: Path
    path: str
    """The registered path: '/'-separated, with the name of the folder first."""
    size: int


@dataclass(frozen=True)
class LocalFolder:
    name: str
    files: tuple[LocalFile, ...]

    @property
    def size(self) -> int:
        return sum(file.size for file in self.files)

    @cached_property
    def manifest(self) -> ModelManifest:
        """The manifest of the files. The platform treats models with equal manifests as the same model."""
        return ModelManifest.of(ModelFile(file.path, sha256_of(file.location), file.size) for file in self.files)


def read_folder(path: Path, wanted: str = _MODEL_FOLDER) -> LocalFolder:
    """List a folder. Raises InvalidFolder for files that cannot or must not be uploaded."""
    root = path.expanduser().resolve()
    if not root.exists():
        raise InvalidFolder(f"there is no folder {path}")
    if not root.is_dir():
        raise InvalidFolder(f"{path} is a file: give {wanted}")
    # A link to a folder gives the folder its name, as the user wrote the path.
    name = Path(os.path.abspath(path.expanduser())).name
    files = tuple(sorted(_Walk(root, name).files(root, ()), key=lambda file: file.path))
    if not files:
        raise InvalidFolder(f"the folder {path} is empty: give {wanted}")
    return LocalFolder(name, files)


def read_data(path: Path, wanted: str = _DATA) -> LocalFolder:
    """List the files below a folder, or a single file. Raises InvalidFolder."""
    location = path.expanduser()
    if location.is_dir():
        return read_folder(path, wanted)
    if not location.is_file():
        raise InvalidFolder(f"there is no file or folder {path}: give {wanted}")
    file = LocalFile(location, _storable(location.name), location.stat().st_size)
    return LocalFolder(location.name, (file,))


def sha256_of(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()


@dataclass(frozen=True, slots=True)
class _Walk:
    root: Path
    name: str

    def files(self, folder: Path, around: tuple[Path, ...]) -> Iterator[LocalFile]:
        """List the files below `folder`. `around` are the real parent folders, to detect circular links."""
        around = (*around, folder.resolve())
        with os.scandir(folder) as entries:
            for entry in entries:
                location = Path(entry.path)
                if entry.is_symlink():
                    self._check_link(location, around)
                status = entry.stat()
                if stat.S_ISDIR(status.st_mode):
                    yield from self.files(location, around)
                elif stat.S_ISREG(status.st_mode):
                    yield LocalFile(location, self._registered_path(location), status.st_size)
                else:
                    raise InvalidFolder(f"{self._shown(location)} is neither a file nor a folder; remove it")

    def _check_link(self, link: Path, around: tuple[Path, ...]) -> None:
        shown = self._shown(link)
        try:
            target = link.resolve(strict=True)
        except (OSError, RuntimeError):
            raise InvalidFolder(f"{shown} is a symbolic link to a missing file; remove the link") from None
        if not target.is_relative_to(self.root):
            raise InvalidFolder(
                f"{shown} is a symbolic link to {target}, outside the folder; replace the link by the file"
            )
        if target in around:
            raise InvalidFolder(f"{shown} is a symbolic link to a parent folder; remove the link")

    def _registered_path(self, location: Path) -> str:
        return _storable(f"{self.name}/{location.relative_to(self.root).as_posix()}")

    def _shown(self, location: Path) -> str:
        return _readable(f"{self.name}/{location.relative_to(self.root)}")


def _storable(path: str) -> str:
    """Return the path. Raises InvalidFolder for a path that other machines could not write."""
    try:
        path.encode()
        return check_relative_path(path)
    except (UnicodeEncodeError, InvalidModel):
        raise InvalidFolder(f"the file name {_readable(path)!r} cannot be stored: rename the file") from None


def _readable(path: str) -> str:
    return os.fsencode(path).decode(errors="replace")
