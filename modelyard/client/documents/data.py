"""`data`: az's YAML and ARM's JSON, for files with a registered name and version."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

from modelyard.client.documents.fields import Field, FieldTable, text, texts, version_text, word
from modelyard.client.documents.reading import Document
from modelyard.client.errors import InvalidDocument


class InputType(StrEnum):
    URI_FILE = "uri_file"
    URI_FOLDER = "uri_folder"


DATA = FieldTable(
    (
        Field("name", "name", beside_body=True),
        Field("version", "version", beside_body=True),
        Field("latest_version", "properties.latestVersion", read_only=True),
        Field("type", "properties.dataType", word(*InputType)),
        Field("path", "properties.dataUri", beside_body=True),
        Field("description", "properties.description", text),
        Field("tags", "properties.tags", texts),
        Field("properties", "properties.properties", texts),
        Field("is_archived", "properties.isArchived", read_only=True),
        Field("creation_context.created_at", "systemData.createdAt", read_only=True),
        Field("id", "id", read_only=True),
    )
)


@dataclass(frozen=True, slots=True)
class LocalData:
    """A file or folder to register. Without a name the data is anonymous, with a content hash for a name."""

    path: Path
    name: str | None = None
    version: str | None = None
    """None takes the next free version."""
    body: Document = field(default_factory=dict)
    """The further fields of the YAML, as an ARM body."""


def read_data_document(document: Mapping[str, Any], base: Path) -> LocalData:
    """Read a data mapping, with a path relative to `base`, the folder of the YAML file."""
    path, name, version = document.get("path"), document.get("name"), document.get("version")
    if not isinstance(path, str) or not path:
        raise InvalidDocument("the data has no path: give a file or a folder")
    if not name:
        raise InvalidDocument("the data has no name: write name into the file, or pass -n")
    return LocalData(base / path, str(name), None if version is None else version_text(version), DATA.body(document))
