"""A started model worker, described by a run file: every reader of the file can find and end the worker.

Run files outlive the host; the next host takes the workers over.
"""

import json
import logging
import os
import shutil
import signal
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from subprocess import Popen
from typing import Any

from data_plane.replicas.local.processes import Process
from modelyard.core.data_dir import DataDir
from modelyard.core.domain.documents import VERSION, check_format, known_fields
from modelyard.process.atomic_files import replace_file
from modelyard.process.cgroups import remove_group
from modelyard.process.rotated_log import RotatedLog

_log = logging.getLogger(__name__)

_FORMAT = 1
"""Raised when an older reader could no longer find or end the worker. Readers ignore unknown fields."""

BATCH_WORKER_LABEL = "batch_worker"
"""Label of a batch worker's model workers: not managed by the host, ended by the batch worker's successor."""

_RUN_FILE = ".json"
_EXIT_FILE = ".exit"
_KILL_NOTE = ".killed"
_FAULT_NOTE = ".fault"


@dataclass(frozen=True, slots=True)
class WorkerProcess:
    worker_id: str
    endpoint: str
    deployment: str
    generation: int
    process: Process
    """The worker itself; the pid is also the id of the process group."""

    shim: Process
    socket: Path
    log: Path
    folder: Path
    """Private to the worker: HOME and TMPDIR."""

    run_file: Path
    started_at: float
    protections: tuple[str, ...] = ()
    """Names of the sandbox's protections in force."""

    labels: Mapping[str, str] = field(default_factory=dict, compare=False)
    popen: "Popen[bytes] | None" = field(default=None, compare=False, repr=False)
    """The shim as a child process, for the parent only: the parent has to wait for the shim."""

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def exit_file(self) -> Path:
        return self.run_file.with_suffix(_EXIT_FILE)

    @property
    def kill_note(self) -> Path:
        return self.run_file.with_suffix(_KILL_NOTE)

    @property
    def fault_note(self) -> Path:
        return self.run_file.with_suffix(_FAULT_NOTE)

    def protocol_fault(self) -> str | None:
        """Return the fault that a gateway found in the worker's messages."""
        try:
            return self.fault_note.read_text()
        except FileNotFoundError:
            return None

    def is_running(self) -> bool:
        """Return whether the worker runs, or the shim has yet to record the worker's end."""
        return self.process.is_running() or self._shim_is_running()

    def _shim_is_running(self) -> bool:
        return self.shim.is_running() if self.popen is None else self.popen.poll() is None


@dataclass(frozen=True, slots=True)
class WorkerPaths:
    """Files of one worker in the data dir."""

    data_dir: DataDir
    worker_id: str

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
        return self.data_dir.worker_run_files / f"{self.worker_id}{_RUN_FILE}"

    @property
    def exit_file(self) -> Path:
        return self.run_file.with_suffix(_EXIT_FILE)

    def remove(self) -> None:
        """Remove the files of a worker without a run file."""
        shutil.rmtree(self.folder, ignore_errors=True)
        remove_group(self.worker_id)
        RotatedLog(self.log).remove()
        self.socket.unlink(missing_ok=True)


def write_run_file(worker: WorkerProcess) -> None:
    document = {
        VERSION: _FORMAT,
        "worker_id": worker.worker_id,
        "endpoint": worker.endpoint,
        "deployment": worker.deployment,
        "generation": worker.generation,
        "process": asdict(worker.process),
        "keeper": asdict(worker.shim),
        "socket": str(worker.socket),
        "log": str(worker.log),
        "folder": str(worker.folder),
        "started_at": worker.started_at,
        "protections": list(worker.protections),
        "labels": dict(worker.labels),
    }
    replace_file(worker.run_file, json.dumps(document, indent=1), mode=0o600)


def read_run_file(path: Path) -> WorkerProcess:
    """Raises UnreadableFormat for the run file of a host that is a major format version ahead."""
    document: dict[str, Any] = json.loads(path.read_text())
    check_format(document, noun=f"run file {path.name}", newest=_FORMAT)
    return WorkerProcess(
        worker_id=document["worker_id"],
        endpoint=document["endpoint"],
        deployment=document["deployment"],
        generation=document["generation"],
        process=Process(**known_fields(Process, document["process"])),
        shim=Process(**known_fields(Process, document["keeper"])),
        socket=Path(document["socket"]),
        log=Path(document["log"]),
        folder=Path(document["folder"]),
        run_file=path,
        started_at=document["started_at"],
        protections=tuple(document.get("protections", ())),
        labels=document["labels"],
    )


def find_all(run_dir: Path) -> list[WorkerProcess]:
    """Return every worker with a run file: running workers, and ended workers before `remove`.

    A run file of an unreadable format is left alone: a worker without a host exits.
    """
    found = []
    for path in sorted(run_dir.glob(f"*{_RUN_FILE}")):
        if path.name.startswith("."):
            continue
        try:
            found.append(read_run_file(path))
        except FileNotFoundError:
            # Removed in the meantime, with its worker.
            continue
        except (ValueError, KeyError) as error:
            _log.error("the worker of run file %s is left alone: %r", path.name, error)
    return found


def kill(worker: WorkerProcess, reason: str) -> None:
    """End the worker and every process of its group now. `exit_reason` will give the reason."""
    replace_file(worker.kill_note, reason, mode=0o600)
    if worker.process.is_running():
        _signal(os.killpg, worker.pid)
        # Before the worker has made a process group, only the pid reaches the worker.
        _signal(os.kill, worker.pid)


def note_protocol_fault(data_dir: DataDir, worker_id: str, reason: str) -> None:
    """Have the host replace a worker whose messages a gateway cannot read."""
    run_file = WorkerPaths(data_dir, worker_id).run_file
    if run_file.exists():
        replace_file(run_file.with_suffix(_FAULT_NOTE), reason, mode=0o600)


def _signal(send: Callable[[int, int], None], pid: int) -> None:
    try:
        send(pid, signal.SIGKILL)
    except ProcessLookupError:
        return


def wait_for_end(worker: WorkerProcess, timeout: float) -> bool:
    """Return whether the worker's end is on record within `timeout` seconds."""
    deadline = time.monotonic() + timeout
    while worker.is_running():
        if time.monotonic() >= deadline:
            return False
        time.sleep(0.01)
    return True


def remove(worker: WorkerProcess, *, keep_log: bool = True) -> None:
    """Remove the files of an ended worker. The host keeps the log until the log is shipped."""
    shutil.rmtree(worker.folder, ignore_errors=True)
    remove_group(worker.worker_id)
    leftovers = [worker.socket, worker.exit_file, worker.kill_note, worker.fault_note]
    if not keep_log:
        RotatedLog(worker.log).remove()
    for path in [*leftovers, worker.run_file]:
        path.unlink(missing_ok=True)
