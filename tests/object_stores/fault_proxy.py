"""A proxy between an adapter and its server, which injects faults where a test asks for them."""

import http.client
import socket
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit


@dataclass(frozen=True)
class FixedResponse:
    """This response in place of the server's."""

    status: int
    body: str = ""


@dataclass(frozen=True)
class CutRequest:
    """The connection breaks after half of the request body."""


@dataclass(frozen=True)
class CutResponse:
    """The connection breaks after half of the response body."""


@dataclass(frozen=True)
class Silence:
    """No response, as long as the proxy runs."""


Fault = FixedResponse | CutRequest | CutResponse | Silence


@dataclass
class _Rule:
    fault: Fault
    method: str
    part_of_path: str
    times: int


@dataclass
class FaultProxy:
    server: str
    """host:port"""
    endpoint: str = ""
    seen: list[str] = field(default_factory=list)
    """Each request as "METHOD /path", in order."""
    _rules: list[_Rule] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _closing: threading.Event = field(default_factory=threading.Event)

    def inject(self, fault: Fault, *, method: str = "", path: str = "", times: int = 1_000_000) -> None:
        """Inject the fault into the next `times` requests with this method and this text in the path."""
        self._rules.append(_Rule(fault, method, path, times))

    def clear(self) -> None:
        self._rules.clear()

    def fault_of(self, method: str, path: str) -> Fault | None:
        with self._lock:
            self.seen.append(f"{method} {path}")
            for rule in self._rules:
                if rule.times and method.startswith(rule.method) and rule.part_of_path in path:
                    rule.times -= 1
                    return rule.fault
        return None

    def stay_silent(self) -> None:
        self._closing.wait(60)

    def close(self) -> None:
        self._closing.set()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # Without it, the body waits for the client's delayed acknowledgement of the head: 40 ms.
    disable_nagle_algorithm = True
    proxy: FaultProxy

    def __getattr__(self, name: str) -> Any:
        if name.startswith("do_"):
            return self._relay
        raise AttributeError(name)

    def log_message(self, *_: object) -> None:
        """Keep the tests' output quiet."""

    def _relay(self) -> None:
        fault = self.proxy.fault_of(self.command, self.path)
        length = int(self.headers.get("Content-Length", 0))
        if isinstance(fault, CutRequest):
            self.rfile.read(length // 2)
            self._cut()
            return
        body = self.rfile.read(length)
        match fault:
            case FixedResponse(status, text):
                self._reply(status, [("Content-Type", "application/xml")], text.encode(), len(text.encode()))
            case Silence():
                self.proxy.stay_silent()
                self._cut()
            case _:
                self._forward(body, is_cut=isinstance(fault, CutResponse))

    def _forward(self, body: bytes, *, is_cut: bool) -> None:
        with closing(http.client.HTTPConnection(self.proxy.server, timeout=60)) as connection:
            connection.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
            for name, value in self.headers.items():
                connection.putheader(name, value)
            connection.endheaders(body or None)
            response = connection.getresponse()
            content = response.read()
        headers = [(n, v) for n, v in response.getheaders() if n.lower() not in _OWN_HEADERS]
        length = int(response.getheader("Content-Length") or len(content))
        self._reply(response.status, headers, content[: len(content) // 2] if is_cut else content, length)
        if is_cut:
            self._cut()

    def _reply(self, status: int, headers: list[tuple[str, str]], content: bytes, length: int) -> None:
        self.send_response_only(status)
        for name, value in headers:
            self.send_header(name, value)
        self.send_header("Content-Length", str(length))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def _cut(self) -> None:
        self.close_connection = True
        self.wfile.flush()
        self.connection.shutdown(socket.SHUT_RDWR)


_OWN_HEADERS = {"content-length", "transfer-encoding", "connection", "keep-alive"}


class _Server(ThreadingHTTPServer):
    def handle_error(self, *_: object) -> None:
        """Ignore connections that an adapter closed after its time-out."""


@contextmanager
def fault_proxy(endpoint: str) -> Iterator[FaultProxy]:
    parts = urlsplit(endpoint)
    proxy = FaultProxy(parts.netloc)
    handler = type("Handler", (_Handler,), {"proxy": proxy})
    with _Server(("127.0.0.1", 0), handler) as server:
        proxy.endpoint = f"http://127.0.0.1:{server.server_port}{parts.path}"
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield proxy
        finally:
            proxy.close()
            server.shutdown()
            thread.join()
