"""A column of text that becomes Python values where they are looked at, not where the frame arrives."""

import itertools
from collections.abc import Iterator, Sequence
from typing import Any, overload

import numpy as np
import numpy.typing as npt


class Texts(Sequence[str]):
    def __init__(self, data: memoryview, offsets: npt.NDArray[Any]) -> None:
        """Raises ValueError where the offsets do not lie in the data, one behind the other."""
        if len(offsets) == 0 or offsets[0] < 0 or offsets[-1] > len(data) or (np.diff(offsets) < 0).any():
            raise ValueError("offsets of text do not lie in its data")
        self._data = data
        self._offsets = offsets

    def __len__(self) -> int:
        return len(self._offsets) - 1

    @overload
    def __getitem__(self, place: int) -> str: ...

    @overload
    def __getitem__(self, place: slice) -> "Texts": ...

    def __getitem__(self, place: int | slice) -> "str | Texts":
        if isinstance(place, slice):
            start, stop, step = place.indices(len(self))
            if step != 1:
                raise ValueError("texts are cut, not picked")
            return Texts(self._data, self._offsets[start : max(start, stop) + 1])
        entry = range(len(self))[place]
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
    # A worker that cuts a character in two gets to see half of it.
    return str(data, "utf-8", "replace")
