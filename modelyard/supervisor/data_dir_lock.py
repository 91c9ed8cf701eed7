"""One supervisor has a data dir at a time, and has it alone."""

import json
import os
import time
from pathlib import Path

from modelyard.core.adapters.file_access import passable
from modelyard.core.data_dir import DataDir
from modelyard.core.worker_user import DEFAULT_WORKER_UID
from modelyard.process.file_lock import try_lock
from modelyard.supervisor.options import Say, StartRefused

_LEFTOVER_SECONDS = 15.0


def facts_file(data: DataDir) -> Path:
    """Who runs here, and how it is reached: {pid, roles, url, scoring_url, started_at}."""
    return data.run / "supervisor.json"


def check_reach(root: Path) -> None:
    """As root, others run what lies in the data dir: they must be able to pass every folder above it."""
    above = next(folder for folder in root.parents if folder.is_dir())
    if os.getuid() == 0 and not passable(above, DEFAULT_WORKER_UID):
        raise StartRefused(
            f"as root, Postgres and the models run as other users, and they cannot reach {root}: "
            "choose a --data-dir whose parent folders others may pass, such as /var/lib/modelyard"
        )


def take(data: DataDir, say: Say) -> int:
    """Lock the data dir. The children inherit the lock, so what a killed supervisor left is waited for."""
    descriptor = os.open(data.run / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    deadline = time.monotonic() + _LEFTOVER_SECONDS
    waited = False
    while not try_lock(descriptor):
        _refuse_if_running(data)
        if time.monotonic() > deadline:
            raise StartRefused(f"processes of an earlier start still use {data.root}; end them first")
        if not waited:
            say("waiting for the processes of an earlier start to end")
            waited = True
        time.sleep(0.2)
    return descriptor


def _refuse_if_running(data: DataDir) -> None:
    try:
        facts = json.loads(facts_file(data).read_text())
        os.kill(facts["pid"], 0)
    except (OSError, ValueError, KeyError):
        return
    where = facts.get("url") or facts.get("scoring_url")
    raise StartRefused(
        f"a platform already runs on {data.root} (process {facts['pid']}{f', {where}' if where else ''})"
    )
