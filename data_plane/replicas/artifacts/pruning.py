"""Removes environments that are no longer published, also on nodes without a builder."""

import logging
import threading

from sqlalchemy.exc import SQLAlchemyError

from modelyard.core.data_dir import DataDir
from modelyard.core.db.unit_of_work import Sessions
from modelyard.core.environments.folder import Environments
from modelyard.core.environments.prune import remove_unpublished

_log = logging.getLogger(__name__)


def prune_environments(sessions: Sessions, data_dir: DataDir) -> None:
    """Remove unfinished and unpublished environments of this node."""
    environments = Environments(data_dir.environments)
    try:
        removed = environments.remove_abandoned()
        removed += remove_unpublished(sessions, environments, data_dir.worker_run_files)
    except (SQLAlchemyError, OSError) as error:
        _log.warning("environments were not pruned: %s", error)
        return
    if removed:
        _log.info("environments removed: %s", ", ".join(removed))


class EnvironmentPruner:
    """Prunes regularly in a thread: removing a large environment takes seconds."""

    def __init__(self, sessions: Sessions, data_dir: DataDir, *, interval_seconds: float = 60.0) -> None:
        self._interval_seconds = interval_seconds
        self._sessions = sessions
        self._data_dir = data_dir
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._run, name="environment-pruner", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        self._closed.set()

    def _run(self) -> None:
        prune_environments(self._sessions, self._data_dir)
        while not self._closed.wait(self._interval_seconds):
            prune_environments(self._sessions, self._data_dir)
