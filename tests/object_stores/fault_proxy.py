"""Stands between an adapter and its server, hands everything on, and does wrong where a test says so."""

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
class Answer:
    """Instead of the server's."""

    status: int
    body: str = ""


@dataclass(frozen=True)
class CutRequest:
    """The connection breaks when half of what is sent has arrived."""


@dataclass(frozen=True)
class CutAnswer:
    """The connection breaks when half of the answer's body is sent."""


@dataclass(frozen=True)
class Silence:
    """No answer, for as long as the proxy lives."""


Fault = Answer | CutRequest | CutAnswer | Silence


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

    def do_wrong(self, fault: Fault, *, method: str = "", path: str = "", times: int = 1_000_000) -> None:
        """At so many of the requests that come from now on with this method and this in their path."""
        self._rules.append(_Rule(fault, method, path, times))

    def do_right(self) -> None:
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
            return self._pass_on
        raise AttributeError(name)

    def log_message(self, *_: object) -> None:
        """Nothing is told."""

    def _pass_on(self) -> None:
        fault = self.proxy.fault_of(self.command, self.path)
        length = int(self.headers.get("Content-Length", 0))
        if isinstance(fault, CutRequest):
            self.rfile.read(length // 2)
            self._cut()
            return
        body = self.rfile.read(length)
        match fault:
            case Answer(status, text):
                self._reply(status, [("Content-Type", "application/xml")], text.encode(), len(text.encode()))
            case Silence():
                self.proxy.stay_silent()
                self._cut()
            case _:
                self._forward(body, is_cut=isinstance(fault, CutAnswer))

    def _forward(self, body: bytes, *, is_cut: bool) -> None:
        with closing(http.client.HTTPConnection(self.proxy.server, timeout=60)) as connection:
            connection.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
            for name, value in self.headers.items():
                connection.putheader(name, value)
            connection.endheaders(body or None)
            answer = connection.getresponse()
            content = answer.read()
        headers = [(n, v) for n, v in answer.getheaders() if n.lower() not in _OUR_OWN]
        length = int(answer.getheader("Content-Length") or len(content))
        self._reply(answer.status, headers, content[: len(content) // 2] if is_cut else content, length)
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


_OUR_OWN = {"content-length", "transfer-encoding", "connection", "keep-alive"}


class _Server(ThreadingHTTPServer):
    def handle_error(self, *_: object) -> None:
        """An adapter that lost its patience has closed the connection."""


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
