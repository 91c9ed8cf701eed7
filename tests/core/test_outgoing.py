"""The proxy for URLs of models: addresses are checked at connect time, after redirects and for every DNS answer."""

import socket
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from modelyard.core.adapters.outgoing import checking_proxy, connect_checked
from modelyard.core.domain.outgoing_urls import RefusedUrl, UrlPolicy


@pytest.fixture
def port() -> Iterator[int]:
    """A server on this machine, of the kind that a model must not reach."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.path.startswith("http"):
                self.send_error(400)
                return
            self.send_response(302 if self.path == "/away" else 200)
            self.send_header("Location", "http://169.254.169.254/latest/")
            self.send_header("Content-Length", "6")
            self.end_headers()
            self.wfile.write(b"inside")

        def log_message(self, *_: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield server.server_port
    server.shutdown()
    thread.join()
    server.server_close()


def fetch(proxy: str, url: str) -> tuple[int, bytes]:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({"http": proxy, "https": proxy}))
    try:
        with opener.open(url, timeout=10) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, b""


def test_address_of_this_machine_is_refused_and_an_allowed_one_passes(port):
    refusals: list[str] = []
    url = f"http://127.0.0.1:{port}/"
    with checking_proxy(
        UrlPolicy(), exempt=frozenset(), on_failure=lambda place, error: refusals.append(str(error))
    ) as proxy:
        assert fetch(proxy, url)[0] == 403
    assert "the machine itself" in refusals[0]
    with checking_proxy(
        UrlPolicy.parse("127.0.0.1"), exempt=frozenset(), on_failure=lambda place, error: refusals.append(str(error))
    ) as proxy:
        assert fetch(proxy, url) == (200, b"inside")


def test_redirect_is_checked_again(port):
    refusals: list[str] = []
    with checking_proxy(
        UrlPolicy.parse("127.0.0.1"), exempt=frozenset(), on_failure=lambda place, error: refusals.append(str(error))
    ) as proxy:
        assert fetch(proxy, f"http://127.0.0.1:{port}/away")[0] == 403
    assert "link-local" in refusals[0]


def test_place_of_the_operators_index_is_exempt_and_its_other_ports_are_not(port):
    with checking_proxy(UrlPolicy(), exempt=frozenset({("127.0.0.1", port)}), on_failure=print) as proxy:
        assert fetch(proxy, f"http://127.0.0.1:{port}/") == (200, b"inside")
        assert fetch(proxy, f"http://127.0.0.1:{port + 1}/")[0] == 403


def test_tunnel_is_refused_and_allowed_like_a_request(port):
    for policy, status in ((UrlPolicy(), b"403"), (UrlPolicy.parse("127.0.0.1"), b"200")):
        with checking_proxy(policy, exempt=frozenset(), on_failure=print) as proxy:
            address = ("127.0.0.1", int(proxy.rpartition(":")[2]))
            with socket.create_connection(address, timeout=10) as connection:
                connection.sendall(f"CONNECT 127.0.0.1:{port} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
                assert connection.recv(1000).split()[1] == status


def test_name_with_one_refused_address_among_its_answers_is_refused(monkeypatch):
    answers = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, 80)) for address in ("93.184.216.34", "127.0.0.1")]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: answers)
    with pytest.raises(RefusedUrl, match="machine itself"):
        connect_checked(("rebound.example", 80), UrlPolicy())
