"""The lock on a data dir: one supervisor uses a data dir at a time."""

import json
import os
import time
from pathlib import Path

from modelyard.core.adapters.file_access import passable
from modelyard.core.data_dir import DataDir
from modelyard.process.file_lock import try_lock
from modelyard.supervisor.options import Announce, StartRefused

_PAUSE_SECONDS = 0.2


def run_info_file(data: DataDir) -> Path:
    """The description of the running platform: {pid, roles, url, scoring_url, started_at}."""
    return data.run / "supervisor.json"


def read_run_info(data: DataDir) -> dict[str, object] | None:
    """Return the description of the platform that runs on the data dir, or None when none runs."""
    try:
        info: dict[str, object] = json.loads(run_info_file(data).read_text())
        os.kill(int(str(info["pid"])), 0)
    except (OSError, ValueError, KeyError):
        return None
    return info


def check_passable(root: Path, worker_uid: int) -> None:
    """Raise StartRefused if the platform runs as root and a folder above the data dir is closed to other users."""
    above = next(folder for folder in root.parents if folder.is_dir())
    if os.getuid() == 0 and not passable(above, worker_uid):
        raise StartRefused(
            f"as root, Postgres and the models run as other users, and these users cannot pass the folders above "
            f"{root}: choose a --data-dir whose parent folders are open to them, such as /var/lib/modelyard"
        )


def check_restored(data: DataDir) -> None:
    """Raise StartRefused for the data dir of a restore that was interrupted."""
    if data.unfinished_restore.exists():
        raise StartRefused(
            f"a restore into {data.root} has not ended: run modelyard restore with this --data-dir again, or remove "
            "the folder"
        )


def lock_data_dir(data: DataDir, announce: Announce, *, leftover_seconds: float) -> int:
    """Return the locked descriptor. Children inherit the descriptor and hold the lock.

    The children of a killed supervisor hold the lock until the last of them ends: a start waits `leftover_seconds`.
    Raises StartRefused when a platform runs, or when children of a killed supervisor remain.
    """
    descriptor = os.open(data.run / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    deadline = time.monotonic() + leftover_seconds
    is_announced = False
    while not try_lock(descriptor):
        if (info := read_run_info(data)) is not None:
            url = info.get("url") or info.get("scoring_url")
            where = f"process {info['pid']}" + (f", {url}" if url else "")
            raise StartRefused(f"a platform already runs on {data.root} ({where})")
        if time.monotonic() > deadline:
            raise StartRefused(f"processes of an earlier start still use {data.root}; end them first")
        if not is_announced:
            announce("waiting for the processes of an earlier start to end")
            is_announced = True
        time.sleep(_PAUSE_SECONDS)
    return descriptor
