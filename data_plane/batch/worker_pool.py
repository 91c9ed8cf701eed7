"""The model workers of a batch worker: started on demand, kept warm between mini-batches and jobs.

At most a single model worker is busy. Idle workers are kept for some minutes, as far as memory allows. All end with the
batch worker's process, through the launcher's lifeline.
"""

import logging
import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from data_plane.batch.bundle_cache import JobBundle
from data_plane.replicas.port import (
    ExclusiveReplica,
    Launcher,
    ModelNotLoaded,
    ReplicaGone,
    ReplicaSilent,
    ReplicaSpec,
)
from modelyard.core.environments.folder import BuiltEnvironment
from modelyard.core.errors import WorkerFailed

_log = logging.getLogger(__name__)

_CHECK_SECONDS = 10.0
_EXIT_SECONDS = 1.0
_MAX_STARTS = 3
_LEAST_ROOM = 512 << 20
_ROOM_SHARE = 1.5


@dataclass(frozen=True, slots=True)
class WorkerKey:
    """Model workers with the same key run the same program."""

    bundle_hash: str
    environment: str


@dataclass(slots=True)
class PooledWorker:
    key: WorkerKey
    replica: ExclusiveReplica
    idle_since: float = 0.0


@dataclass(frozen=True, slots=True)
class WorkerPlan:
    """The model worker for a job, started if no idle worker has the same key."""

    job_bundle: JobBundle
    environment: BuiltEnvironment
    model_dir: Callable[[], Path]

    @property
    def key(self) -> WorkerKey:
        return WorkerKey(self.job_bundle.bundle_hash, self.environment.name)

    def to_spec(self, threads: int) -> ReplicaSpec:
        bundle = self.job_bundle.bundle
        return ReplicaSpec(
            endpoint=bundle.endpoint,
            deployment=bundle.deployment,
            generation=bundle.generation,
            python=self.environment.python,
            bundle_dir=self.job_bundle.bundle_dir,
            model_dir=self.model_dir(),
            # Two workspaces may have batch endpoints of the same name, but a bundle holds all that a worker may read.
            account=f"batch bundle {self.job_bundle.bundle_hash}",
            environment_variables=bundle.environment_variables,
            threads=threads,
            labels={"environment": self.environment.name},
        )


Interruptible = Callable[[ExclusiveReplica], AbstractContextManager[None]]
"""Surrounds a long call to a replica: a cancellation kills the replica and so ends the call."""


class WorkerPool:
    def __init__(self, launcher: Launcher, *, threads: int, load_seconds: float, idle_seconds: float) -> None:
        """`threads` is the number of threads for each model worker's numerical libraries.

        A model worker that does not load within `load_seconds`, or is idle for `idle_seconds`, is ended.
        """
        self._launcher = launcher
        self._load_seconds = load_seconds
        self._idle_seconds = idle_seconds
        self._threads = threads
        self._lock = threading.Lock()
        self._idle: dict[WorkerKey, PooledWorker] = {}
        self._busy: PooledWorker | None = None
        self._largest = 0
        self._closed = threading.Event()
        threading.Thread(target=self._end_idle, name="idle-workers", daemon=True).start()

    def take(self, plan: WorkerPlan, interruptible: Interruptible, on_output: Callable[[bytes], None]) -> PooledWorker:
        """Return a ready model worker. Raises WorkerFailed when the model does not start after several tries.

        `on_output` receives the output of workers that did not start.
        """
        worker = self._take_warm(plan.key)
        if worker is None:
            worker = self._start_with_retries(plan, interruptible, on_output)
        self._busy = worker
        return worker

    def release(self, worker: PooledWorker) -> None:
        """Keep a worker without an unanswered call warm, for the next mini-batch or job."""
        self._busy = None
        worker.idle_since = time.monotonic()
        self._largest = max(self._largest, worker.replica.memory())
        with self._lock:
            self._idle[worker.key] = worker

    def end(self, worker: PooledWorker, reason: str) -> bytes:
        """End a worker and return the rest of its output."""
        self._busy = None
        return worker.replica.close(reason)

    def close(self) -> None:
        """End every model worker, before the batch worker ends."""
        self._closed.set()
        with self._lock:
            left = [*self._idle.values(), *([self._busy] if self._busy else [])]
            self._idle.clear()
        for worker in left:
            self.end(worker, "the batch worker ends")
        self._launcher.close()

    def _take_warm(self, key: WorkerKey) -> PooledWorker | None:
        with self._lock:
            worker = self._idle.pop(key, None)
        if worker is not None and not worker.replica.is_alive:
            self.end(worker, "ended while idle")
            return None
        return worker

    def _start_with_retries(
        self, plan: WorkerPlan, interruptible: Interruptible, on_output: Callable[[bytes], None]
    ) -> PooledWorker:
        for attempt in range(1, _MAX_STARTS + 1):
            self._make_room()
            worker = PooledWorker(plan.key, self._launcher.launch(plan.to_spec(self._threads)))
            replica = worker.replica
            try:
                with interruptible(replica):
                    replica.load(self._load_seconds)
            except (ReplicaGone, ReplicaSilent) as error:
                # After a moment, so that the process shim has recorded an exit.
                reason = replica.exit_reason(wait=_EXIT_SECONDS) or str(error)
                on_output(self.end(worker, reason))
                _log.warning("a model worker for bundle %s did not start: %s", plan.key.bundle_hash[:16], reason)
                if attempt == _MAX_STARTS:
                    raise WorkerFailed(f"the model does not start: its process {reason}") from None
            except BaseException as error:
                on_output(self.end(worker, "the start was given up"))
                if isinstance(error, ModelNotLoaded):
                    raise WorkerFailed(f"the model does not start: {error}") from None
                raise
            else:
                return worker
        raise AssertionError("the last attempt has raised")

    def _make_room(self) -> None:
        """End idle workers, the longest idle first, until there is memory for another."""
        needed = max(_LEAST_ROOM, int(_ROOM_SHARE * self._largest))
        while (available := self._launcher.available_memory()) is not None and available < needed:
            worker = self._take_longest_idle(before=float("inf"))
            if worker is None:
                return
            self.end(worker, "another model needs its memory")

    def _end_idle(self) -> None:
        while not self._closed.wait(_CHECK_SECONDS):
            while (worker := self._take_longest_idle(before=time.monotonic() - self._idle_seconds)) is not None:
                worker.replica.close(f"idle for {self._idle_seconds:g} s")

    def _take_longest_idle(self, *, before: float) -> PooledWorker | None:
        with self._lock:
            oldest = min(self._idle.values(), key=lambda worker: worker.idle_since, default=None)
            if oldest is None or oldest.idle_since > before:
                return None
            return self._idle.pop(oldest.key)
