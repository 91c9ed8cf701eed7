"""One connection of the worker: frames in and frames out."""

import collections
import itertools
import socket
import threading
from typing import Deque, List, Optional

from .frames import Buffer, Frame, FrameReader

HOST = "host"
GATEWAY = "gateway"

_READ_SIZE = 1 << 18
_BUFFERS_PER_WRITE = 64
_MAX_BACKLOG = 64 * 2**20


class PeerGone(Exception):
    """The other end closed or broke the connection."""


class Peer:
    """The serving thread reads, both threads send, and no call blocks."""

    def __init__(self, connection: socket.socket) -> None:
        connection.setblocking(False)
        self.connection = connection
        self.role: Optional[str] = None
        self.max_answer_bytes: Optional[int] = None
        """Largest body of a RESULT frame that the other end takes; None for an end of an earlier version."""
        self.closed = False
        self._reader = FrameReader()
        self._outgoing: Deque[memoryview] = collections.deque()
        self._backlog = 0
        self._sending = threading.Lock()

    def receive(self) -> List[Frame]:
        """Return the frames that have arrived. Raises PeerGone or ProtocolError; close the connection then."""
        try:
            data = self.connection.recv(_READ_SIZE)
        except (BlockingIOError, InterruptedError):
            return []
        except OSError:
            raise PeerGone() from None
        if not data:
            raise PeerGone()
        return self._reader.feed(data)

    def send(self, buffers: List[Buffer]) -> None:
        """Send as much as the other end takes now. The serving thread sends the rest by `flush`."""
        with self._sending:
            if self.closed:
                return
            for buffer in buffers:
                if len(buffer):
                    self._outgoing.append(memoryview(buffer))
                    self._backlog += len(buffer)
            self._write()
            # Copied, because the model may reuse the memory of its result.
            self._outgoing = collections.deque(memoryview(bytes(view)) for view in self._outgoing)

    def flush(self) -> None:
        with self._sending:
            if not self.closed:
                self._write()

    def _write(self) -> None:
        while self._outgoing:
            try:
                sent = self.connection.sendmsg(list(itertools.islice(self._outgoing, _BUFFERS_PER_WRITE)))
            except (BlockingIOError, InterruptedError):
                return
            except OSError:
                # The serving thread notices the end of the connection when it reads.
                self._outgoing.clear()
                self._backlog = 0
                return
            self._backlog -= sent
            self._drop_sent(sent)

    def _drop_sent(self, sent: int) -> None:
        while sent:
            first = self._outgoing.popleft()
            if len(first) > sent:
                self._outgoing.appendleft(first[sent:])
            sent -= min(sent, len(first))

    @property
    def has_backlog(self) -> bool:
        return self._backlog > 0

    @property
    def accepts_more(self) -> bool:
        """False for a peer with too many unread answers: the worker then reads no further requests."""
        return self._backlog < _MAX_BACKLOG

    def close(self) -> None:
        with self._sending:
            self.closed = True
            self._outgoing.clear()
            self._backlog = 0
            self.connection.close()
