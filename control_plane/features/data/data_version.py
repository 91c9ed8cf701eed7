"""A registered data asset: files that were uploaded for it, or a place in a data store."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

from control_plane.resources.assets.asset import Description, VersionHead
from modelyard.core.domain.batch import InputFile, InputKind


class DataType(StrEnum):
    URI_FILE = "uri_file"
    URI_FOLDER = "uri_folder"

    @property
    def input_kind(self) -> InputKind:
        return InputKind.URI_FILE if self is DataType.URI_FILE else InputKind.URI_FOLDER


@dataclass(frozen=True, slots=True)
class DataVersionSpec:
    """What a PUT asks for. Type, files and anonymity are settled by the first one."""

    data_type: DataType | None
    data_uri: str | None
    is_anonymous: bool
    described: Description


@dataclass(frozen=True, slots=True)
class DataContent:
    uri: str
    data_type: DataType
    files: tuple[InputFile, ...] | None
    """Of an upload, each by its content. None: whatever lies at the URI when it is read."""


@dataclass(frozen=True, slots=True)
class DataVersion:
    key: int
    head: VersionHead
    content: DataContent


def to_manifest(files: Sequence[InputFile] | None) -> list[dict[str, Any]] | None:
    return None if files is None else [asdict(file) for file in files]


def from_manifest(manifest: Sequence[Mapping[str, Any]] | None) -> tuple[InputFile, ...] | None:
    return None if manifest is None else tuple(InputFile(e["path"], e["key"], e["size"]) for e in manifest)
