"""A request body in pieces: counted, hashed and bounded, and never complete in memory."""

import hashlib
from collections.abc import Iterator

from modelyard.core.errors import PayloadTooLarge


class UploadInterrupted(Exception):
    """The sender went away before the end of the body."""


class ReceivedBody:
    """Iterates over the pieces of a body. `is_interrupted` tells whether the sender went away before the end."""

    def __init__(self, pieces: Iterator[bytes], room: int) -> None:
        self._pieces = pieces
        self._room = room
        self._digest = hashlib.sha256()
        self.size = 0
        self.is_interrupted = False

    def __iter__(self) -> Iterator[bytes]:
        try:
            for piece in self._pieces:
                self.size += len(piece)
                check_room(self.size, self._room)
                self._digest.update(piece)
                yield piece
        except UploadInterrupted:
            self.is_interrupted = True

    @property
    def sha256(self) -> str:
        return self._digest.hexdigest()


def check_room(wanted: int, room: int) -> None:
    if wanted > room:
        raise PayloadTooLarge(
            f"the upload is over the limit of this platform ({room} more bytes were allowed); "
            "MODELYARD_MAX_UPLOAD_BYTES sets the limit"
        )
