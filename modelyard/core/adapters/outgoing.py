"""Connections to hosts that a user or a model names: the checked address is the connected address.

`checking_proxy` applies the rule for a program that opens URLs itself: each request, redirects included, names a host
again, and the proxy resolves the name, checks every address, and connects to a checked address.
"""

import select
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address
from urllib.parse import urlsplit

from modelyard.core.domain.outgoing_urls import RefusedUrl, UrlPolicy

_CONNECT_SECONDS = 30.0
_IDLE_SECONDS = 600.0
_CHUNK = 1 << 16
_LARGEST_BODY = 16 << 20
_OF_THE_CONNECTION = frozenset({"connection", "keep-alive", "proxy-connection", "proxy-authorization", "te", "upgrade"})

Place = tuple[str, int]
"""Host and port."""


def connect_checked(place: Place, policy: UrlPolicy, *, exempt: frozenset[Place] = frozenset()) -> socket.socket:
    """Connect to a host all of whose addresses pass the rule. Raises RefusedUrl, and OSError without a connection.

    `exempt` are the places of the operator's own URLs.
    """
    host, port = place
    is_exempt = (host.lower(), port) in exempt
    if not is_exempt:
        policy.check_host(host)
    answers = [answer[4] for answer in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]
    if not is_exempt:
        for answer in answers:
            policy.check_address(host, ip_address(str(answer[0]).partition("%")[0]))
    error: OSError = ConnectionError(f"{host} has no address")
    for answer in answers:
        try:
            # By address: a second look-up of the name could give another answer.
            return socket.create_connection((str(answer[0]), port), timeout=_CONNECT_SECONDS)
        except OSError as failure:
            error = failure
    raise error


@contextmanager
def checking_proxy(
    policy: UrlPolicy, *, exempt: frozenset[Place], on_failure: Callable[[Place, Exception], None]
) -> Iterator[str]:
    """Yield the URL of an HTTP proxy on loopback that serves the block.

    `on_failure` takes each place without a connection, and RefusedUrl or OSError: an HTTP client tells its user no more
    than that the proxy failed.
    """

    class Handler(_Handler):
        def open(self, place: Place) -> socket.socket | None:
            try:
                return connect_checked(place, policy, exempt=exempt)
            except RefusedUrl as refusal:
                on_failure(place, refusal)
                self.send_error(HTTPStatus.FORBIDDEN, "Refused by the platform", str(refusal))
            except (OSError, UnicodeError) as error:
                on_failure(place, error)
                self.send_error(HTTPStatus.BAD_GATEWAY, "No connection", str(error))
            return None

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def open(self, place: Place) -> socket.socket | None:
        raise NotImplementedError

    def do_CONNECT(self) -> None:
        self.close_connection = True
        try:
            parts = urlsplit(f"//{self.path}")
            place = (parts.hostname or "", parts.port or 443)
        except ValueError:
            self.send_error(HTTPStatus.BAD_REQUEST)
            return
        upstream = self.open(place)
        if upstream is not None:
            with upstream:
                self.send_response(HTTPStatus.OK)
                self.end_headers()
                _relay(self.connection, upstream)

    def _forward(self) -> None:
        """A plain request, one for each connection: `Connection: close` tells both sides."""
        self.close_connection = True
        try:
            parts = urlsplit(self.path)
            place = (parts.hostname or "", parts.port or 80)
        except ValueError:
            parts, place = urlsplit(""), ("", 0)
        if parts.scheme != "http" or not place[0]:
            self.send_error(HTTPStatus.BAD_REQUEST)
            return
        upstream = self.open(place)
        if upstream is not None:
            with upstream:
                upstream.sendall(self._head(parts.path or "/", parts.query))
                _relay(self.connection, upstream, first=self._body())

    def do_GET(self) -> None:
        self._forward()

    def do_HEAD(self) -> None:
        self._forward()

    def do_POST(self) -> None:
        self._forward()

    def _head(self, path: str, query: str) -> bytes:
        target = f"{path}?{query}" if query else path
        kept = [(name, value) for name, value in self.headers.items() if name.lower() not in _OF_THE_CONNECTION]
        lines = [
            f"{self.command} {target} HTTP/1.1",
            *(f"{name}: {value}" for name, value in kept),
            "Connection: close",
        ]
        return "\r\n".join((*lines, "", "")).encode("latin-1")

    def _body(self) -> bytes:
        """The body of git's requests to a server without TLS."""
        length = self.headers.get("Content-Length", "0")
        return self.rfile.read(min(int(length), _LARGEST_BODY)) if length.isdecimal() else b""

    def log_message(self, *_: object) -> None: ...


def _relay(client: socket.socket, upstream: socket.socket, *, first: bytes = b"") -> None:
    """Pass bytes in both directions until a side closes."""
    with suppress(OSError):
        upstream.sendall(first)
        upstream.settimeout(_IDLE_SECONDS)
        others = {client: upstream, upstream: client}
        while True:
            ready, _, _ = select.select(list(others), [], [], _IDLE_SECONDS)
            if not ready:
                return
            for side in ready:
                content = side.recv(_CHUNK)
                if not content:
                    return
                others[side].sendall(content)
