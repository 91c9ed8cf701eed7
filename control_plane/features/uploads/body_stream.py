"""From an asynchronous request to a plain iterator: the object store is written by a thread."""

import asyncio
from collections.abc import Iterator

from starlette.requests import ClientDisconnect, Request

from control_plane.features.uploads.incoming import BrokenOff

_SILENCE_SECONDS = 60.0
# Of at most 256 KB, as they come from the connection.
_MOST_AHEAD = 16


def pieces_of(request: Request) -> Iterator[bytes]:
    """The body's pieces, for a worker thread. A sender that is gone, or silent for a minute, has broken off.

    To be called on the event loop. While the thread is busy with a piece the next ones arrive, and are handed over
    as one: crossing from the loop to a thread costs more than a small piece is worth.
    """
    arriving, loop = _Arriving(request), asyncio.get_running_loop()

    def pieces() -> Iterator[bytes]:
        receiving = asyncio.run_coroutine_threadsafe(arriving.receive(), loop)
        try:
            while piece := asyncio.run_coroutine_threadsafe(arriving.next_piece(), loop).result():
                yield piece
        finally:
            receiving.cancel()
        if arriving.is_broken:
            raise BrokenOff

    return pieces()


class _Arriving:
    """Touched on the event loop alone, until all has arrived."""

    def __init__(self, request: Request) -> None:
        self._stream = request.stream()
        self._ahead = asyncio.Queue[bytes](_MOST_AHEAD)
        self.is_broken = False

    async def receive(self) -> None:
        """Everything, and last an empty piece."""
        try:
            while piece := await asyncio.wait_for(anext(self._stream, b""), _SILENCE_SECONDS):
                await self._ahead.put(piece)
        except (ClientDisconnect, TimeoutError):
            self.is_broken = True
        await self._ahead.put(b"")

    async def next_piece(self) -> bytes:
        """What is here by now; empty at the end."""
        here = [await self._ahead.get()]
        while here[-1] and not self._ahead.empty():
            here.append(self._ahead.get_nowait())
        if len(here) > 1 and not here[-1]:
            self._ahead.put_nowait(here.pop())
        return b"".join(here)
