"""From an asynchronous request to a plain iterator: the object store is written by a thread."""

from collections.abc import Iterator

import anyio
from anyio import from_thread
from starlette.requests import ClientDisconnect, Request

from control_plane.features.uploads.incoming import BrokenOff

_SILENCE_SECONDS = 60.0


def pieces_of(request: Request) -> Iterator[bytes]:
    """The body's pieces, for a worker thread. A sender that is gone, or silent for a minute, has broken off."""
    stream = request.stream()

    async def next_piece() -> bytes:
        try:
            with anyio.fail_after(_SILENCE_SECONDS):
                return await anext(stream, b"")
        except (ClientDisconnect, TimeoutError):
            raise BrokenOff from None

    while piece := from_thread.run(next_piece):
        yield piece
