"""One connection to the worker, with frames coming in and frames going out."""

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
_LARGEST_BACKLOG = 64 * 2**20


class PeerGone(Exception):
    """The other end closed the connection, or broke it."""


class Peer:
    """The io thread reads; both threads send. No call waits for the other end."""

    def __init__(self, connection: socket.socket) -> None:
        connection.setblocking(False)
        self.connection = connection
        self.role: Optional[str] = None
        self.closed = False
        self._reader = FrameReader()
        self._outgoing: Deque[memoryview] = collections.deque()
        self._backlog = 0
        self._sending = threading.Lock()

    def receive(self) -> List[Frame]:
        """What has arrived. Raises PeerGone or ProtocolError, and the connection is to be closed."""
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
        """Send now what the other end takes; the rest when the io thread calls `send_rest`."""
        with self._sending:
            if self.closed:
                return
            for buffer in buffers:
                if len(buffer):
                    self._outgoing.append(memoryview(buffer))
                    self._backlog += len(buffer)
            self._write()
            # The model may use its answer's memory again for the next one.
            self._outgoing = collections.deque(memoryview(bytes(view)) for view in self._outgoing)

    def send_rest(self) -> None:
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
                # The io thread sees the same end of the connection when it reads.
                self._outgoing.clear()
                self._backlog = 0
                return
            self._backlog -= sent
            self._forget(sent)

    def _forget(self, sent: int) -> None:
        while sent:
            first = self._outgoing.popleft()
            if len(first) > sent:
                self._outgoing.appendleft(first[sent:])
            sent -= min(sent, len(first))

    @property
    def has_more_to_send(self) -> bool:
        return self._backlog > 0

    @property
    def is_listening(self) -> bool:
        """A peer that does not read its answers is not read from either."""
        return self._backlog < _LARGEST_BACKLOG

    def close(self) -> None:
        with self._sending:
            self.closed = True
            self._outgoing.clear()
            self._backlog = 0
            self.connection.close()
