"""Model workers for tests: real processes in a temporary folder, ended with the test."""

import itertools
import json
import os
import signal
import socket
import sys
import textwrap
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from data_plane.replicas.local.blocking_connection import BlockingWorkerConnection, Role
from data_plane.replicas.local.processes import identify
from data_plane.replicas.local.spawn import LaunchSettings, spawn
from data_plane.replicas.local.worker_process import WorkerProcess, find_all, kill, remove, wait_for_end
from data_plane.replicas.port import ReplicaSpec
from data_plane.worker import frames
from modelyard.core.data_dir import DataDir

BUSY_POLL_SECONDS = 0.0003
PATIENCE = 120.0

ECHO = """
    def init():
        pass

    def run(input_data, params=None):
        return {"input": input_data, "params": params}
"""

# Scores until the test creates the file that the request names.
GATED = """
    import os, time

    def init():
        pass

    def run(input_data, params=None):
        print("begins", input_data, flush=True)
        while not os.path.exists(input_data):
            time.sleep(0.005)
        return "released"
"""


class WorkerHarness:
    def __init__(self, root: Path, python: Path) -> None:
        self.data_dir = DataDir(root / "data")
        self.data_dir.prepare()
        self.python = python
        self._bundles = itertools.count(1)
        self._workers: list[WorkerProcess] = []
        self._closing: list[Any] = []

    def spec(self, script: str, **changes: Any) -> ReplicaSpec:
        bundle = self.data_dir.bundles / f"bundle-{next(self._bundles)}"
        bundle.mkdir()
        bundle.chmod(0o755)
        (bundle / "score.py").write_text(textwrap.dedent(script))
        spec = ReplicaSpec(
            endpoint="wines",
            deployment="blue",
            generation=3,
            python=self.python,
            bundle_dir=bundle,
            model_dir=self.data_dir.models,
        )
        return replace(spec, **changes)

    def start(self, script: str = ECHO, *, launch: dict[str, Any] | None = None, **changes: Any) -> WorkerProcess:
        """`launch` changes the LaunchSettings, `changes` the ReplicaSpec."""
        settings = LaunchSettings(self.data_dir, **{"busy_poll_seconds": BUSY_POLL_SECONDS, **(launch or {})})
        return self.adopt(spawn(self.spec(script, **changes), settings))

    def adopt(self, model_worker: WorkerProcess) -> WorkerProcess:
        """End the worker with the test."""
        self._workers.append(model_worker)
        return model_worker

    def connect(self, model_worker: WorkerProcess, role: Role = "host") -> BlockingWorkerConnection:
        connection = BlockingWorkerConnection(model_worker.socket, role=role, timeout=PATIENCE)
        self._closing.append(connection)
        return connection

    def ready(self, script: str = ECHO, **changes: Any) -> tuple[WorkerProcess, BlockingWorkerConnection]:
        model_worker = self.start(script, **changes)
        connection = self.connect(model_worker)
        status = connection.wait_until_loaded(PATIENCE)
        assert status.state == "ready", model_worker.log.read_text()
        return model_worker, connection

    def speak(self, model_worker: WorkerProcess) -> "RawPeer":
        peer = RawPeer(model_worker.socket)
        self._closing.append(peer)
        return peer

    def end(self) -> None:
        """End the workers; others can be started afterwards."""
        closing, self._closing = self._closing, []
        for connection in closing:
            connection.close()
        workers, self._workers = self._workers, []
        for model_worker in workers:
            kill(model_worker, "the test is over")
            assert wait_for_end(model_worker, PATIENCE)
            remove(model_worker, keep_log=False)


def processor_seconds(pid: int) -> float:
    """User and system time of all threads of a process."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class RawPeer:
    """A connection that sends exactly the frames of the test."""

    def __init__(self, path: Path) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._socket.settimeout(PATIENCE)
        self._socket.connect(str(path))
        self._reader = frames.FrameReader()
        self._arrived: list[frames.Frame] = []

    def hello(self, role: str = "gateway") -> dict[str, Any]:
        self.send(frames.HELLO, {"protocol": [frames.VERSION], "role": role})
        return self.meta(frames.STATUS)

    def send(self, kind: int, meta: dict[str, Any], request_id: int = 0, body: bytes = b"") -> None:
        collected = frames.Body()
        collected.add(body)
        self.send_bytes(b"".join(frames.pack(kind, request_id, json.dumps(meta).encode(), collected)))

    def score(self, value: Any, request_id: int = 1, **meta: Any) -> None:
        text = json.dumps(value).encode()
        self.send(frames.SCORE, {"payload": {"kind": "json", "data": [0, len(text)]}, **meta}, request_id, text)

    def result(self) -> tuple[int, Any]:
        """(request id, the model's answer) of the next frame."""
        frame = self.next()
        assert frame is not None
        assert frame.kind == frames.RESULT, frame
        return frame.request_id, json.loads(frame.body)

    def send_bytes(self, data: bytes) -> None:
        self._socket.sendall(data)

    def next(self) -> frames.Frame | None:
        """None when the worker has closed the connection."""
        while not self._arrived:
            try:
                data = self._socket.recv(1 << 16)
            except ConnectionResetError:
                return None
            if not data:
                return None
            self._arrived += self._reader.feed(data)
        return self._arrived.pop(0)

    def meta(self, kind: int) -> dict[str, Any]:
        frame = self.next()
        assert frame is not None, "the worker closed the connection"
        assert frame.kind == kind, frame
        return frames.unpack_meta(frame.meta)

    def close(self) -> None:
        self._socket.close()


def eventually(condition: Callable[[], Any], *, within: float = PATIENCE) -> Any:
    """The condition's first true value."""
    deadline = time.monotonic() + within
    while True:
        value = condition()
        if value:
            return value
        assert time.monotonic() < deadline, "the condition never became true"
        time.sleep(0.01)


def running_workers(run_dir: Path) -> list[WorkerProcess]:
    return [worker for worker in find_all(run_dir) if worker.is_running()]


def stop(worker: WorkerProcess) -> None:
    """Have the process shim end the worker: SIGTERM, and after a grace SIGKILL for the whole process group."""
    if identify(worker.shim.pid) == worker.shim:
        os.kill(worker.shim.pid, signal.SIGTERM)


IS_LINUX = sys.platform.startswith("linux")
