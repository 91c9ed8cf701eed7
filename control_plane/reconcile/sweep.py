"""The periodic tasks of the control plane: every few seconds lost messages are sent again, every hour old things go.

The tasks run in a thread. Several control planes may sweep at the same time: every task may run twice.
"""

import logging
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from control_plane.reconcile.expire import (
    expire_blocks,
    expire_events,
    expire_jobs,
    expire_logs,
    expire_operations,
    expire_uploads,
    remove_datastores,
    remove_old_blocks,
    remove_orphaned_chunks,
    remove_orphaned_parts,
)
from control_plane.reconcile.resend import Resender
from control_plane.workflows.dispatcher import Dispatcher
from modelyard.core.db.unit_of_work import Sessions
from modelyard.core.ports.object_store import ObjectStore
from modelyard.core.settings import RetentionSettings

_log = logging.getLogger(__name__)

_SWEEP_SECONDS = 5.0
_HOUR = 3600.0
_MINUTE = 60.0


@dataclass(slots=True)
class PeriodicTask:
    """A task of the sweep, due at once after the start."""

    name: str
    """A gerund phrase, for the log."""
    run: Callable[[], None]
    every_seconds: float = 0.0
    """Pause after a success. 0: the task runs in every sweep."""
    retry_seconds: float = 0.0
    """Pause after a failure."""
    due_at: float = float("-inf")


def periodic_tasks(
    sessions: Sessions, store: ObjectStore, dispatcher: Dispatcher, retention: RetentionSettings
) -> Sequence[PeriodicTask]:
    def hourly(name: str, run: Callable[[], None]) -> PeriodicTask:
        return PeriodicTask(name, run, every_seconds=_HOUR, retry_seconds=_MINUTE)

    return (
        PeriodicTask("sending lost messages again", Resender(sessions, dispatcher).resend),
        hourly("expiring uploads", partial(expire_uploads, sessions)),
        hourly("expiring blocks of blobs", partial(expire_blocks, sessions)),
        hourly("removing old blocks of blobs", partial(remove_old_blocks, store)),
        hourly("expiring operations", partial(expire_operations, sessions, retention)),
        hourly("expiring audit events", partial(expire_events, sessions, retention)),
        hourly("expiring jobs", partial(expire_jobs, sessions, retention)),
        hourly("removing orphaned chunks of uploads", partial(remove_orphaned_chunks, sessions, store)),
        hourly("removing orphaned parts of outputs", partial(remove_orphaned_parts, sessions, store)),
        hourly("removing files of deleted workspaces", partial(remove_datastores, sessions, store)),
        hourly("expiring logs", partial(expire_logs, sessions, store, retention)),
    )


class Sweep:
    """Runs periodic tasks independently: a failing task does not delay the next task."""

    def __init__(self, tasks: Sequence[PeriodicTask], clock: Callable[[], float] = time.monotonic) -> None:
        self._tasks = tasks
        self._clock = clock
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="sweep", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stop.wait(_SWEEP_SECONDS):
            self.sweep()

    def sweep(self) -> None:
        """Run every task that is due."""
        for task in self._tasks:
            if self._clock() >= task.due_at:
                self._attempt(task)

    def _attempt(self, task: PeriodicTask) -> None:
        pause = task.every_seconds
        try:
            task.run()
        except Exception as error:  # noqa: BLE001 - the database or the store may be away for a while
            _log.warning("%s failed and will be tried again: %s", task.name, error)
            pause = task.retry_seconds
        task.due_at = self._clock() + pause
