"""What a model scores at once: some rows of a file, held to the signature as an online request is."""

from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from data_plane.scoring.signature import (
    CompiledSignature,
    Enforced,
    SignatureViolations,
    Table,
    TensorSpec,
    TypedColumn,
)

_BATCH_DIMENSION = 2


class Chunk(NamedTuple):
    first_row: int
    """Of its file's rows, from 0."""
    rows: int
    enforced: Enforced


def enforced(signature: CompiledSignature, table: Table, first_row: int) -> Enforced:
    """Raises SignatureViolations, whose rows are those of the file."""
    is_tensor = len(signature.inputs) == 1 and isinstance(signature.inputs[0], TensorSpec)
    # A tensor's values are counted one by one.
    values_per_row = len(table.columns) if is_tensor else 1
    matrix = _as_matrix(signature, table)
    if matrix is not None:
        return of_file(first_row, lambda: signature.enforce_tensors({"": matrix}, None), values_per_row)
    return of_file(first_row, lambda: signature.enforce_table(table, None), values_per_row)


def of_file(first_row: int, enforce: Callable[[], Enforced], values_per_row: int = 1) -> Enforced:
    try:
        return enforce()
    except SignatureViolations as refused:
        counted = tuple(
            violation
            if violation.row is None
            else replace(violation, row=first_row + violation.row // max(1, values_per_row))
            for violation in refused.violations
        )
        raise SignatureViolations(counted, refused.more) from None


def _as_matrix(
    signature: CompiledSignature, table: Table
) -> "np.ndarray[tuple[int, ...], np.dtype[np.float64]] | None":
    """The usual table for a tensor at once: several columns, all of them plain numbers."""
    if len(signature.inputs) != 1 or len(table.columns) < _BATCH_DIMENSION or not table.is_text:
        return None
    spec = signature.inputs[0]
    if not isinstance(spec, TensorSpec) or spec.name is not None or len(spec.shape) != _BATCH_DIMENSION:
        return None
    arrays = [_array(column) for column in table.columns]
    return (
        None if any(array is None for array in arrays) else np.column_stack([one for one in arrays if one is not None])
    )


def _array(column: TypedColumn) -> "np.ndarray[tuple[int, ...], np.dtype[np.float64]] | None":
    return column.values if isinstance(column.values, np.ndarray) and column.nulls is None else None
