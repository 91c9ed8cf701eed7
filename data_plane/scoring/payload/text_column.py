"""A column of text that is decoded on access, not when the frame arrives."""

import itertools
from collections.abc import Iterator, Sequence
from typing import Any, overload

import numpy as np
import numpy.typing as npt


class TextColumn(Sequence[str]):
    def __init__(self, data: memoryview, offsets: npt.NDArray[Any]) -> None:
        """Raises ValueError if the offsets decrease or point outside the data."""
        if len(offsets) == 0 or offsets[0] < 0 or offsets[-1] > len(data) or (np.diff(offsets) < 0).any():
            raise ValueError("the offsets of a text column decrease or point outside the data")
        self._data = data
        self._offsets = offsets

    def __len__(self) -> int:
        return len(self._offsets) - 1

    @overload
    def __getitem__(self, index: int) -> str: ...

    @overload
    def __getitem__(self, index: slice) -> "TextColumn": ...

    def __getitem__(self, index: int | slice) -> "str | TextColumn":
        if isinstance(index, slice):
            start, stop, step = index.indices(len(self))
            if step != 1:
                raise ValueError(f"a slice of a text column must have step 1, not {step}")
            return TextColumn(self._data, self._offsets[start : max(start, stop) + 1])
        entry = range(len(self))[index]
        return _decoded(self._data[self._offsets[entry] : self._offsets[entry + 1]])

    def __iter__(self) -> Iterator[str]:
        offsets = self._offsets.tolist()
        data = bytes(self._data[offsets[0] : offsets[-1]])
        first = offsets[0]
        return (_decoded(data[start - first : end - first]) for start, end in itertools.pairwise(offsets))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and list(self) == list(other)

    __hash__ = None  # type: ignore[assignment]


def _decoded(data: bytes | memoryview) -> str:
    # A worker's offsets may cut a character in two; each half becomes a replacement character.
    return str(data, "utf-8", "replace")
