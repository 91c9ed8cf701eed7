"""Parquet as `DataFrame.to_parquet` writes it. A file's size says little of what it unpacks to, so that is bounded
before it is unpacked: in pages, in values, and in texts that one dictionary entry may repeat a million times.
"""

import json
from collections.abc import Iterable
from typing import Any

import pyarrow
import pyarrow.parquet

from data_plane.gateway.protocols.mlflow.arrow_columns import typed_column
from data_plane.gateway.protocols.mlflow.parquet_pages import MalformedPage, Page, pages
from data_plane.gateway.protocols.mlflow.table_limits import check_count, check_size
from data_plane.gateway.refusals import InvalidBody
from data_plane.signature import CompiledSignature
from data_plane.signature.table import Table

_MAGIC = b"PAR1"
_TAIL = 8
_LARGEST_FOOTER = 4 << 20
_MOST_PAGES = 100_000
# Each text is told by what it shares with the one before it: the only encoding that can repeat without a dictionary.
_DELTA_BYTE_ARRAY = 7
_MOST_PARTS_OF_A_FOOTER = 100_000


def read_parquet(body: bytes, signature: CompiledSignature) -> Table:
    _check_footer(body)
    try:
        file = _opened(body, [])
        _check_contents(body, file.metadata)
        texts = [column.path for column in _leaves(file) if column.physical_type == "BYTE_ARRAY"]
        read = _opened(body, texts).read(use_threads=False)
        return _table(read, {str(spec.name) for spec in signature.inputs})
    except (pyarrow.ArrowException, OSError, ValueError, MalformedPage) as error:
        raise InvalidBody(f"the body is no Parquet file that can be read: {error or 'a page is malformed'}") from None


def _check_footer(body: bytes) -> None:
    if len(body) < _TAIL + len(_MAGIC) or body[:4] != _MAGIC or body[-4:] != _MAGIC:
        raise InvalidBody("the body is no Parquet file, or not the whole of one")
    if int.from_bytes(body[-_TAIL:-4], "little") > _LARGEST_FOOTER:
        raise InvalidBody(f"the footer of the Parquet file is larger than {_LARGEST_FOOTER} bytes")


def _opened(body: bytes, read_dictionary: list[str]) -> Any:
    return pyarrow.parquet.ParquetFile(
        pyarrow.BufferReader(body),
        read_dictionary=read_dictionary,
        thrift_string_size_limit=_LARGEST_FOOTER,
        thrift_container_size_limit=_MOST_PARTS_OF_A_FOOTER,
    )


def _leaves(file: Any) -> Iterable[Any]:
    return (file.metadata.schema.column(place) for place in range(file.metadata.num_columns))


def _check_contents(body: bytes, metadata: Any) -> None:
    check_count(metadata.num_rows * max(1, metadata.num_columns))
    size = values = count = 0
    for place in range(metadata.num_columns):
        width = max(1, metadata.schema.column(place).length or 0)
        for page in _pages_of(body, metadata, place):
            _check_encoding(page)
            count += 1
            size += max(page.unpacked, page.values * width)
            values += page.values
            check_count(values)
            check_size(size)
            if count > _MOST_PAGES:
                raise InvalidBody(f"the Parquet file has more than {_MOST_PAGES} pages: write larger ones")


def _pages_of(body: bytes, metadata: Any, place: int) -> Iterable[Page]:
    for group in range(metadata.num_row_groups):
        chunk = metadata.row_group(group).column(place)
        starts = [chunk.data_page_offset, chunk.dictionary_page_offset]
        start = min(offset for offset in starts if offset)
        yield from pages(body, start, chunk.total_compressed_size)


def _check_encoding(page: Page) -> None:
    if page.encoding == _DELTA_BYTE_ARRAY:
        raise InvalidBody("the Parquet file has a column encoded as DELTA_BYTE_ARRAY: write it with another encoding")


def _table(read: Any, declared: set[str]) -> Table:
    index = _index_columns(read.schema.metadata or {})
    kept = [(str(name), column) for name, column in zip(read.column_names, read.columns, strict=True)]
    kept = [(name, column) for name, column in kept if name in declared or name not in index]
    columns = tuple(typed_column(name, column) for name, column in kept)
    return Table(tuple(name for name, _ in kept), columns, read.num_rows)


def _index_columns(metadata: dict[bytes, bytes]) -> set[str]:
    """What pandas noted down as the frame's index is no column of it."""
    try:
        noted = json.loads(metadata.get(b"pandas", b"{}")).get("index_columns", [])
        return {name for name in noted if isinstance(name, str)}
    except (ValueError, AttributeError, TypeError, RecursionError):
        return set()
