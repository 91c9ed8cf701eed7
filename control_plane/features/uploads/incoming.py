"""A body as it arrives: counted, hashed, bounded, and never whole in memory."""

import hashlib
from collections.abc import Iterator

from modelyard.core.errors import PayloadTooLarge


class BrokenOff(Exception):
    """The sender is gone before the end."""


class Incoming:
    """Iterating yields the body's pieces. A sender that goes away ends it early; `is_broken` then says so."""

    def __init__(self, pieces: Iterator[bytes], room: int) -> None:
        self._pieces = pieces
        self._room = room
        self._digest = hashlib.sha256()
        self.size = 0
        self.is_broken = False

    def __iter__(self) -> Iterator[bytes]:
        try:
            for piece in self._pieces:
                self.size += len(piece)
                check_room(self.size, self._room)
                self._digest.update(piece)
                yield piece
        except BrokenOff:
            self.is_broken = True

    @property
    def sha256(self) -> str:
        return self._digest.hexdigest()


def check_room(wanted: int, room: int) -> None:
    if wanted > room:
        raise PayloadTooLarge(
            f"the upload is larger than this platform takes ({room} more bytes were free); "
            "MODELYARD_MAX_UPLOAD_BYTES sets the limit"
        )
