"""A TCP proxy that can be switched off: its port refuses connections, and open connections are cut."""

import selectors
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

_PIECE = 1 << 16


class TcpProxy:
    def __init__(self, port: int) -> None:
        """`port` is the server's port; `self.port` is the proxy's port, the same after each `open`."""
        self._server = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._links: set[socket.socket] = set()
        self._serve()

    def close(self) -> None:
        # After a close without a shutdown, the accepting thread waits for ever.
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for link in list(self._links):
            with suppress(OSError):
                link.shutdown(socket.SHUT_RDWR)

    def open(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", self.port))
        self._serve()

    def _serve(self) -> None:
        threading.Thread(target=self._accept, args=[self._listener], daemon=True).start()

    def _accept(self, listener: socket.socket) -> None:
        with suppress(OSError):
            while True:
                client, _ = listener.accept()
                threading.Thread(target=self._link, args=[client], daemon=True).start()

    def _link(self, client: socket.socket) -> None:
        with client, suppress(OSError), socket.create_connection(("127.0.0.1", self._server)) as server:
            ends = {client: server, server: client}
            self._links.update(ends)
            try:
                _carry(ends)
            finally:
                self._links.difference_update(ends)


def _carry(ends: dict[socket.socket, socket.socket]) -> None:
    with selectors.DefaultSelector() as ready:
        for end in ends:
            ready.register(end, selectors.EVENT_READ)
        while True:
            for key, _ in ready.select():
                end = key.fileobj
                assert isinstance(end, socket.socket)
                piece = end.recv(_PIECE)
                if not piece:
                    return
                ends[end].sendall(piece)


@contextmanager
def tcp_proxy(port: int) -> Iterator[TcpProxy]:
    proxy = TcpProxy(port)
    try:
        yield proxy
    finally:
        with suppress(OSError):
            proxy.close()
