"""Read JSON documents that another version of the platform may have written.

A document carries a format version, "<major>" or "<major>.<minor>". A minor version adds fields, and older readers
ignore the fields; a major version changes the meaning of fields, and older readers refuse the document. A document
without a version has version 1.
"""

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

VERSION = "version"
_OLDEST = 1


class UnreadableFormat(ValueError):
    """A newer version of the platform wrote the document."""


def check_format(document: object, *, noun: str, newest: int) -> None:
    """Raise UnreadableFormat for what is not a JSON object, or is of a later major version than `newest`."""
    if not isinstance(document, Mapping):
        raise UnreadableFormat(f"{noun} is a JSON {type(document).__name__}, not an object")
    version = document.get(VERSION, _OLDEST)
    major, _, _ = str(version).partition(".")
    if not major.isdecimal():
        raise UnreadableFormat(f"{noun} has format version {version!r}, which is not a version number")
    if int(major) > newest:
        raise UnreadableFormat(
            f"{noun} has format version {version}, and this process reads versions up to {newest}: "
            f"upgrade this process to the version of Modelyard that wrote it"
        )


def known_fields(kind: type[Any], document: Mapping[str, Any]) -> dict[str, Any]:
    """The document's values for the fields of a dataclass, without fields that only another version knows."""
    return {field.name: document[field.name] for field in fields(kind) if field.name in document}
