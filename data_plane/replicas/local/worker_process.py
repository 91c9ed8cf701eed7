"""A model worker that was started, as its run file tells: whoever reads the file can find and end the worker.

Run files outlive the host that wrote them; the next host takes the workers over.
"""

import json
import os
import shutil
import signal
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from subprocess import Popen
from typing import Any

from data_plane.replicas.local.processes import Process, identify
from modelyard.core.data_dir import DataDir
from modelyard.core.domain.documents import known_fields
from modelyard.process.atomic_files import replace_file

_RUN_FILE = ".json"
_EXIT_FILE = ".exit"
_KILL_NOTE = ".killed"


@dataclass(frozen=True, slots=True)
class WorkerProcess:
    worker_id: str
    endpoint: str
    deployment: str
    generation: int
    process: Process
    """The worker itself; its pid is its process group's too."""

    keeper: Process
    socket: Path
    log: Path
    folder: Path
    """Private to the worker: its HOME and TMPDIR."""

    run_file: Path
    started_at: float
    labels: Mapping[str, str] = field(default_factory=dict, compare=False)
    """The host's notes. `environment` names the folder in use below the data dir's environments/."""

    popen: "Popen[bytes] | None" = field(default=None, compare=False, repr=False)
    """The keeper, in the process that started it, so that it can be reaped."""

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def exit_file(self) -> Path:
        return exit_file_path(self.run_file)

    @property
    def kill_note(self) -> Path:
        return self.run_file.with_suffix(_KILL_NOTE)

    def is_running(self) -> bool:
        """Whether the worker, or the keeper that is about to record its end, is still there."""
        return self.process.is_running() or self._keeper_is_running()

    def _keeper_is_running(self) -> bool:
        return self.keeper.is_running() if self.popen is None else self.popen.poll() is None


def run_file_path(run_dir: Path, worker_id: str) -> Path:
    return run_dir / f"{worker_id}{_RUN_FILE}"


def exit_file_path(run_file: Path) -> Path:
    return run_file.with_suffix(_EXIT_FILE)


def write_run_file(worker: WorkerProcess) -> None:
    document = {
        "worker_id": worker.worker_id,
        "endpoint": worker.endpoint,
        "deployment": worker.deployment,
        "generation": worker.generation,
        "process": asdict(worker.process),
        "keeper": asdict(worker.keeper),
        "socket": str(worker.socket),
        "log": str(worker.log),
        "folder": str(worker.folder),
        "started_at": worker.started_at,
        "labels": dict(worker.labels),
    }
    replace_file(worker.run_file, json.dumps(document, indent=1), mode=0o600)


def read_run_file(path: Path) -> WorkerProcess:
    document: dict[str, Any] = json.loads(path.read_text())
    return WorkerProcess(
        worker_id=document["worker_id"],
        endpoint=document["endpoint"],
        deployment=document["deployment"],
        generation=document["generation"],
        process=Process(**known_fields(Process, document["process"])),
        keeper=Process(**known_fields(Process, document["keeper"])),
        socket=Path(document["socket"]),
        log=Path(document["log"]),
        folder=Path(document["folder"]),
        run_file=path,
        started_at=document["started_at"],
        labels=document["labels"],
    )


def find_all(run_dir: Path) -> list[WorkerProcess]:
    """Every worker with a run file, whether it still runs or has ended and awaits `remove`."""
    return [read_run_file(path) for path in sorted(run_dir.glob(f"*{_RUN_FILE}")) if not path.name.startswith(".")]


def find_running(run_dir: Path) -> list[WorkerProcess]:
    return [worker for worker in find_all(run_dir) if worker.is_running()]


def stop(worker: WorkerProcess) -> None:
    """Have its keeper end it: SIGTERM, and after a grace of seconds the whole group is killed."""
    if identify(worker.keeper.pid) == worker.keeper:
        _signal(os.kill, worker.keeper.pid, signal.SIGTERM)


def kill(worker: WorkerProcess, because: str) -> None:
    """End the worker and every process of its group now. The reason is what `exit_reason` will give."""
    replace_file(worker.kill_note, because, mode=0o600)
    if worker.process.is_running():
        _signal(os.killpg, worker.pid, signal.SIGKILL)
        # Between its birth and its own process group, a worker is hit by its pid only.
        _signal(os.kill, worker.pid, signal.SIGKILL)


def _signal(send: Any, pid: int, number: signal.Signals) -> None:
    try:
        send(pid, number)
    except ProcessLookupError:
        return


def wait_for_end(worker: WorkerProcess, timeout: float) -> bool:
    """Whether the worker ended, and its end was recorded, in time."""
    deadline = time.monotonic() + timeout
    while worker.is_running():
        if time.monotonic() >= deadline:
            return False
        time.sleep(0.01)
    return True


def remove_leftovers(data_dir: DataDir) -> None:
    """What a host left that died between making a worker's folder and writing its run file."""
    known = {path.stem for path in data_dir.worker_run_files.glob(f"*{_RUN_FILE}")}
    for folder in data_dir.workers.iterdir():
        if folder.is_dir() and folder.name not in known:
            shutil.rmtree(folder, ignore_errors=True)
    beside = [*data_dir.socket_dir.glob("*.sock"), *data_dir.worker_run_files.glob(f"*{_EXIT_FILE}")]
    for path in beside:
        if path.stem not in known:
            path.unlink(missing_ok=True)


def remove(worker: WorkerProcess, *, keep_log: bool = True) -> None:
    """Take away what a worker that has ended leaves behind. Its log stays until it has been shipped."""
    shutil.rmtree(worker.folder, ignore_errors=True)
    leftovers = [worker.socket, worker.exit_file, worker.kill_note]
    if not keep_log:
        leftovers.append(worker.log)
    for path in [*leftovers, worker.run_file]:
        path.unlink(missing_ok=True)
