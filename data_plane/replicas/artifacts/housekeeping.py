"""Removes environments that nobody has published any more, also on machines that have no builder."""

import logging
import threading

from sqlalchemy.exc import SQLAlchemyError

from modelyard.core.data_dir import DataDir
from modelyard.core.db.unit_of_work import Sessions
from modelyard.core.environments.folder import Environments
from modelyard.core.environments.prune import remove_unpublished

_log = logging.getLogger(__name__)

_SECONDS = 60.0


def make_room(sessions: Sessions, data_dir: DataDir) -> None:
    """Remove from this machine what was left half-made, and what is published no more."""
    environments = Environments(data_dir.environments)
    try:
        removed = environments.remove_abandoned()
        removed += remove_unpublished(sessions, environments, data_dir.worker_run_files)
    except (SQLAlchemyError, OSError) as error:
        _log.warning("environments are not looked through now: %s", error)
        return
    if removed:
        _log.info("environments removed: %s", ", ".join(removed))


class Housekeeping:
    """A thread of its own, as removing a large environment takes seconds."""

    def __init__(self, sessions: Sessions, data_dir: DataDir) -> None:
        self._sessions = sessions
        self._data_dir = data_dir
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._run, name="housekeeping", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        self._closed.set()

    def _run(self) -> None:
        make_room(self._sessions, self._data_dir)
        while not self._closed.wait(_SECONDS):
            make_room(self._sessions, self._data_dir)
