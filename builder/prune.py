"""Removes environments that no deployment and no job uses, and never one that a worker still runs in."""

from pathlib import Path

from builder import repository
from modelyard.core.db.unit_of_work import Sessions, transaction
from modelyard.core.environments.folder import Environments
from modelyard.core.environments.prune import remove_unpublished


def prune_environments(sessions: Sessions, environments: Environments, guest_run_files: Path) -> list[str]:
    """Returns the names of those that were removed here; other machines follow within a minute.

    First they are unpublished, so that no build takes one up; then the folders go that nobody has published.
    """
    with transaction(sessions) as work:
        repository.forget_unused_environments(work.session)
    return remove_unpublished(sessions, environments, guest_run_files)
