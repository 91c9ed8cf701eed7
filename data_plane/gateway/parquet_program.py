"""parquet_program.py <most values> <most bytes>: a Parquet file on stdin to an Arrow stream on stdout.

Each file has a process of its own, because a damaged file can make Arrow abort the process, and a hostile file grows
from a few bytes to any size. The program limits its own memory and time, then reads the file. For a refused file the
program ends with status 1 and a sentence on stdout. For a quick start it imports a single small module of the platform.
"""

import json
import resource
import sys
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import pyarrow
import pyarrow.compute
import pyarrow.parquet
from pyarrow import types

from data_plane.scoring.tables.pandas_index import index_fields

_ADDRESS_SPACE = 3 << 30
_CPU_SECONDS = 30
_LARGEST_FOOTER = 4 << 20
_MOST_PARTS_OF_A_FOOTER = 100_000


class Refused(Exception):
    """The message goes to the caller."""


def main(arguments: list[str]) -> int:
    most_values, most_bytes = map(int, arguments)
    _limit(resource.RLIMIT_CORE, 0)
    _limit(resource.RLIMIT_AS, _ADDRESS_SPACE)
    _limit(resource.RLIMIT_CPU, _CPU_SECONDS)
    body = sys.stdin.buffer.read()
    try:
        table = _read(body, most_values)
        _check(table, most_values, most_bytes)
        index = json.dumps(index_fields(table.schema.metadata))
    except Exception as error:  # noqa: BLE001 - a damaged file can raise any exception in the reader
        sys.stdout.write(
            str(error) if isinstance(error, Refused) else f"the Parquet file cannot be read: {error}"[:500]
        )
        return 1
    table = table.replace_schema_metadata({"index": index})
    with pyarrow.ipc.new_stream(sys.stdout.buffer, table.schema) as stream:
        stream.write_table(table)
    return 0


def _limit(kind: int, most: int) -> None:
    lowest = min(limit for limit in (most, *resource.getrlimit(kind)) if limit != resource.RLIM_INFINITY)
    resource.setrlimit(kind, (lowest, lowest))


def _read(body: bytes, most_values: int) -> pyarrow.Table:
    if int.from_bytes(body[-8:-4], "little") > _LARGEST_FOOTER:
        raise Refused(f"the body is not a Parquet file, or its footer is larger than {_LARGEST_FOOTER} bytes")
    metadata = _opened(body, []).metadata
    _check_count(metadata.num_rows * max(1, metadata.num_columns), most_values)
    table = _opened(body, list(_texts(metadata))).read(use_threads=False)
    table.validate(full=True)
    return table


def _texts(metadata: pyarrow.parquet.FileMetaData) -> Iterator[str]:
    """Yield the columns to be read as dictionaries, whose repeated texts take no more memory than in the file.

    Arrow reads no dictionary from DELTA_BYTE_ARRAY.
    """
    for place in range(metadata.num_columns):
        leaf = metadata.schema.column(place)
        groups = map(metadata.row_group, range(metadata.num_row_groups))
        if leaf.physical_type == "BYTE_ARRAY" and not any(
            "DELTA_BYTE_ARRAY" in group.column(place).encodings for group in groups
        ):
            yield leaf.path


def _opened(body: bytes, read_dictionary: list[str]) -> pyarrow.parquet.ParquetFile:
    return pyarrow.parquet.ParquetFile(
        pyarrow.BufferReader(body),
        read_dictionary=read_dictionary,
        thrift_string_size_limit=_LARGEST_FOOTER,
        thrift_container_size_limit=_MOST_PARTS_OF_A_FOOTER,
    )


def _check(table: pyarrow.Table, most_values: int, most_bytes: int) -> None:
    chunks = [chunk for column in table.columns for chunk in column.chunks]
    _check_count(sum(map(_count, chunks)), most_values)
    if sum(map(_size, chunks)) > most_bytes:
        raise Refused(f"the table is larger than {most_bytes >> 20} MiB in memory: send fewer rows per request")


def _check_count(values: int, most_values: int) -> None:
    if values > most_values:
        raise Refused(f"the table has more than {most_values} values: send fewer rows per request")


def _count(array: Any) -> int:
    return len(array) + sum(map(_count, _inner(array)))


def _size(array: Any) -> int:
    """Bytes after every reference to a dictionary is replaced by the entry."""
    if types.is_dictionary(array.type):
        return _dictionary_size(array)
    return sum(map(_size, _inner(array))) or array.nbytes


def _inner(array: Any) -> Iterable[Any]:
    """Return the arrays inside a nested array."""
    kind = array.type
    if types.is_map(kind):
        return array.keys, array.items
    if types.is_struct(kind):
        return tuple(array.flatten())
    if types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind):
        return (array.flatten(),)
    return ()


def _dictionary_size(array: Any) -> int:
    if types.is_nested(array.dictionary.type) or not _has_lengths(array.dictionary.type):
        return int(array.nbytes)
    counts = np.bincount(array.indices.drop_null().to_numpy(), minlength=len(array.dictionary))
    lengths = pyarrow.compute.binary_length(array.dictionary).fill_null(0).to_numpy(zero_copy_only=False)
    return int(counts @ lengths.astype(np.int64))


def _has_lengths(kind: pyarrow.DataType) -> bool:
    return any(is_kind(kind) for is_kind in (types.is_string, types.is_large_string, types.is_binary))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
