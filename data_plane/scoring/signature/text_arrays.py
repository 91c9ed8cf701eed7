"""Arrays of text. In a fixed-width array of numpy, every text takes as much memory as the longest text."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

_BYTES_PER_CHARACTER = 4
_ALWAYS_FIXED_WIDTH_BYTES = 64 << 20
_MAX_PADDING_RATIO = 4


def text_array(texts: Sequence[str]) -> npt.NDArray[Any]:
    """Make a fixed-width array, or an array of Python objects if one long text would pad many short texts."""
    lengths = list(map(len, texts))
    padded = len(texts) * max(lengths, default=0) * _BYTES_PER_CHARACTER
    if padded <= max(_ALWAYS_FIXED_WIDTH_BYTES, _MAX_PADDING_RATIO * _BYTES_PER_CHARACTER * sum(lengths)):
        return np.array(texts, dtype=np.str_)
    array = np.empty(len(texts), dtype=object)
    array[:] = texts
    return array
