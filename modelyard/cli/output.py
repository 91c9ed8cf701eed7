"""Results on standard output."""

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import yaml

from modelyard.client.documents.reading import look_up


class Output(StrEnum):
    JSON = "json"
    YAML = "yaml"
    TABLE = "table"


@dataclass(frozen=True, slots=True)
class Column:
    heading: str
    field: str
    """The dotted path of the value in a row."""


def show(document: Mapping[str, Any], output: Output | None) -> None:
    """Print a resource, by default as JSON, like az."""
    match output:
        case Output.TABLE:
            write(table(["Field", "Value"], [[name, text(value)] for name, value in document.items()]))
        case Output.YAML:
            write(yaml.safe_dump(dict(document), sort_keys=False, allow_unicode=True).rstrip())
        case _:
            write(as_json(document))


def show_all(documents: Iterable[Mapping[str, Any]], columns: Sequence[Column], output: Output | None) -> None:
    """Print a list, by default as a table in a terminal and as JSON in a pipe."""
    rows = list(documents)
    match output or (Output.TABLE if sys.stdout.isatty() else Output.JSON):
        case Output.TABLE:
            write(columns_of(rows, columns))
        case Output.YAML:
            write(yaml.safe_dump([dict(row) for row in rows], sort_keys=False, allow_unicode=True).rstrip())
        case Output.JSON:
            write(as_json(rows))


def columns_of(rows: Iterable[Mapping[str, Any]], columns: Sequence[Column]) -> str:
    cells = [[text(look_up(row, column.field)) for column in columns] for row in rows]
    return table([column.heading for column in columns], cells)


def write(result: str) -> None:
    print(result, flush=True)


def as_json(value: object) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False)


def table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    cells = [list(headings), *map(list, rows)]
    widths = [max(len(row[index]) for row in cells) for index in range(len(headings))]
    cells.insert(1, ["-" * width for width in widths])
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in cells
    )


def text(value: Any) -> str:
    """Format a value for a table cell."""
    if value is None:
        return ""
    if isinstance(value, Mapping):
        return " ".join(f"{name}={text(entry)}" for name, entry in value.items())
    if isinstance(value, list):
        return ", ".join(map(text, value))
    if isinstance(value, bool):
        return str(value).lower()
    return " ".join(str(value).split())
