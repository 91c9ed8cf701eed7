"""A small server that speaks the control plane's wire, for what needs misbehaviour on demand: broken uploads, slow
operations, refusals. It keeps whatever is PUT; the platform itself is tested end to end elsewhere."""

import hashlib
import json
import re
import threading
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from modelyard.client.platform import Platform

TOKEN = "platform-token"
_CHUNK = 1 << 16
_OPERATED = re.compile(r"/(online|batch)Endpoints/[^/]+(/deployments/[^/]+)?$")
_COLLECTION = re.compile(
    r"/(models|environments|data|versions|onlineEndpoints|batchEndpoints|deployments|workers|builtEnvironments|jobs)$"
)
_VERSION = re.compile(r"(?P<container>/(models|environments|data)/[^/]+)/versions/(?P<version>[^/]+)$")


class ArmServer:
    def __init__(self) -> None:
        self.resources: dict[str, dict[str, Any]] = {}
        self.uploads: dict[str, bytes] = {}
        self.requests: list[tuple[str, str]] = []
        self.bodies: list[Any] = []
        self.steps: list[str] = []
        """What each operation says of itself, one step a poll, before it ends."""
        self.failure: dict[str, Any] | None = None
        self.break_after: int | None = None
        """The next upload breaks off after so many bytes."""
        self.refused_upload: str | None = None
        """The upload to a path with this end is refused."""
        self.lose_answer_of: str | None = None
        """The next PUT to a path with this end takes effect, and its answer is lost."""
        self.refuse_connections = 0
        """So many requests are cut without an answer."""
        self.answers: dict[tuple[str, str], tuple[int, Any]] = {}
        """Fixed answers, by method and end of path."""
        self.stories: dict[tuple[str, str], list[Any]] = {}
        """Answers by method and end of path, of which each is given once and the last one for ever."""
        self.headers: list[Mapping[str, str]] = []
        self._operations: dict[str, list[str]] = {}
        server = self
        handler = type("Handler", (_Handler,), {"server_state": server})
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._thread = threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.01})
        self._thread.start()

    def close(self) -> None:
        self._http.shutdown()
        self._thread.join()
        self._http.server_close()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._http.server_address[1]}"

    @property
    def platform(self) -> Platform:
        return Platform(self.url, TOKEN)

    def at(self, path: str) -> dict[str, Any]:
        """The resource at a path below the workspace."""
        return self.resources[self.platform.workspace_id + path]

    def said(self, method: str) -> list[str]:
        return [path for verb, path in self.requests if verb == method]

    # The wire.

    def answer(self, method: str, path: str, query: str, body: Any) -> tuple[int, Any, dict[str, str]]:
        for (verb, end), (status, fixed) in self.answers.items():
            if verb == method and path.endswith(end):
                return status, fixed, {}
        for (verb, end), story in self.stories.items():
            if verb == method and path.endswith(end):
                return 200, story.pop(0) if len(story) > 1 else story[0], {}
        if path.startswith("/operations/"):
            return 200, self._poll(path.rpartition("/")[2]), {"Retry-After": "0.001"}
        if method == "PUT":
            return self._put(path, body)
        if method == "PATCH":
            return self._patch(path, body)
        if method == "DELETE":
            existed = self.resources.pop(path, None)
            return (202, None, self._begin()) if existed else (204, None, {})
        if path.endswith("/startPendingUpload"):
            return 200, self._pending_upload(), {}
        if path.endswith("/files"):
            return 200, {"value": self._files(self.resources[path.removesuffix("/files")])}, {}
        return self._get(path, query)

    def _put(self, path: str, body: dict[str, Any]) -> tuple[int, Any, dict[str, str]]:
        status = 200 if path in self.resources else 201
        resource = {**body, "id": path, "name": path.rpartition("/")[2]}
        resource["properties"] = {**resource["properties"], "provisioningState": "Succeeded"}
        if path.rpartition("/")[0].endswith("/onlineEndpoints"):
            resource["properties"]["scoringUri"] = f"{self.url}/{resource['name']}/score"
        if path.rpartition("/")[0].endswith("/batchEndpoints"):
            resource["properties"]["scoringUri"] = f"{self.url}/batch/{resource['name']}/jobs"
        self.resources[path] = resource
        if found := _VERSION.search(path):
            container = path[: found.end("container")]
            following = str(int(found["version"]) + 1) if found["version"].isdigit() else "1"
            self.resources[container] = {
                "id": container,
                "name": container.rpartition("/")[2],
                "properties": {"latestVersion": found["version"], "nextVersion": following},
            }
        return status, resource, self._begin() if _OPERATED.search(path) else {}

    def _patch(self, path: str, body: dict[str, Any]) -> tuple[int, Any, dict[str, str]]:
        resource = self.resources[path]
        resource["properties"] = {**resource["properties"], **body["properties"]}
        return 200, resource, self._begin()

    def _get(self, path: str, query: str) -> tuple[int, Any, dict[str, str]]:
        if path.endswith("workspaces/default"):
            return 200, {"location": "local"}, {}
        if path in self.resources:
            return 200, self.resources[path], {}
        below = [r for p, r in self.resources.items() if p.rpartition("/")[0] == path]
        if not below and not _COLLECTION.search(path):
            return 404, _error("ResourceNotFound", f"{path} does not exist"), {}
        newest = below[-1:] if parse_qs(query).get("$top") == ["1"] else below
        return 200, {"value": newest}, {}

    def _begin(self) -> dict[str, str]:
        name = f"op{len(self._operations)}"
        self._operations[name] = list(self.steps)
        return {"Azure-AsyncOperation": f"{self.url}/operations/{name}", "Retry-After": "0.001"}

    def _poll(self, name: str) -> dict[str, Any]:
        if self._operations[name]:
            return {"status": "InProgress", "properties": {"step": self._operations[name].pop(0)}}
        if self.failure:
            return {"status": "Failed", "error": self.failure}
        return {"status": "Succeeded", "properties": {}}

    def _pending_upload(self) -> dict[str, Any]:
        uri = f"{self.url}/uploads/one"
        return {"blobReferenceForConsumption": {"blobUri": uri, "credential": {"sasUri": f"{uri}?sig=signed"}}}

    def _files(self, version: dict[str, Any]) -> list[dict[str, Any]]:
        folder = unquote(urlsplit(version["properties"]["modelUri"]).path)
        stored = {name: content for name, content in self.uploads.items() if name.startswith(folder + "/")}
        return [
            {
                "path": str(PurePosixPath(name).relative_to(PurePosixPath(folder).parent)),
                "sha256": hashlib.sha256(content).hexdigest(),
                "size": len(content),
                "url": f"{self.url}{name}?sig=signed",
            }
            for name, content in stored.items()
        ]


def _error(code: str, message: str) -> dict[str, Any]:
    return {"error": {"code": code, "message": message}}


class _Handler(BaseHTTPRequestHandler):
    server_state: ArmServer
    protocol_version = "HTTP/1.1"

    def _serve(self) -> None:
        state = self.server_state
        path = unquote(urlsplit(self.path).path)
        state.requests.append((self.command, path))
        state.headers.append(self.headers)
        if state.refuse_connections:
            state.refuse_connections -= 1
            self.close_connection = True
            return
        if path.startswith("/uploads/"):
            self._blob(path)
            return
        raw = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        body = json.loads(raw) if raw else None
        state.bodies.append(body)
        if self.headers.get("Authorization") != f"Bearer {TOKEN}" and not path.endswith("/score"):
            self._reply(401, _error("Unauthorized", "the token is wrong"))
            return
        status, answer, headers = state.answer(self.command, path, urlsplit(self.path).query, body)
        if self.command == "PUT" and state.lose_answer_of and path.endswith(state.lose_answer_of):
            state.lose_answer_of = None
            self.close_connection = True
            return
        self._reply(status, answer, headers)

    do_GET = do_PUT = do_POST = do_PATCH = do_DELETE = do_HEAD = _serve  # noqa: N815 - the base class asks for these names

    def _blob(self, path: str) -> None:
        state = self.server_state
        assert "sig=signed" in self.path
        assert "Authorization" not in self.headers
        if self.command == "HEAD":
            known = path in state.uploads
            received = {"x-modelyard-received": str(len(state.uploads[path]))} if known else {}
            self._reply(200 if known else 404, None, received)
        elif self.command == "GET":
            self._send(200, state.uploads[path], {})
        else:
            self._receive(path)

    def _receive(self, path: str) -> None:
        state = self.server_state
        given = re.match(r"bytes (\d+)-", self.headers.get("Content-Range", ""))
        content = bytearray(state.uploads.get(path, b"")[: int(given[1]) if given else 0])
        left = int(self.headers["Content-Length"])
        while left:
            if state.break_after is not None and len(content) >= state.break_after:
                state.break_after = None
                self.close_connection = True
                state.uploads[path] = bytes(content)
                return
            chunk = self.rfile.read(min(_CHUNK, left))
            content += chunk
            left -= len(chunk)
        if state.refused_upload and path.endswith(state.refused_upload):
            self._reply(413, _error("PayloadTooLarge", "the file is too large"))
            return
        state.uploads[path] = bytes(content)
        self._reply(201, None)

    def _reply(self, status: int, answer: Any, headers: dict[str, str] | None = None) -> None:
        content = answer if isinstance(answer, bytes) else b"" if answer is None else json.dumps(answer).encode()
        self._send(status, content, headers or {})

    def _send(self, status: int, content: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def log_message(self, format: str, *args: Any) -> None:
        pass
