"""A registered data asset: files that were uploaded for the asset, a place in a datastore, or a URL."""

from dataclasses import dataclass
from enum import StrEnum

from control_plane.resources.assets.asset import VersionHead, VersionSpec
from modelyard.core.domain.batch import InputFile


class DataType(StrEnum):
    URI_FILE = "uri_file"
    URI_FOLDER = "uri_folder"
    MLTABLE = "mltable"
    """A folder with an MLTable file. Stored and read by clients; jobs do not read the type."""


@dataclass(frozen=True, slots=True)
class DataVersionSpec(VersionSpec):
    data_type: DataType | None
    data_uri: str | None


@dataclass(frozen=True, slots=True)
class DataContent:
    uri: str
    data_type: DataType
    files: tuple[InputFile, ...] | None
    """Files of an upload, by content. None: a reader takes the files that the URI holds at the time of reading."""


@dataclass(frozen=True, slots=True)
class DataVersion:
    head: VersionHead
    content: DataContent
