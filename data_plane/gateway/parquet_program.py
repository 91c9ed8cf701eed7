"""parquet_program.py <most values> <most bytes>: a Parquet file on stdin to an Arrow stream on stdout.

A process of its own for each file, because a damaged one can make Arrow abort the process, and a hostile one unpacks
from a few bytes to any size. It limits its own memory and time before it looks at the file, and ends with status 1 and
a sentence on stdout when it refuses. It imports nothing of ours, so that it is ready soon.
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

_ADDRESS_SPACE = 3 << 30
_CPU_SECONDS = 30
_LARGEST_FOOTER = 4 << 20
_MOST_PARTS_OF_A_FOOTER = 100_000


class Refused(Exception):
    """The sentence tells the caller why."""


def main(arguments: list[str]) -> int:
    most_values, most_bytes = map(int, arguments)
    _limit(resource.RLIMIT_CORE, 0)
    _limit(resource.RLIMIT_AS, _ADDRESS_SPACE)
    _limit(resource.RLIMIT_CPU, _CPU_SECONDS)
    body = sys.stdin.buffer.read()
    try:
        table = _columns_of_the_frame(_read(body, most_values))
        _check(table, most_values, most_bytes)
    except Exception as error:  # noqa: BLE001 - whatever a damaged file makes of the reader
        sys.stdout.write(
            str(error) if isinstance(error, Refused) else f"the Parquet file cannot be read: {error}"[:500]
        )
        return 1
    with pyarrow.ipc.new_stream(sys.stdout.buffer, table.schema) as stream:
        stream.write_table(table)
    return 0


def _limit(kind: int, most: int) -> None:
    lowest = min(limit for limit in (most, *resource.getrlimit(kind)) if limit != resource.RLIM_INFINITY)
    resource.setrlimit(kind, (lowest, lowest))


def _read(body: bytes, most_values: int) -> pyarrow.Table:
    if int.from_bytes(body[-8:-4], "little") > _LARGEST_FOOTER:
        raise Refused(f"the body is no Parquet file, or its footer is larger than {_LARGEST_FOOTER} bytes")
    metadata = _opened(body, []).metadata
    _check_count(metadata.num_rows * max(1, metadata.num_columns), most_values)
    table = _opened(body, list(_texts(metadata))).read(use_threads=False)
    table.validate(full=True)
    return table


def _texts(metadata: pyarrow.parquet.FileMetaData) -> Iterator[str]:
    """Columns to be read as dictionaries: they take no more memory than in the file, however often a text is repeated.

    Arrow cannot do that for one encoding.
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


def _columns_of_the_frame(table: pyarrow.Table) -> pyarrow.Table:
    """What pandas noted down as the frame's index comes last: it is a column only for a model that declares it."""
    noted = json.loads((table.schema.metadata or {}).get(b"pandas", b"{}")).get("index_columns", [])
    index = [name for name in table.column_names if name in noted]
    others = [name for name in table.column_names if name not in noted]
    return table.select(others + index).replace_schema_metadata({"index": json.dumps(index)})


def _check(table: pyarrow.Table, most_values: int, most_bytes: int) -> None:
    chunks = [chunk for column in table.columns for chunk in column.chunks]
    _check_count(sum(map(_count, chunks)), most_values)
    if sum(map(_size, chunks)) > most_bytes:
        raise Refused(f"the table is larger than {most_bytes >> 20} MiB unpacked: send fewer rows per request")


def _check_count(values: int, most_values: int) -> None:
    if values > most_values:
        raise Refused(f"the table has more than {most_values} values: send fewer rows per request")


def _count(array: Any) -> int:
    return len(array) + sum(map(_count, _inner(array)))


def _size(array: Any) -> int:
    """Bytes when every entry of a dictionary stands wherever it is referred to."""
    if types.is_dictionary(array.type):
        return _dictionary_size(array)
    return sum(map(_size, _inner(array))) or array.nbytes


def _inner(array: Any) -> Iterable[Any]:
    """The arrays that a nested one is made of."""
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
