"""Small generated packages, and an index on loopback with upload times."""

import base64
import hashlib
import json
import threading
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from builder.wheels.packed_environment import PackedEnvironment, PackedWheel, document_key
from modelyard.core.domain.environment_spec import EnvironmentLock
from modelyard.core.ports.object_store import ObjectStore


def make_wheel(
    folder: Path,
    name: str,
    version: str = "1.0",
    *,
    code: str = "",
    requires: Sequence[str] = (),
    modules: Mapping[str, str] | None = None,
    unrecorded: Mapping[str, str] | None = None,
) -> Path:
    """Make a wheel with the package `name` of `code`, or with the files `modules`. RECORD lacks `unrecorded`."""
    information = f"{name}-{version}.dist-info"
    metadata = ["Metadata-Version: 2.1", f"Name: {name}", f"Version: {version}"]
    metadata += [f"Requires-Dist: {requirement}" for requirement in requires]
    files = {
        **(modules or {f"{name}/__init__.py": code}),
        f"{information}/METADATA": "\n".join(metadata) + "\n",
        f"{information}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = "".join(f"{path},{_record_hash(text)},{len(text)}\n" for path, text in files.items())
    files |= {f"{information}/RECORD": f"{record}{information}/RECORD,,\n", **(unrecorded or {})}
    folder.mkdir(parents=True, exist_ok=True)
    wheel = folder / f"{name}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        for path, text in files.items():
            archive.writestr(path, text)
    return wheel


def _record_hash(text: str) -> str:
    digest = hashlib.sha256(text.encode()).digest()
    return "sha256=" + base64.urlsafe_b64encode(digest).decode().rstrip("=")


@dataclass
class PackageIndex:
    """A package index: wheels with upload times."""

    folder: Path
    port: int = 0
    uploaded: dict[str, str] = field(default_factory=dict)
    credentials: str | None = None
    """"user:password" that every request must have."""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/simple/"

    def add(self, name: str, version: str = "1.0", *, at: str = "2020-01-01T00:00:00Z", **options) -> None:
        self.uploaded[make_wheel(self.folder, name, version, **options).name] = at

    def file(self, name: str) -> bytes | None:
        """A wheel, or a wheel's metadata."""
        wheel = self.folder / Path(name).name.removesuffix(".metadata")
        if not wheel.is_file():
            return None
        if not name.endswith(".metadata"):
            return wheel.read_bytes()
        with zipfile.ZipFile(wheel) as archive:
            (inner,) = (entry for entry in archive.namelist() if entry.endswith("/METADATA"))
            return archive.read(inner)

    def page(self, name: str) -> bytes | None:
        files = [
            {
                "filename": wheel.name,
                "url": f"/files/{wheel.name}",
                "hashes": {"sha256": hashlib.sha256(wheel.read_bytes()).hexdigest()},
                "upload-time": self.uploaded[wheel.name],
                "core-metadata": True,
            }
            for wheel in sorted(self.folder.glob(f"{name.replace('-', '_')}-*.whl"))
        ]
        document = {"meta": {"api-version": "1.1"}, "name": name, "files": files, "versions": []}
        return json.dumps(document).encode() if files else None


@contextmanager
def served(index: PackageIndex) -> Iterator[PackageIndex]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(index))
    index.port = server.server_port
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield index
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _handler(index: PackageIndex) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        disable_nagle_algorithm = True

        def do_GET(self) -> None:
            if not self._is_allowed():
                self.send_response(401)
                self.send_header("WWW-Authenticate", 'Basic realm="index"')
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            kind, _, name = self.path.strip("/").partition("/")
            if kind == "files":
                self._answer(index.file(name), "application/octet-stream")
            else:
                self._answer(index.page(name), "application/vnd.pypi.simple.v1+json")

        def do_HEAD(self) -> None:
            self.do_GET()

        def _is_allowed(self) -> bool:
            sent = self.headers.get("Authorization", "").removeprefix("Basic ")
            return index.credentials is None or base64.b64decode(sent).decode() == index.credentials

        def _answer(self, content: bytes | None, kind: str) -> None:
            self.send_response(404 if content is None else 200)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(content or b"")))
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(content or b"")

        def log_message(self, *_: object) -> None: ...

    return Handler


def store_packed(store: ObjectStore, lock: EnvironmentLock, wheels: Sequence[Path]) -> None:
    """Store a packed environment as a builder does."""
    packed = []
    for wheel in wheels:
        content = wheel.read_bytes()
        key = f"wheels/{wheel.stem}/{hashlib.sha256(content).hexdigest()}/{wheel.name}"
        packed.append(PackedWheel(key, store.put(key, [content])))
    store.put(document_key(lock.digest), [PackedEnvironment(lock, tuple(packed)).to_json()])
