"""Parquet as `DataFrame.to_parquet` writes it, by way of an Arrow stream (see ParquetToArrow)."""

import json
from collections.abc import Callable

import pyarrow

from data_plane.scoring.errors import InvalidBody
from data_plane.scoring.signature import CompiledSignature
from data_plane.scoring.signature.table import Table
from data_plane.scoring.tables.arrow_columns import typed_column

ParquetToArrow = Callable[[bytes], bytes]
"""Turn a Parquet file into an Arrow stream whose schema metadata has the names of the frame's index under `index`.

Raises InvalidBody. A damaged file can make Arrow abort the process that reads it, and a hostile one decompresses to any
size, so an implementation reads the file in a process with limits of its own.
"""

_MAGIC = b"PAR1"


def read_parquet(body: bytes, signature: CompiledSignature, to_arrow: ParquetToArrow) -> Table:
    """Raises InvalidBody."""
    if body[:4] != _MAGIC or body[-4:] != _MAGIC:
        raise InvalidBody("the body is not a whole Parquet file")
    return _table(pyarrow.ipc.open_stream(to_arrow(body)).read_all(), {str(spec.name) for spec in signature.inputs})


def _table(read: pyarrow.Table, declared: set[str]) -> Table:
    """Leave the frame's index out, unless the signature declares a column of its name."""
    index = set(json.loads(read.schema.metadata[b"index"]))
    columns = zip(read.column_names, read.columns, strict=True)
    kept = [(name, column) for name, column in columns if name in declared or name not in index]
    return Table(tuple(name for name, _ in kept), tuple(typed_column(*named) for named in kept), read.num_rows)
