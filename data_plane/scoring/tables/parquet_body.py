"""Read Parquet as `DataFrame.to_parquet` writes Parquet, through an Arrow stream (see ParquetToArrow)."""

import json
from collections.abc import Callable

import pyarrow

from data_plane.scoring.errors import InvalidBody
from data_plane.scoring.signature import CompiledSignature
from data_plane.scoring.signature.table import Table
from data_plane.scoring.tables.arrow_columns import typed_column

ParquetToArrow = Callable[[bytes], bytes]
"""Convert a Parquet file to an Arrow stream. Schema metadata `index` holds the names of the frame's index as JSON.

Raises InvalidBody. A damaged file can make Arrow abort the reading process, and a hostile file decompresses to any
size, so an implementation reads the file in a separate process with limits.
"""

_MAGIC = b"PAR1"


def read_parquet(body: bytes, signature: CompiledSignature, to_arrow: ParquetToArrow) -> Table:
    """Raises InvalidBody."""
    if body[:4] != _MAGIC or body[-4:] != _MAGIC:
        raise InvalidBody("the body is not a whole Parquet file: the bytes 'PAR1' are missing at the start or the end")
    return _table(pyarrow.ipc.open_stream(to_arrow(body)).read_all(), {str(spec.name) for spec in signature.inputs})


def _table(read: pyarrow.Table, declared: set[str]) -> Table:
    """Drop the frame's index, unless the signature declares a column of the same name."""
    index = set(json.loads(read.schema.metadata[b"index"]))
    columns = zip(read.column_names, read.columns, strict=True)
    kept = [(name, column) for name, column in columns if name in declared or name not in index]
    return Table(tuple(name for name, _ in kept), tuple(typed_column(*named) for named in kept), read.num_rows)
