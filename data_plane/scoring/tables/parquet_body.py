"""Read Parquet as `DataFrame.to_parquet` writes Parquet, through an Arrow stream (see ParquetToArrow)."""

import json
from collections.abc import Callable

import pyarrow

from data_plane.scoring.errors import InvalidBody
from data_plane.scoring.signature import CompiledSignature
from data_plane.scoring.signature.table import Table
from data_plane.scoring.tables.pandas_index import IndexField
from data_plane.scoring.tables.parquet_frames import frame_table

ParquetToArrow = Callable[[bytes], bytes]
"""Convert a Parquet file to an Arrow stream. Schema metadata `index` holds the levels of the frame's index as JSON.

Raises InvalidBody. A damaged file can make Arrow abort the reading process, and a hostile file decompresses to any
size, so an implementation reads the file in a separate process with limits.
"""

_MAGIC = b"PAR1"


def read_parquet(body: bytes, signature: CompiledSignature, to_arrow: ParquetToArrow) -> Table:
    """Raises InvalidBody."""
    if body[:4] != _MAGIC or body[-4:] != _MAGIC:
        raise InvalidBody("the body is not a whole Parquet file: the bytes 'PAR1' are missing at the start or the end")
    read = pyarrow.ipc.open_stream(to_arrow(body)).read_all()
    fields = [IndexField(*field) for field in json.loads(read.schema.metadata[b"index"])]
    return frame_table(read, fields, {str(spec.name) for spec in signature.inputs})
