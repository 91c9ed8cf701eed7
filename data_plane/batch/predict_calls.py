"""Forms the calls to the model: a chunk of a file, or several small files for a row-by-row model.

The calls depend on the mini-batch alone, so that a repeated try makes the same calls: with different neighbours of a
row, a model on BLAS gives different last digits.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from data_plane.batch.input.chunks import Chunk
from data_plane.scoring.payload.values import Payload, Result
from data_plane.scoring.wire.concatenate import Shape, concatenate, shape_of, size_of
from data_plane.scoring.wire.split import split_result

_MAX_ROWS = 20_000
_MAX_BYTES = 8 << 20


@dataclass(frozen=True, slots=True)
class ChunkRead:
    """A chunk of the file at `index` of the mini-batch."""

    index: int
    chunk: Chunk


@dataclass(frozen=True, slots=True)
class FileError:
    """The file cannot be read, or does not match the signature."""

    index: int
    reason: str


@dataclass(frozen=True, slots=True)
class FileEnd:
    """All of the file's chunks have been read."""

    index: int


@dataclass(frozen=True, slots=True)
class PredictCall:
    members: tuple[ChunkRead, ...]
    payload: Payload
    are_whole_files: bool
    """Whether each member is a whole file."""

    @property
    def indexes(self) -> tuple[int, ...]:
        return tuple(member.index for member in self.members)

    @property
    def params(self) -> Mapping[str, Any] | None:
        return self.members[0].chunk.enforced.params

    def split(self, result: Result) -> list[Result] | None:
        """Return each member's result; None for a result without an entry for each row."""
        if len(self.members) == 1:
            return [result]
        return split_result(result, [member.chunk.rows for member in self.members])


ReadItem = ChunkRead | FileError | FileEnd
ScoringStep = PredictCall | FileError | FileEnd


def predict_calls(items: Iterable[ReadItem], *, may_share: Callable[[int], bool]) -> Iterator[ScoringStep]:
    """Form calls from the chunks, in order. `may_share` tells whether the file at an index may share a call."""
    gathered = _SharedCall()
    first: ChunkRead | None = None
    """The first chunk of a file, until the next item tells whether it is also the last."""
    long: int | None = None
    """Index of a file known to have several chunks."""
    for item in items:
        match item:
            case ChunkRead(index) if index != long and first is None and may_share(index) and is_joinable(item):
                first = item
            case ChunkRead(index):
                long = index
                yield from gathered.taken()
                yield from (_single(read) for read in (first, item) if read is not None)
                first = None
            case FileEnd() if first is not None:
                if not gathered.fits(first):
                    yield from gathered.taken()
                gathered.add(first)
                first = None
            case FileEnd():
                yield item
            case FileError():
                first = None
                yield item
    yield from gathered.taken()


def is_joinable(read: ChunkRead) -> bool:
    return shape_of(read.chunk.enforced.payload) is not None


def _single(read: ChunkRead) -> PredictCall:
    return PredictCall((read,), read.chunk.enforced.payload, are_whole_files=False)


class _SharedCall:
    """Collects whole small files for one call."""

    def __init__(self) -> None:
        self._members: list[ChunkRead] = []
        self._shape: Shape | None = None
        self._rows = self._bytes = 0

    def fits(self, read: ChunkRead) -> bool:
        if not self._members:
            return True
        enforced = read.chunk.enforced
        return (
            shape_of(enforced.payload) == self._shape
            and enforced.params == self._members[0].chunk.enforced.params
            and self._rows + read.chunk.rows <= _MAX_ROWS
            and self._bytes + size_of(enforced.payload) <= _MAX_BYTES
        )

    def add(self, read: ChunkRead) -> None:
        payload = read.chunk.enforced.payload
        self._shape = shape_of(payload)
        self._members.append(read)
        self._rows += read.chunk.rows
        self._bytes += size_of(payload)

    def taken(self) -> Iterator[PredictCall]:
        """Yield the call, if there is one, and start the next."""
        members, self._members = tuple(self._members), []
        self._rows = self._bytes = 0
        if members:
            payloads = [member.chunk.enforced.payload for member in members]
            yield PredictCall(
                members, payloads[0] if len(members) == 1 else concatenate(payloads), are_whole_files=True
            )
