"""Removes from one machine what is no longer published: the same on machines with and without a builder."""

import json
from functools import partial
from pathlib import Path

from sqlalchemy import exists, select

from modelyard.core.db.rows import BuiltEnvironmentRow
from modelyard.core.db.unit_of_work import Sessions, transaction
from modelyard.core.environments.folder import BuiltEnvironment, Environments


def remove_unpublished(sessions: Sessions, environments: Environments, worker_run_files: Path) -> list[str]:
    """Returns the names of the removed.

    A worker of an older generation may outlive its environment's use: run files say where workers run.
    """
    found = environments.all()
    # After that list was made, so that a worker that started in one of them meanwhile is seen.
    running = _with_workers(worker_run_files)
    return [
        built.name
        for built in found
        if built.name not in running
        and environments.remove(built.name, unless=partial(_is_kept, sessions, environments, built))
    ]


def _is_kept(sessions: Sessions, environments: Environments, built: BuiltEnvironment) -> bool:
    """Published, and what is found here by its lock: another that was built at the same time is not needed."""
    if environments.find(built.lock.digest) != built:
        return False
    with transaction(sessions) as work:
        is_published = select(exists().where(BuiltEnvironmentRow.lock_hash == built.lock.digest))
        return bool(work.session.scalar(is_published))


def _with_workers(worker_run_files: Path) -> set[str]:
    """Environments that run files name. One whose worker ends just now is kept until the next time."""
    return {name for file in worker_run_files.glob("*.json") if (name := _environment(file)) is not None}


def _environment(run_file: Path) -> str | None:
    try:
        labels = json.loads(run_file.read_text())["labels"]
    except (FileNotFoundError, ValueError, KeyError):
        return None
    return str(labels["environment"]) if "environment" in labels else None
