"""The control plane as a process, started as by the supervisor."""

import hashlib
import os
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import httpx2
import psutil
import pytest
from sqlalchemy import Engine

from modelyard.core.db.rows import AdminTokenRow
from modelyard.core.db.unit_of_work import sessions_of
from modelyard.process.program import program_command
from modelyard.supervisor.generated_secrets import new_master_key
from tests.control_plane.control import DIGEST, PATIENCE_SECONDS, TOKEN, WORKSPACE, Upload, anonymous

_MIB = 1 << 20


class Process:
    def __init__(self, engine: Engine, folder: Path, database_url: str, broker_url: str) -> None:
        with sessions_of(engine).begin() as session:
            session.add(AdminTokenRow(digest=DIGEST))
        self.folder = folder
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.lifeline, self.lifeline_end = os.pipe()
        settings = {
            "MODELYARD_DATA_DIR": str(folder),
            "MODELYARD_DATABASE_URL": database_url,
            "MODELYARD_BROKER_URL": broker_url,
            "MODELYARD_STORAGE_URL": (folder / "objects").as_uri(),
            "MODELYARD_MASTER_KEY": new_master_key(),
        }
        fds = (self.listener.fileno(), self.lifeline)
        command = program_command("control_plane.main", "--fd", str(fds[0]), "--lifeline-fd", str(fds[1]))
        with (folder / "log").open("wb") as log:
            self.process = subprocess.Popen(command, pass_fds=fds, env={**os.environ, **settings}, stderr=log)
        self.url = f"http://127.0.0.1:{self.listener.getsockname()[1]}"

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        self.listener.close()
        os.close(self.lifeline)
        self.cut_lifeline()

    def cut_lifeline(self) -> None:
        if self.lifeline_end >= 0:
            os.close(self.lifeline_end)
            self.lifeline_end = -1

    def ask(self, method: str, path: str, body: object = None) -> httpx2.Response:
        headers = {"Authorization": f"Bearer {TOKEN}"}
        return anonymous.request(method, f"{self.url}{WORKSPACE}{path}", json=body, headers=headers)

    def start_upload(self) -> Upload:
        return Upload(self.ask("POST", "/models/m/versions/1/startPendingUpload").json()["blobReferenceForConsumption"])

    @property
    def memory(self) -> int:
        return psutil.Process(self.process.pid).memory_info().rss


@pytest.fixture
def process(own_engine: Engine, tmp_path: Path, database_url: str, broker_url: str) -> Iterator[Process]:
    with closing(Process(own_engine, tmp_path, database_url, broker_url)) as process:
        # The socket listens already: the request waits in the queue of the socket until the process accepts.
        assert anonymous.get(f"{process.url}/ready").status_code == 200
        yield process


class TestShutdown:
    def test_sigterm_ends_the_process_with_exit_code_0(self, process):
        process.process.send_signal(signal.SIGTERM)
        assert process.process.wait(PATIENCE_SECONDS) == 0

    def test_process_ends_with_its_lifeline(self, process):
        process.cut_lifeline()
        assert process.process.wait(PATIENCE_SECONDS) == 0

    def test_upload_under_way_does_not_delay_shutdown(self, process):
        url = httpx2.URL(process.start_upload().url("model/f"))
        with socket.create_connection((url.host, url.port)) as sender:
            sender.sendall(
                f"PUT {url.raw_path.decode()} HTTP/1.1\r\nHost: x\r\nContent-Length: {4 * _MIB}\r\n"
                "Expect: 100-continue\r\n\r\n".encode()
            )
            assert sender.recv(1 << 16).startswith(b"HTTP/1.1 100")
            sender.sendall(bytes(2 * _MIB))
            process.process.send_signal(signal.SIGTERM)
            assert process.process.wait(PATIENCE_SECONDS) == 0


def test_large_file_is_streamed_with_bounded_memory(process):
    size, piece = 384 * _MIB, os.urandom(_MIB)
    digest = hashlib.sha256()

    seen: list[int] = []

    def pieces() -> Iterator[bytes]:
        for _ in range(size // _MIB):
            digest.update(piece)
            seen.append(process.memory)
            yield piece

    upload = process.start_upload()
    before = process.memory
    answer = anonymous.put(upload.url("model/weights"), content=pieces(), headers={"Content-Length": str(size)})
    assert answer.status_code == 201
    body = {"properties": {"modelType": "custom_model", "modelUri": f"{upload.uri}/model"}}
    assert process.ask("PUT", "/models/m/versions/1", body).status_code == 201
    (file,) = process.ask("GET", "/models/m/versions/1/files").json()["value"]
    assert (file["size"], file["sha256"]) == (size, digest.hexdigest())
    received = hashlib.sha256()
    with anonymous.stream("GET", file["url"]) as stream:
        for chunk in stream.iter_bytes():
            received.update(chunk)
            seen.append(process.memory)
    assert received.hexdigest() == digest.hexdigest()
    assert max(seen) - before < 96 * _MIB
