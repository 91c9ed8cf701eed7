"""Input files in an object store, read as in a job."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from data_plane.batch.input import text_blocks
from data_plane.batch.input.chunk_reader import read_chunks
from data_plane.batch.input.chunks import Chunk
from data_plane.batch.planning import Plan, plan
from data_plane.scoring.signature import CompiledSignature, compile_signature
from modelyard.core.adapters.folder_store import FolderStore
from modelyard.core.domain.batch import InputFile
from modelyard.core.domain.mlmodel import RawSignature

UNSIGNED = compile_signature(None, type_hints=False)


class CrumblingStore(FolderStore):
    """Returns objects in pieces of a few bytes, as any object store may."""

    def __init__(self, root: Path, piece: int = 7) -> None:
        super().__init__(root)
        self.piece = piece

    def get(self, key: str, *, start: int = 0, length: int | None = None) -> Iterator[bytes]:
        whole = b"".join(super().get(key, start=start, length=length))
        return (whole[at : at + self.piece] for at in range(0, len(whole), self.piece))


class InMemory(FolderStore):
    """A store with a single object under every key."""

    def __init__(self, content: bytes) -> None:
        self._content = content

    def get(self, key: str, *, start: int = 0, length: int | None = None) -> Iterator[bytes]:
        end = len(self._content) if length is None else start + length
        return (self._content[at : min(at + 3, end)] for at in range(start, end, 3))

    def size(self, key: str) -> int:
        return len(self._content)


def columns(**types: str) -> CompiledSignature:
    """`a="long"` declares a column; a question mark after the type makes the column optional."""
    specs = [{"name": name, "type": kind.rstrip("?"), "required": "?" not in kind} for name, kind in types.items()]
    return compile_signature(RawSignature(json.dumps(specs), None, None), type_hints=False)


def tensor(dtype: str, *shape: int) -> CompiledSignature:
    spec = [{"type": "tensor", "tensor-spec": {"dtype": dtype, "shape": list(shape)}}]
    return compile_signature(RawSignature(json.dumps(spec), None, None), type_hints=False)


@contextmanager
def blocks_of(size: int) -> Iterator[None]:
    """Make blocks, and so the parts of a file, `size` bytes long."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(text_blocks, "BLOCK_BYTES", size)
        yield


def put(store: FolderStore, path: str, content: bytes) -> InputFile:
    return InputFile(path, f"in/{path}", store.put(f"in/{path}", [content]))


def planned(
    store: FolderStore,
    files: list[InputFile],
    signature: CompiledSignature,
    *,
    mini_batch_size: int = 1,
    row_by_row: bool = True,
) -> Plan:
    return plan(store, files, mini_batch_size=mini_batch_size, row_by_row=row_by_row, signature=signature)


def chunks_of(store: FolderStore, plan: Plan, signature: CompiledSignature) -> list[Chunk]:
    return [chunk for spans in plan.mini_batches for span in spans for chunk in read_chunks(store, span, signature)]


def labels_of(chunks: list[Chunk]) -> list[Any]:
    """Return the row labels of frames with an index of one level."""
    levels = [chunk.enforced.payload.row_index for chunk in chunks]
    return [label for (level,) in levels for label in list(level.column.values)]


def values_of(chunks: list[Chunk]) -> dict[str | int, list[Any]]:
    """Return each column's values, None for missing values, and check that the rows are contiguous."""
    values: dict[str | int, list[Any]] = {}
    row = 0
    for chunk in chunks:
        assert chunk.first_row == row
        row += chunk.rows
        for column in chunk.enforced.payload.columns:
            listed = column.values.tolist() if isinstance(column.values, np.ndarray) else list(column.values)
            if column.nulls is not None:
                listed = [None if null else value for value, null in zip(listed, column.nulls, strict=True)]
            values.setdefault(column.name, []).extend(None if value != value else value for value in listed)
    assert all(len(column) == row for column in values.values())
    return values
