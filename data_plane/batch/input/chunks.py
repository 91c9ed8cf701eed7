"""Chunks: rows of a file that one call scores, enforced by the signature like an online request."""

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
    """Row number within the file, from 0."""
    rows: int
    enforced: Enforced


def enforce_table(signature: CompiledSignature, table: Table, first_row: int) -> Enforced:
    """Enforce the signature on a table. Raises SignatureViolations with the file's row numbers."""
    is_tensor = len(signature.inputs) == 1 and isinstance(signature.inputs[0], TensorSpec)
    # A violation in a tensor counts values, not rows.
    values_per_row = len(table.columns) if is_tensor else 1
    matrix = _as_matrix(signature, table)
    if matrix is not None:
        return with_file_rows(first_row, lambda: signature.enforce_tensors({"": matrix}, None), values_per_row)
    return with_file_rows(first_row, lambda: signature.enforce_table(table, None), values_per_row)


def with_file_rows(first_row: int, enforce: Callable[[], Enforced], values_per_row: int = 1) -> Enforced:
    """Call `enforce`, and turn row numbers within the chunk into the file's in its SignatureViolations."""
    try:
        return enforce()
    except SignatureViolations as violations:
        counted = tuple(
            violation
            if violation.row is None
            else replace(violation, row=first_row + violation.row // max(1, values_per_row))
            for violation in violations.violations
        )
        raise SignatureViolations(counted, violations.more, violations.missing, violations.hint) from None


def _as_matrix(
    signature: CompiledSignature, table: Table
) -> "np.ndarray[tuple[int, ...], np.dtype[np.float64]] | None":
    """The fast path for a tensor: several columns, all plain numbers."""
    if len(signature.inputs) != 1 or len(table.columns) < _BATCH_DIMENSION or not table.is_text:
        return None
    spec = signature.inputs[0]
    if not isinstance(spec, TensorSpec) or spec.name is not None or len(spec.shape) != _BATCH_DIMENSION:
        return None
    arrays = [array for column in table.columns if (array := _array(column)) is not None]
    return np.column_stack(arrays) if len(arrays) == len(table.columns) else None


def _array(column: TypedColumn) -> "np.ndarray[tuple[int, ...], np.dtype[np.float64]] | None":
    return column.values if isinstance(column.values, np.ndarray) and column.nulls is None else None
