"""The real control plane behind a proxy that records requests and misbehaves on demand.

Control plane, database and store are real. At each poll of an operation, the proxy plays the builder, the host and the
gateways. The proxy can cut connections, lose responses and break off uploads.
"""

import json
import re
from collections.abc import Iterator, Mapping
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest

from modelyard.client.platform import Platform
from modelyard.core.domain.model_manifest import ModelManifest
from tests.control_plane.app_server import AppServer
from tests.control_plane.control import TOKEN, Control
from tests.recycled_database import RecycledDatabase

_UPLOAD = re.compile(r"/uploads/[^/]+/.+")
_OPERATION = re.compile(r"/mfeOperations(Status|Results)/")
_PER_CONNECTION = {"connection", "keep-alive", "transfer-encoding", "content-length", "date", "server"}


class PlatformProxy:
    def __init__(self, database: RecycledDatabase, folder: Path) -> None:
        self._database = database
        handler = type("Handler", (_Handler,), {"proxy": self})
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.url = f"http://127.0.0.1:{self._http.server_address[1]}"
        self._thread = Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.01})
        self._server = AppServer()
        self.control = Control(self._server, database.engine, folder, scoring_public_url=self.url)
        self._thread.start()
        self._forget()

    def _forget(self) -> None:
        self.requests: list[tuple[str, str]] = []
        self.bodies: list[Any] = []
        self.headers: list[Mapping[str, str]] = []
        self.steps: list[str] = []
        """The steps of a deployment's operation, one for each poll before the end."""
        self.failure: str | None = None
        """The reason why the next builds fail."""
        self.break_after: int | None = None
        """The number of bytes after which the next upload of a larger file breaks off."""
        self.lose_answer_of: str | None = None
        """The end of a path. The response of the next PUT to the path is lost, after the PUT has taken effect."""
        self.refuse_connections = 0
        """The number of requests to cut without an answer."""
        self.answers: dict[tuple[str, str], tuple[int, Any]] = {}
        """Answers in place of the control plane's, by method and end of path."""
        self.stories: dict[tuple[str, str], list[Any]] = {}
        """Successive bodies in place of the control plane's, by method and end of path; the last one stays."""

    def reset(self) -> None:
        """Remove the faults, the records and the resources of the previous test."""
        self._forget()
        self._database.reset()
        self.control.add_admin_token()

    def close(self) -> None:
        self._http.shutdown()
        self._thread.join()
        self._http.server_close()
        self.control.close()
        self._server.close()

    @property
    def address(self) -> Platform:
        return Platform(self.url, TOKEN)

    def at(self, path: str) -> dict[str, Any]:
        """The resource at a path below the workspace."""
        resource: dict[str, Any] = self.control.get(path)
        return resource

    def exists(self, path: str) -> bool:
        return self.control.ask("GET", path).status_code == 200

    def files_of(self, version: str) -> dict[str, bytes]:
        """Return the stored files of a model version by path."""
        manifest = ModelManifest.from_list(self.control.get(f"{version}/files")["value"])
        return {file.path: b"".join(self.control.store.get(file.key)) for file in manifest.files}

    def uploaded(self) -> set[str]:
        """The paths below an upload to which files were sent."""
        return {path.split("/", 3)[3] for path in self.said("PUT") if path.startswith("/uploads/")}

    def said(self, method: str) -> list[str]:
        """Return the paths of the requests with a method."""
        return [path for verb, path in self.requests if verb == method]

    # The proxy's part in an exchange.

    def own_answer(self, method: str, path: str) -> tuple[int, Any] | None:
        for (verb, end), answer in self.answers.items():
            if verb == method and path.endswith(end):
                return answer
        for (verb, end), story in self.stories.items():
            if verb == method and path.endswith(end):
                return 200, story.pop(0) if len(story) > 1 else story[0]
        return None

    def go_on(self) -> None:
        """Do what builder, host and gateways would have done since the last poll."""
        if self.steps and self.control.report_step(self.steps[0]):
            self.steps.pop(0)
            return
        if self.failure:
            self.control.fail_builds(self.failure)
        self.control.settle()


@pytest.fixture(scope="session")
def shared_platform(
    recycled_database: RecycledDatabase, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[PlatformProxy]:
    recycled_database.reset()
    proxy = PlatformProxy(recycled_database, tmp_path_factory.mktemp("platform"))
    yield proxy
    proxy.close()


@pytest.fixture
def platform(shared_platform: PlatformProxy, recycled_database: RecycledDatabase) -> Iterator[PlatformProxy]:
    """A platform without resources and without faults."""
    shared_platform.reset()
    yield shared_platform
    recycled_database.check_returned()


class _Handler(BaseHTTPRequestHandler):
    proxy: PlatformProxy
    protocol_version = "HTTP/1.1"
    # Head and body in one packet: a second packet would wait 40 ms for the client's delayed acknowledgement.
    wbufsize = -1

    def setup(self) -> None:
        super().setup()
        origin = urlsplit(self.proxy.control.url)
        self.control_plane = HTTPConnection(str(origin.hostname), origin.port)

    def finish(self) -> None:
        self.control_plane.close()
        super().finish()

    def _serve(self) -> None:
        proxy, path = self.proxy, unquote(urlsplit(self.path).path)
        proxy.requests.append((self.command, path))
        proxy.headers.append(self.headers)
        if proxy.refuse_connections:
            proxy.refuse_connections -= 1
            self.close_connection = True
            return
        length = int(self.headers.get("Content-Length") or 0)
        is_upload = _UPLOAD.match(path) is not None
        if is_upload and proxy.break_after is not None and length > proxy.break_after:
            self._break_off(proxy.break_after)
            return
        content = self.rfile.read(length)
        if not is_upload:
            proxy.bodies.append(json.loads(content) if content else None)
        if (own := proxy.own_answer(self.command, path)) is not None:
            status, body = own
            self._reply(
                status, {}, body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
            )
            return
        if _OPERATION.search(path):
            proxy.go_on()
        self._forward(content)
        answer = self.control_plane.getresponse()
        body, headers = answer.read(), {name.lower(): value for name, value in answer.getheaders()}
        if self.command == "PUT" and proxy.lose_answer_of and path.endswith(proxy.lose_answer_of):
            proxy.lose_answer_of = None
            self.close_connection = True
            return
        # A client polls at once: the platform's pause of a second would make the tests slow.
        self._reply(answer.status, {**headers, "retry-after": "0.001"}, body)

    do_GET = do_PUT = do_POST = do_PATCH = do_DELETE = do_HEAD = _serve  # noqa: N815 - names of the base class

    def _forward(self, content: bytes) -> None:
        headers = dict(self.headers.items())
        self.control_plane.request(self.command, self.path, content or None, headers)

    def _break_off(self, after: int) -> None:
        """Send the beginning of an upload to the control plane, then cut both connections."""
        self.proxy.break_after = None
        self.control_plane.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
        for name, value in self.headers.items():
            self.control_plane.putheader(name, value)
        self.control_plane.endheaders(self.rfile.read(after))
        self.control_plane.close()
        self.close_connection = True

    def _reply(self, status: int, headers: Mapping[str, str], content: bytes) -> None:
        self.send_response(status)
        for name, value in headers.items():
            if name not in _PER_CONNECTION:
                self.send_header(name, value)
        length = headers.get("content-length") if self.command == "HEAD" else None
        self.send_header("Content-Length", length or str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def log_message(self, format: str, *args: Any) -> None:
        pass


def _encoded(body: Any) -> bytes:
    return body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
