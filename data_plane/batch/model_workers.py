"""The workers of one batch worker: started when a job needs one, warm from one mini-batch and job to the next.

One is at work at a time. The others are idle: kept for ten minutes, as far as memory allows. All of them end with the
batch worker, however it ends: it holds the write end of their keepers' lifeline.
"""

import logging
import os
import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from data_plane.batch.material import Material
from data_plane.replicas.local.batch_labels import batch_labels, is_of_worker
from data_plane.replicas.local.blocking_connection import BlockingWorkerConnection, WorkerGone, WorkerSilent
from data_plane.replicas.local.exit_reason import exit_reason
from data_plane.replicas.local.machine import available_memory, resident_memory
from data_plane.replicas.local.spawn import WorkerSpec, new_worker_id, spawn
from data_plane.replicas.local.worker_process import WorkerProcess, find_all, kill, remove, wait_for_end
from modelyard.core.data_dir import DataDir
from modelyard.core.environments.folder import BuiltEnvironment
from modelyard.core.errors import WorkerFailed
from modelyard.core.settings import BatchSettings

_log = logging.getLogger(__name__)

_LOOK_SECONDS = 10.0
_CONNECT_SECONDS = 30.0
_END_SECONDS = 10.0
_MOST_STARTS = 3
_LEAST_ROOM = 512 << 20
_ROOM_SHARE = 1.5


@dataclass(frozen=True, slots=True)
class WorkerTerms:
    """Under which all workers of this batch worker start."""

    worker: str
    """The same for whoever takes this worker's place after its end."""
    data_dir: DataDir
    uid: int | None
    threads: int
    settings: BatchSettings


class Worker:
    """A worker with its connection, and how much of what it printed has been read."""

    def __init__(self, key: "WorkerKey", process: WorkerProcess) -> None:
        self.key = key
        self.process = process
        self.idle_since = 0.0
        self._connection: BlockingWorkerConnection | None = None
        self._read = 0

    @property
    def connection(self) -> BlockingWorkerConnection:
        assert self._connection is not None, "it was loaded before it was handed out"
        return self._connection

    def load(self, seconds: float) -> None:
        """Raises WorkerFailed with the model's own error, WorkerGone and WorkerSilent."""
        self._connection = BlockingWorkerConnection(self.process.socket, role="host", timeout=_CONNECT_SECONDS)
        status = self._connection.wait_until_loaded(seconds)
        if status.state == "failed":
            raise WorkerFailed(f"the model does not start: {status.error}")

    def is_alive(self) -> bool:
        return self.process.process.is_running()

    def printed(self) -> bytes:
        """What it printed since this was asked last."""
        try:
            with self.process.log.open("rb") as log:
                log.seek(self._read)
                text = log.read()
        except FileNotFoundError:
            return b""
        self._read += len(text)
        return text

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()


@dataclass(frozen=True, slots=True)
class WorkerKey:
    """ModelWorkers of the same key are the same program."""

    bundle_hash: str
    environment: str


@dataclass(frozen=True, slots=True)
class WorkerPlan:
    """What to start where no warm worker is idle."""

    material: Material
    environment: BuiltEnvironment
    model_dir: Callable[[], Path]

    @property
    def key(self) -> WorkerKey:
        return WorkerKey(self.material.bundle_hash, self.environment.name)


Minding = Callable[[Worker], AbstractContextManager[None]]
"""Around whatever may take long: who minds a worker ends it when nobody wants its answer any more."""


class ModelWorkers:
    def __init__(self, terms: WorkerTerms) -> None:
        self._terms = terms
        self._lifeline, self._lifeline_end = os.pipe()
        self._lock = threading.Lock()
        self._idle: dict[WorkerKey, Worker] = {}
        self._at_work: Worker | None = None
        self._largest = 0
        self._closed = threading.Event()
        threading.Thread(target=self._look_after_idle, name="idle-workers", daemon=True).start()

    def end_predecessors(self) -> None:
        """Those of the worker whose place this one has taken, should they be left."""
        for model_worker in find_all(self._terms.data_dir.worker_run_files):
            if is_of_worker(model_worker, self._terms.worker):
                _end(model_worker, "the batch worker that had started it is gone")

    def take(self, plan: WorkerPlan, minding: Minding, heard: Callable[[bytes], None]) -> Worker:
        """A worker that is ready. Raises WorkerFailed when the model does not start, whatever is tried.

        `heard` is told what those printed that did not start.
        """
        model_worker = self._warm(plan.key)
        if model_worker is None:
            model_worker = self._start_patiently(plan, minding, heard)
        self._at_work = model_worker
        return model_worker

    def give_back(self, model_worker: Worker) -> None:
        """It has answered all that it was asked."""
        self._at_work = None
        model_worker.idle_since = time.monotonic()
        self._largest = max(self._largest, resident_memory(model_worker.process.pid))
        with self._lock:
            self._idle[model_worker.key] = model_worker

    def end(self, model_worker: Worker, because: str) -> None:
        self._at_work = None
        model_worker.close()
        _end(model_worker.process, because)

    def close(self) -> None:
        """The worker is about to end."""
        self._closed.set()
        with self._lock:
            left = [*self._idle.values(), *([self._at_work] if self._at_work else [])]
            self._idle.clear()
        for model_worker in left:
            self.end(model_worker, "the batch worker ends")
        os.close(self._lifeline_end)

    def _warm(self, key: WorkerKey) -> Worker | None:
        with self._lock:
            model_worker = self._idle.pop(key, None)
        if model_worker is not None and not model_worker.is_alive():
            self.end(model_worker, "it had ended")
            return None
        return model_worker

    def _start_patiently(self, plan: WorkerPlan, minding: Minding, heard: Callable[[bytes], None]) -> Worker:
        for attempt in range(1, _MOST_STARTS + 1):
            self._make_room()
            model_worker = self._start(plan)
            try:
                with minding(model_worker):
                    model_worker.load(self._terms.settings.worker_load_seconds)
            except (WorkerGone, WorkerSilent) as error:
                # With its keeper's record, if it has ended by itself.
                wait_for_end(model_worker.process, 1.0)
                reason = exit_reason(model_worker.process) or str(error)
                heard(model_worker.printed())
                self.end(model_worker, reason)
                _log.warning("a worker for %s did not start: %s", plan.material.bundle_hash[:16], reason)
                if attempt == _MOST_STARTS:
                    raise WorkerFailed(f"the model does not start: its process {reason}") from None
            except BaseException:
                heard(model_worker.printed())
                self.end(model_worker, "its start was given up")
                raise
            else:
                return model_worker
        raise AssertionError("the last attempt has raised")

    def _start(self, plan: WorkerPlan) -> Worker:
        bundle = plan.material.bundle
        spec = WorkerSpec(
            worker_id=new_worker_id(),
            endpoint=bundle.endpoint,
            deployment=bundle.deployment,
            generation=bundle.generation,
            python=plan.environment.python,
            bundle_dir=plan.material.bundle_dir,
            model_dir=plan.model_dir(),
            data_dir=self._terms.data_dir,
            environment_variables=bundle.environment_variables,
            threads=self._terms.threads,
            uid=self._terms.uid,
            lifeline_fd=self._lifeline,
            labels=batch_labels(self._terms.worker, plan.environment.name),
        )
        return Worker(plan.key, spawn(spec))

    def _make_room(self) -> None:
        """End idle workers, those first that have been idle longest, until there is memory for another."""
        needed = max(_LEAST_ROOM, int(_ROOM_SHARE * self._largest))
        while (available := available_memory()) is not None and available < needed:
            model_worker = self._take_oldest(float("inf"))
            if model_worker is None:
                return
            self.end(model_worker, "its memory is needed")

    def _look_after_idle(self) -> None:
        idle_seconds = self._terms.settings.worker_idle_seconds
        while not self._closed.wait(_LOOK_SECONDS):
            while (model_worker := self._take_oldest(time.monotonic() - idle_seconds)) is not None:
                model_worker.close()
                _end(model_worker.process, f"it was idle for {idle_seconds:g} s")

    def _take_oldest(self, before: float) -> Worker | None:
        with self._lock:
            oldest = min(self._idle.values(), key=lambda model_worker: model_worker.idle_since, default=None)
            if oldest is None or oldest.idle_since > before:
                return None
            return self._idle.pop(oldest.key)


def _end(process: WorkerProcess, because: str) -> None:
    kill(process, because)
    wait_for_end(process, _END_SECONDS)
    remove(process, keep_log=False)
