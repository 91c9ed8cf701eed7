"""Starts a model worker under a keeper, as another user when the platform is root.

The worker inherits one descriptor: a listening Unix socket that the platform bound in a folder which the worker
cannot enter. It outlives the host that started it; its run file says how to find it again.
"""

import json
import os
import secrets
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from data_plane.replicas.local import worker_archive
from data_plane.replicas.local.processes import Process, children, identify
from data_plane.replicas.local.worker_environment import environment_of_worker
from data_plane.replicas.local.worker_process import (
    WorkerProcess,
    exit_file_path,
    remove,
    run_file_path,
    write_run_file,
)
from modelyard.core.data_dir import DataDir
from modelyard.process.shim_command import shim_command

_BACKLOG = 128


@dataclass(frozen=True, slots=True)
class WorkerSpec:
    worker_id: str
    """From `new_worker_id`: it names files and a socket, whose path must stay short."""

    endpoint: str
    deployment: str
    generation: int
    python: Path
    """The environment's own interpreter, by its absolute path."""

    bundle_dir: Path
    model_dir: Path
    """Becomes AZUREML_MODEL_DIR: the folder in which the registered model folder lies."""

    data_dir: DataDir
    environment_variables: Mapping[str, str] = field(default_factory=dict)
    threads: int = 1
    uid: int | None = None
    gid: int | None = None
    lifeline_fd: int | None = None
    """Read end of the supervisor's lifeline. Without one the worker ends with its host's absence alone."""

    host_timeout: float = 60
    nice: int = 0
    labels: Mapping[str, str] = field(default_factory=dict)
    """What the host notes in the run file, for the next host and for whoever asks what is in use."""

    def __post_init__(self) -> None:
        if not self.python.is_absolute():
            raise ValueError(f"the worker's interpreter must be an absolute path, not {self.python}")
        if self.gid is not None and self.uid is None:
            raise ValueError("a gid without a uid leaves the worker the platform's own user")

    @property
    def folder(self) -> Path:
        return self.data_dir.workers / self.worker_id

    @property
    def log(self) -> Path:
        return self.data_dir.workers / f"{self.worker_id}.log"

    @property
    def socket(self) -> Path:
        return self.data_dir.socket_dir / f"{self.worker_id}.sock"

    @property
    def run_file(self) -> Path:
        return run_file_path(self.data_dir.worker_run_files, self.worker_id)

    @property
    def exit_file(self) -> Path:
        return exit_file_path(self.run_file)

    @property
    def group(self) -> int:
        return self.gid if self.gid is not None else self.uid or 0


def new_worker_id() -> str:
    return secrets.token_hex(6)


def spawn(spec: WorkerSpec) -> WorkerProcess:
    """Returns once the process exists; whether its model loads is for its STATUS to say."""
    spec.folder.mkdir(mode=0o700)
    try:
        popen = _start(spec)
    except BaseException:
        shutil.rmtree(spec.folder)
        spec.socket.unlink(missing_ok=True)
        raise
    worker = _started(spec, popen)
    try:
        write_run_file(worker)
    except BaseException:
        # A worker that nobody could find again must not be.
        popen.terminate()
        popen.wait()
        remove(worker)
        raise
    return worker


def _start(spec: WorkerSpec) -> "subprocess.Popen[bytes]":
    archive = worker_archive.build(spec.data_dir.runtime)
    configuration = _fill_folder(spec)
    with _listener(spec.socket) as listening, _lifeline(spec) as lifeline:
        command = [*_keeper_command(spec, listening, lifeline[0]), "--", str(spec.python), "-I", "-S", str(archive)]
        command += ["--config", str(configuration), "--listen-fd", str(listening)]
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env={},
            cwd="/",
            pass_fds=(listening, *lifeline),
            # The worker outlives its host, and what ends the host's group does not end it.
            start_new_session=True,
        )


def _fill_folder(spec: WorkerSpec) -> Path:
    """The worker's configuration. The folder is handed over last: until then nobody interferes."""
    configuration = spec.folder / "worker.json"
    configuration.touch(mode=0o600)
    configuration.write_text(json.dumps(_configuration(spec), indent=1))
    if spec.uid is not None:
        os.chown(configuration, spec.uid, spec.group)
        os.chown(spec.folder, spec.uid, spec.group)
    return configuration


def _configuration(spec: WorkerSpec) -> dict[str, object]:
    return {
        "worker_id": spec.worker_id,
        "endpoint": spec.endpoint,
        "deployment": spec.deployment,
        "generation": spec.generation,
        "bundle_dir": str(spec.bundle_dir),
        "model_dir": str(spec.model_dir),
        "threads": spec.threads,
        "host_timeout": spec.host_timeout,
        "environment": environment_of_worker(
            python=spec.python,
            folder=spec.folder,
            model_dir=spec.model_dir,
            threads=spec.threads,
            chosen=spec.environment_variables,
        ),
    }


@contextmanager
def _listener(path: Path) -> Iterator[int]:
    """A bound socket for the worker alone: while the platform holds it too, a dead worker looks alive."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        listener.bind(os.fspath(path))
        listener.listen(_BACKLOG)
        yield listener.fileno()


@contextmanager
def _lifeline(spec: WorkerSpec) -> Iterator[tuple[int, ...]]:
    """What the keeper inherits to know of the supervisor's end."""
    if spec.lifeline_fd is not None:
        yield (spec.lifeline_fd,)
        return
    # A pipe whose both ends the keeper holds never reaches its end.
    ends = os.pipe()
    try:
        yield ends
    finally:
        for end in ends:
            os.close(end)


def _keeper_command(spec: WorkerSpec, listening: int, lifeline: int) -> list[str]:
    command = shim_command(lifeline, "--exit-file", str(spec.exit_file), "--pass-fd", str(listening))
    command += ["--log", str(spec.log), "--cwd", str(spec.folder), "--nice", str(spec.nice)]
    if spec.uid is not None:
        command += ["--uid", str(spec.uid), "--gid", str(spec.group)]
    return command


_ENDED = "ended"


def _started(spec: WorkerSpec, popen: "subprocess.Popen[bytes]") -> WorkerProcess:
    return WorkerProcess(
        worker_id=spec.worker_id,
        endpoint=spec.endpoint,
        deployment=spec.deployment,
        generation=spec.generation,
        keeper=identify(popen.pid) or Process(popen.pid, _ENDED),
        process=_await_child(popen, spec.exit_file),
        socket=spec.socket,
        log=spec.log,
        folder=spec.folder,
        run_file=spec.run_file,
        started_at=time.time(),
        labels=spec.labels,
        popen=popen,
    )


def _await_child(popen: "subprocess.Popen[bytes]", exit_file: Path) -> Process:
    """The keeper's one child. Asked of the system, because what a worker says of itself could name another's pid."""
    while popen.poll() is None:
        for pid in children(popen.pid):
            if (process := identify(pid)) is not None:
                return process
        time.sleep(0.002)
    pid = json.loads(exit_file.read_text())["pid"] if exit_file.exists() else popen.pid
    return Process(pid, _ENDED)
