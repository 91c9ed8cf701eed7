"""Remove unpublished environments from a machine, with or without a builder."""

import json
from functools import partial
from pathlib import Path

from sqlalchemy import exists, select

from modelyard.core.db.rows import BuiltEnvironmentRow
from modelyard.core.db.unit_of_work import Sessions, transaction
from modelyard.core.environments.folder import BuiltEnvironment, Environments


def remove_unpublished(sessions: Sessions, environments: Environments, worker_run_files: Path) -> list[str]:
    """Remove unpublished environments without workers and return the names.

    A worker of an older generation may still run in an unused environment: run files name the environments of workers.
    """
    found = environments.all()
    # Read after the list of environments: includes every worker that has started in one of the environments.
    running = _with_workers(worker_run_files)
    return [
        built.name
        for built in found
        if built.name not in running
        and environments.remove(built.name, unless=partial(_is_kept, sessions, environments, built))
    ]


def _is_kept(sessions: Sessions, environments: Environments, built: BuiltEnvironment) -> bool:
    """The environment is published, and not a duplicate from a concurrent build."""
    if environments.find(built.lock.digest) != built:
        return False
    with transaction(sessions) as work:
        is_published = select(exists().where(BuiltEnvironmentRow.lock_hash == built.lock.digest))
        return bool(work.session.scalar(is_published))


def _with_workers(worker_run_files: Path) -> set[str]:
    """Environments in the run files. The environment of an ending worker stays until the next pruning."""
    return {name for file in worker_run_files.glob("*.json") if (name := _environment(file)) is not None}


def _environment(run_file: Path) -> str | None:
    try:
        labels = json.loads(run_file.read_text())["labels"]
    except (FileNotFoundError, ValueError, KeyError):
        return None
    return str(labels["environment"]) if "environment" in labels else None
