"""What a worker is asked at once: a chunk of a file, or several small files of a model that scores row by row.

Which files share a call follows from the mini-batch alone, so that a try that begins anew asks the same again: a model
on BLAS answers with other last digits when there are other rows beside a row.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from data_plane.batch.chunks import Chunk
from data_plane.scoring.payload.values import Payload, Result
from data_plane.scoring.wire.concatenate import Shape, join, shape_of, size_of
from data_plane.scoring.wire.split import shares

_MOST_ROWS = 20_000
_MOST_BYTES = 8 << 20


@dataclass(frozen=True, slots=True)
class Read:
    """Of the file at a place in its mini-batch."""

    place: int
    chunk: Chunk


@dataclass(frozen=True, slots=True)
class Bad:
    """The file cannot be read, or does not fit the signature."""

    place: int
    reason: str


@dataclass(frozen=True, slots=True)
class Whole:
    """All of the file's chunks came before."""

    place: int


@dataclass(frozen=True, slots=True)
class Call:
    members: tuple[Read, ...]
    payload: Payload
    are_whole: bool
    """Whether each member is all that there is of its file."""

    @property
    def places(self) -> tuple[int, ...]:
        return tuple(member.place for member in self.members)

    @property
    def params(self) -> Mapping[str, Any] | None:
        return self.members[0].chunk.enforced.params

    def results(self, result: Result) -> list[Result] | None:
        """Each member's. None where they cannot be told apart."""
        if len(self.members) == 1:
            return [result]
        return shares(result, [member.chunk.rows for member in self.members])


Item = Read | Bad | Whole
Unit = Call | Bad | Whole


def calls(items: Iterable[Item], *, may_share: Callable[[int], bool]) -> Iterator[Unit]:
    """In the order of the items. `may_share`: whether the file at a place may be asked about together with others."""
    gathering = _Gathering()
    held: Read | None = None
    """The first chunk of a file, until it is known whether it is the last."""
    long: int | None = None
    """The place of a file that is known to have several."""
    for item in items:
        match item:
            case Read(place) if place != long and held is None and may_share(place) and is_joinable(item):
                held = item
            case Read(place):
                long = place
                yield from gathering.emptied()
                yield from (_alone(read) for read in (held, item) if read is not None)
                held = None
            case Whole() if held is not None:
                if not gathering.fits(held):
                    yield from gathering.emptied()
                gathering.add(held)
                held = None
            case Whole():
                yield item
            case Bad():
                held = None
                yield item
    yield from gathering.emptied()


def is_joinable(read: Read) -> bool:
    return shape_of(read.chunk.enforced.payload) is not None


def _alone(read: Read) -> Call:
    return Call((read,), read.chunk.enforced.payload, are_whole=False)


class _Gathering:
    """Whole small files that will share a call."""

    def __init__(self) -> None:
        self._members: list[Read] = []
        self._shape: Shape | None = None
        self._rows = self._bytes = 0

    def fits(self, read: Read) -> bool:
        if not self._members:
            return True
        enforced = read.chunk.enforced
        return (
            shape_of(enforced.payload) == self._shape
            and enforced.params == self._members[0].chunk.enforced.params
            and self._rows + read.chunk.rows <= _MOST_ROWS
            and self._bytes + size_of(enforced.payload) <= _MOST_BYTES
        )

    def add(self, read: Read) -> None:
        payload = read.chunk.enforced.payload
        self._shape = shape_of(payload)
        self._members.append(read)
        self._rows += read.chunk.rows
        self._bytes += size_of(payload)

    def emptied(self) -> Iterator[Call]:
        members, self._members = tuple(self._members), []
        self._rows = self._bytes = 0
        if members:
            payloads = [member.chunk.enforced.payload for member in members]
            yield Call(members, payloads[0] if len(members) == 1 else join(payloads), are_whole=True)
