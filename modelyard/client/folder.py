"""A folder on this machine, with a model or with data, read without following anything out of it."""

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
_MODEL_FOLDER = "the model folder, the one that holds MLmodel"
_DATA = "the file or folder that is to be scored"


@dataclass(frozen=True, slots=True)
class LocalFile:
    location: Path
    path: str
    """As it will be registered: '/'-separated, with the folder's own name first."""
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
        """Every file by its content: what the platform will call the same model."""
        return ModelManifest.of(ModelFile(file.path, sha256_of(file.location), file.size) for file in self.files)


def read_folder(path: Path, wanted: str = _MODEL_FOLDER) -> LocalFolder:
    """List a folder. Raises InvalidFolder for what cannot or must not be sent, before anything is."""
    root = path.expanduser().resolve()
    if not root.exists():
        raise InvalidFolder(f"there is no folder {path}")
    if not root.is_dir():
        raise InvalidFolder(f"{path} is a file: give {wanted}")
    # A link to the folder gives it its name, as the user wrote it.
    name = Path(os.path.abspath(path.expanduser())).name
    files = tuple(sorted(_Walk(root, name).files(root, ()), key=lambda file: file.path))
    if not files:
        raise InvalidFolder(f"the folder {path} is empty: give {wanted}")
    return LocalFolder(name, files)


def read_data(path: Path) -> LocalFolder:
    """The files below a folder, or one file by itself."""
    location = path.expanduser()
    if location.is_dir():
        return read_folder(path, _DATA)
    if not location.is_file():
        raise InvalidFolder(f"there is no file or folder {path}: give {_DATA}, or a URI that begins with azureml:")
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
        """The files below `folder`. `around`: the real folders on the way down, so that no link leads in circles."""
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
            raise InvalidFolder(f"{shown} is a symbolic link to nothing; remove it") from None
        if not target.is_relative_to(self.root):
            raise InvalidFolder(
                f"{shown} is a symbolic link to {target}, outside the folder; replace it by the file itself"
            )
        if target in around:
            raise InvalidFolder(f"{shown} is a symbolic link to a folder that contains it; remove it")

    def _registered_path(self, location: Path) -> str:
        return _storable(f"{self.name}/{location.relative_to(self.root).as_posix()}")

    def _shown(self, location: Path) -> str:
        return _readable(f"{self.name}/{location.relative_to(self.root)}")


def _storable(path: str) -> str:
    """The path as it is. Raises InvalidFolder for one that no other machine could write."""
    try:
        path.encode()
        return check_relative_path(path)
    except (UnicodeEncodeError, InvalidModel):
        raise InvalidFolder(f"the file name {_readable(path)!r} cannot be stored; rename the file") from None


def _readable(path: str) -> str:
    return os.fsencode(path).decode(errors="replace")
