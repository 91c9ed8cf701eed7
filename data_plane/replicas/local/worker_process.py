"""A guest worker that was started, as its run file tells: whoever reads the file can find and end the guest.

Run files outlive the host that wrote them; the next host takes the guests over.
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
from modelyard.process.atomic_files import replace_file

_RUN_FILE = ".json"
_EXIT_FILE = ".exit"
_KILL_NOTE = ".killed"


@dataclass(frozen=True, slots=True)
class GuestProcess:
    guest_id: str
    endpoint: str
    deployment: str
    generation: int
    process: Process
    """The guest itself; its pid is its process group's too."""

    keeper: Process
    socket: Path
    log: Path
    folder: Path
    """Private to the guest: its HOME and TMPDIR."""

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
        """Whether the guest, or the keeper that is about to record its end, is still there."""
        return self.process.is_running() or self._keeper_is_running()

    def _keeper_is_running(self) -> bool:
        return self.keeper.is_running() if self.popen is None else self.popen.poll() is None


def run_file_path(run_dir: Path, guest_id: str) -> Path:
    return run_dir / f"{guest_id}{_RUN_FILE}"


def exit_file_path(run_file: Path) -> Path:
    return run_file.with_suffix(_EXIT_FILE)


def write_run_file(guest: GuestProcess) -> None:
    document = {
        "guest_id": guest.guest_id,
        "endpoint": guest.endpoint,
        "deployment": guest.deployment,
        "generation": guest.generation,
        "process": asdict(guest.process),
        "keeper": asdict(guest.keeper),
        "socket": str(guest.socket),
        "log": str(guest.log),
        "folder": str(guest.folder),
        "started_at": guest.started_at,
        "labels": dict(guest.labels),
    }
    replace_file(guest.run_file, json.dumps(document, indent=1), mode=0o600)


def read_run_file(path: Path) -> GuestProcess:
    document: dict[str, Any] = json.loads(path.read_text())
    return GuestProcess(
        guest_id=document["guest_id"],
        endpoint=document["endpoint"],
        deployment=document["deployment"],
        generation=document["generation"],
        process=Process(**document["process"]),
        keeper=Process(**document["keeper"]),
        socket=Path(document["socket"]),
        log=Path(document["log"]),
        folder=Path(document["folder"]),
        run_file=path,
        started_at=document["started_at"],
        labels=document["labels"],
    )


def find_all(run_dir: Path) -> list[GuestProcess]:
    """Every guest with a run file, whether it still runs or has ended and awaits `remove`."""
    return [read_run_file(path) for path in sorted(run_dir.glob(f"*{_RUN_FILE}")) if not path.name.startswith(".")]


def find_running(run_dir: Path) -> list[GuestProcess]:
    return [guest for guest in find_all(run_dir) if guest.is_running()]


def stop(guest: GuestProcess) -> None:
    """Have its keeper end it: SIGTERM, and after a grace of seconds the whole group is killed."""
    if identify(guest.keeper.pid) == guest.keeper:
        _signal(os.kill, guest.keeper.pid, signal.SIGTERM)


def kill(guest: GuestProcess, because: str) -> None:
    """End the guest and every process of its group now. The reason is what `exit_reason` will give."""
    replace_file(guest.kill_note, because, mode=0o600)
    if guest.process.is_running():
        _signal(os.killpg, guest.pid, signal.SIGKILL)
        # Between its birth and its own process group, a guest is hit by its pid only.
        _signal(os.kill, guest.pid, signal.SIGKILL)


def _signal(send: Any, pid: int, number: signal.Signals) -> None:
    try:
        send(pid, number)
    except ProcessLookupError:
        return


def wait_for_end(guest: GuestProcess, timeout: float) -> bool:
    """Whether the guest ended, and its end was recorded, in time."""
    deadline = time.monotonic() + timeout
    while guest.is_running():
        if time.monotonic() >= deadline:
            return False
        time.sleep(0.01)
    return True


def remove_leftovers(data_dir: DataDir) -> None:
    """What a host left that died between making a guest's folder and writing its run file."""
    known = {path.stem for path in data_dir.guest_run_files.glob(f"*{_RUN_FILE}")}
    for folder in data_dir.guests.iterdir():
        if folder.is_dir() and folder.name not in known:
            shutil.rmtree(folder, ignore_errors=True)
    beside = [*data_dir.socket_dir.glob("*.sock"), *data_dir.guest_run_files.glob(f"*{_EXIT_FILE}")]
    for path in beside:
        if path.stem not in known:
            path.unlink(missing_ok=True)


def remove(guest: GuestProcess, *, keep_log: bool = True) -> None:
    """Take away what a guest that has ended leaves behind. Its log stays until it has been shipped."""
    shutil.rmtree(guest.folder, ignore_errors=True)
    leftovers = [guest.socket, guest.exit_file, guest.kill_note]
    if not keep_log:
        leftovers.append(guest.log)
    for path in [*leftovers, guest.run_file]:
        path.unlink(missing_ok=True)
