"""The body of an asynchronous request as a plain iterator, for the thread that writes to the object store."""

import asyncio
from collections.abc import Iterator

from starlette.requests import ClientDisconnect, Request

from control_plane.features.uploads.received_body import UploadInterrupted

_SILENCE_SECONDS = 60.0
# Pieces of at most 256 KB, as the connection delivers the body.
_MAX_BUFFERED_PIECES = 16


def body_pieces(request: Request) -> Iterator[bytes]:
    """The body's pieces, for a worker thread. Raises UploadInterrupted when the sender is gone, or silent for a minute.

    Call on the event loop. Pieces that arrive while the thread is busy are joined to a single piece, because a small
    piece costs less than the hand-over from the event loop to the thread.
    """
    body, loop = _BufferedStream(request), asyncio.get_running_loop()

    def pieces() -> Iterator[bytes]:
        receiving = asyncio.run_coroutine_threadsafe(body.receive(), loop)
        try:
            while piece := asyncio.run_coroutine_threadsafe(body.next_piece(), loop).result():
                yield piece
        finally:
            receiving.cancel()
        if body.is_interrupted:
            raise UploadInterrupted

    return pieces()


class _BufferedStream:
    """Pieces between the connection and the thread. Used on the event loop only, until the body is complete."""

    def __init__(self, request: Request) -> None:
        self._stream = request.stream()
        self._pieces = asyncio.Queue[bytes](_MAX_BUFFERED_PIECES)
        self.is_interrupted = False

    async def receive(self) -> None:
        """Read the whole body; an empty piece marks the end."""
        try:
            while piece := await asyncio.wait_for(anext(self._stream, b""), _SILENCE_SECONDS):
                await self._pieces.put(piece)
        except (ClientDisconnect, TimeoutError):
            self.is_interrupted = True
        await self._pieces.put(b"")

    async def next_piece(self) -> bytes:
        """All pieces that have arrived, joined; empty at the end of the body."""
        arrived = [await self._pieces.get()]
        while arrived[-1] and not self._pieces.empty():
            arrived.append(self._pieces.get_nowait())
        if len(arrived) > 1 and not arrived[-1]:
            self._pieces.put_nowait(arrived.pop())
        return b"".join(arrived)
