"""The manifest of a registered model: every file with the hash of its content."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import PurePosixPath
from typing import Any

from modelyard.core.errors import InvalidModel


def check_relative_path(path: str) -> str:
    """Return a path that stays in the model folder. Raises InvalidModel."""
    pure = PurePosixPath(path)
    unsafe = pure.is_absolute() or ".." in pure.parts or "\\" in path or any(ord(char) < 32 for char in path)
    if not path or unsafe or pure.as_posix() != path:
        raise InvalidModel(f"the path {path!r} leaves the model folder or cannot be stored; rename the file")
    return path


@dataclass(frozen=True, slots=True)
class ModelFile:
    path: str
    """Relative, "/"-separated, beginning with the name of the registered folder ("model/MLmodel")."""
    sha256: str
    size: int

    @property
    def key(self) -> str:
        """Key of the content in the object store."""
        return f"blobs/sha256/{self.sha256[:2]}/{self.sha256}"


@dataclass(frozen=True)
class ModelManifest:
    files: tuple[ModelFile, ...]

    def __post_init__(self) -> None:
        for file in self.files:
            check_relative_path(file.path)

    @classmethod
    def of(cls, files: Iterable[ModelFile]) -> "ModelManifest":
        return cls(tuple(sorted(files, key=lambda file: file.path)))

    @classmethod
    def from_list(cls, entries: Iterable[Mapping[str, Any]]) -> "ModelManifest":
        return cls.of(ModelFile(entry["path"], entry["sha256"], entry["size"]) for entry in entries)

    def to_list(self) -> list[dict[str, Any]]:
        return [asdict(file) for file in self.files]

    @cached_property
    def digest(self) -> str:
        """Equal files give an equal digest, whatever the model's name or version."""
        return hashlib.sha256(json.dumps(self.to_list(), sort_keys=True).encode()).hexdigest()
