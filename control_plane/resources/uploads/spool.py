"""The body of a PUT in a file of the spool folder, until the whole body has arrived.

A slow sender takes no thread: threads write and hash pieces that have arrived. The file has no name, so that the end of
the process removes it.
"""

import hashlib
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Protocol

from modelyard.core.errors import PayloadTooLarge
from modelyard.core.ports.object_store import StoreFull

_READ_BYTES = 1 << 20


class ReceivedBody(Protocol):
    """The body of a PUT that has arrived."""

    size: int
    is_interrupted: bool
    """Whether the sender went away before the end."""

    def pieces(self) -> Iterator[bytes]: ...

    @property
    def digest(self) -> bytes: ...

    def close(self) -> None: ...


class BodyInMemory:
    """A small body, hashed by the given algorithm when the digest is asked for."""

    def __init__(self, pieces: Sequence[bytes], algorithm: str | None, *, is_interrupted: bool) -> None:
        self._pieces = pieces
        self._algorithm = algorithm
        self.size = sum(map(len, pieces))
        self.is_interrupted = is_interrupted

    def pieces(self) -> Iterator[bytes]:
        return iter(self._pieces)

    @property
    def digest(self) -> bytes:
        """Empty without an algorithm. Blocks: for threads."""
        if self._algorithm is None:
            return b""
        digest = hashlib.new(self._algorithm, usedforsecurity=False)
        for piece in self._pieces:
            digest.update(piece)
        return digest.digest()

    def close(self) -> None:
        self._pieces = ()


class SpooledBody:
    """Counted, bounded, and hashed by the given algorithm. Blocks: every method but `close` is for threads."""

    def __init__(self, folder: Path, room: int, algorithm: str | None = "sha256") -> None:
        self._room = room
        self._digest = None if algorithm is None else hashlib.new(algorithm, usedforsecurity=False)
        self._file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115 - `close` closes the file
        self.size = 0
        self.is_interrupted = False
        """Whether the sender went away before the end."""

    def write(self, piece: bytes) -> None:
        """Raises PayloadTooLarge beyond the room."""
        self.size += len(piece)
        check_room(self.size, self._room)
        if self._digest is not None:
            self._digest.update(piece)
        try:
            self._file.write(piece)
        except OSError as error:
            raise _spool_is_full(error) from None

    def pieces(self) -> Iterator[bytes]:
        """Raises StoreFull where the last bytes find no room."""
        try:
            self._file.seek(0)
        except OSError as error:
            raise _spool_is_full(error) from None
        while piece := self._file.read(_READ_BYTES):
            yield piece

    @property
    def digest(self) -> bytes:
        """Empty without an algorithm."""
        return b"" if self._digest is None else self._digest.digest()

    @property
    def sha256(self) -> str:
        """In hex, of a body that is hashed by SHA-256."""
        return self.digest.hex()

    def close(self) -> None:
        self._file.close()


def _spool_is_full(error: OSError) -> StoreFull:
    return StoreFull(f"the upload finds no room in the data dir ({error.strerror}): free some space, then continue")


def check_room(wanted: int, room: int) -> None:
    if wanted > room:
        raise PayloadTooLarge(
            f"the upload is over the limit of this platform ({room} more bytes were allowed); "
            "MODELYARD_MAX_UPLOAD_BYTES sets the limit"
        )
