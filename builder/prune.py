"""Removes environments that no deployment uses, and never one that a worker still runs in."""

import json
from pathlib import Path

from builder import repository
from builder.environments import Environments
from modelyard.core.db.unit_of_work import Sessions, transaction


def prune_environments(sessions: Sessions, environments: Environments, guest_run_files: Path) -> list[str]:
    """Returns the names of the removed.

    First they are unpublished, so that no build takes one up; then the folders go that nothing names any more. A
    worker of an older generation may outlive its use: the host's run files say where workers run.
    """
    with transaction(sessions) as work:
        repository.forget_unused_environments(work.session)
    with transaction(sessions) as work:
        published = repository.published_folders(work.session)
    kept = published | _with_workers(guest_run_files)
    return [name for name in environments.names() if name not in kept and environments.remove(name)]


def _with_workers(guest_run_files: Path) -> set[str]:
    """Environments that run files name. One whose worker ends just now is kept until the next time."""
    return {name for file in guest_run_files.glob("*.json") if (name := _environment(file)) is not None}


def _environment(run_file: Path) -> str | None:
    try:
        labels = json.loads(run_file.read_text())["labels"]
    except (FileNotFoundError, ValueError, KeyError):
        return None
    return str(labels["environment"]) if "environment" in labels else None
