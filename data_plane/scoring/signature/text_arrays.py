"""Texts in numpy's fixed-width arrays, in which each text takes as much room as the longest."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

_BYTES_PER_CHARACTER = 4
_ALWAYS_FINE = 64 << 20
_MOST_PADDING = 4


def text_array(texts: Sequence[str]) -> npt.NDArray[Any]:
    """Return a fixed-width array, or one of dtype object where a long text among many would take gigabytes."""
    lengths = list(map(len, texts))
    padded = len(texts) * max(lengths, default=0) * _BYTES_PER_CHARACTER
    if padded <= max(_ALWAYS_FINE, _MOST_PADDING * _BYTES_PER_CHARACTER * sum(lengths)):
        return np.array(texts, dtype=np.str_)
    array = np.empty(len(texts), dtype=object)
    array[:] = texts
    return array
