"""The index that pandas describes in a Parquet file's metadata.

`gateway/parquet_program.py` imports this module: the module stays small.
"""

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

# Every label of such a range has 64 bits, in a file of any number of rows.
_LARGEST_START = 2**62
_LARGEST_STEP = 2**30
_GENERATED = "__index_level_"


class IndexField(NamedTuple):
    """A level of the index: a column of the file, or a range of numbers that is not stored."""

    name: str | None
    column: str | None
    """None: a range."""
    start: int = 0
    step: int = 1

    @property
    def is_default(self) -> bool:
        return self == IndexField(None, None)


def index_fields(metadata: Mapping[bytes, bytes] | None) -> list[IndexField]:
    """Return the levels of the index; empty for pandas' default index. Malformed metadata raises any exception."""
    noted: dict[str, Any] = json.loads((metadata or {}).get(b"pandas", b"{}"))
    names = {column.get("field_name"): column.get("name") for column in noted.get("columns", [])}
    fields = [_field(level, names) for level in noted.get("index_columns", [])]
    return [] if len(fields) == 1 and fields[0].is_default else fields


def _field(level: Any, names: Mapping[str, Any]) -> IndexField:
    if isinstance(level, str):
        name = names.get(level, level)
        # Early versions of pandas wrote the generated name of a level without a name.
        return IndexField(None if name is None or str(name).startswith(_GENERATED) else str(name), level)
    start, step, name = int(level["start"]), int(level["step"]), level.get("name")
    if abs(start) > _LARGEST_START or abs(step) > _LARGEST_STEP:
        raise ValueError("the range of the index exceeds 64 bits")
    return IndexField(None if name is None else str(name), None, start, step)
