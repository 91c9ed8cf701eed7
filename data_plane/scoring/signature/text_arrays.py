"""Texts as numpy holds them: in an array where each takes as much room as the longest."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

_BYTES_PER_CHARACTER = 4
_ALWAYS_FINE = 64 << 20
_MOST_PADDING = 4


def text_array(texts: Sequence[str]) -> npt.NDArray[Any]:
    """Of fixed width, or of Python objects where one long text among many short ones would take gigabytes."""
    lengths = list(map(len, texts))
    padded = len(texts) * max(lengths, default=0) * _BYTES_PER_CHARACTER
    if padded <= max(_ALWAYS_FINE, _MOST_PADDING * _BYTES_PER_CHARACTER * sum(lengths)):
        return np.array(texts, dtype=np.str_)
    array = np.empty(len(texts), dtype=object)
    array[:] = texts
    return array
