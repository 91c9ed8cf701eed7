"""The document of a command: the file, overridden by flags, overridden by `--set`."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from modelyard.cli.session import note_without_effect
from modelyard.client.documents.assets import ENVIRONMENT, MODEL
from modelyard.client.documents.fields import FieldTable
from modelyard.client.documents.reading import Document, merged, read_document, with_settings

_INLINE: Mapping[str, FieldTable] = {"model": MODEL, "environment": ENVIRONMENT}


def document_from(
    file: Path | None, flags: Mapping[str, Any], settings: Sequence[str] | None, table: FieldTable
) -> Document:
    """Build the document, with notes on unknown keys and on read-only fields."""
    written = read_document(file) if file else {}
    document = with_settings(merged(written, flags), settings or ())
    where = str(file or "--set")
    note_without_effect(_unknown(document, table), where, "not read by this platform")
    # Of the file and --set alone: an update begins with the resource as shown.
    note_without_effect(table.read_only(with_settings(written, settings or ())), where, "read-only")
    return document


def folder_of(file: Path | None) -> Path:
    """Return the folder for relative paths in the file."""
    return file.parent if file else Path()


def pairs(text: str | None) -> dict[str, str] | None:
    """ "a=1 b=2" (or with commas), as az writes tags and traffic."""
    if text is None:
        return None
    found = dict(pair.partition("=")[::2] for pair in text.replace(",", " ").split())
    return {name.strip(): value.strip() for name, value in found.items()}


def _unknown(document: Document, table: FieldTable) -> list[str]:
    inline = [
        f"{name}.{path}"
        for name, inner in _INLINE.items()
        if isinstance(document.get(name), Mapping)
        for path in inner.unknown(document[name])
    ]
    return [*table.unknown(document), *inline]
