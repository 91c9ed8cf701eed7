"""The local Runtime: each replica is a model worker under a process shim."""

import logging
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from data_plane.replicas.local import machine
from data_plane.replicas.local.exit_reason import exit_reason
from data_plane.replicas.local.spawn import LaunchSettings, spawn
from data_plane.replicas.local.worker_monitor import WorkerMonitor
from data_plane.replicas.local.worker_process import (
    BATCH_WORKER_LABEL,
    WorkerPaths,
    WorkerProcess,
    find_all,
    kill,
    remove,
)
from data_plane.replicas.port import ObservedReplica, Phase, ReplicaNotStarted, ReplicaSpec
from modelyard.core.data_dir import DataDir
from modelyard.core.domain.deployment import Probe
from modelyard.core.domain.storable_text import storable_text

_log = logging.getLogger(__name__)

_REQUEST_SECONDS = "request_seconds"


@dataclass(frozen=True, slots=True)
class _Managed:
    process: WorkerProcess
    monitor: WorkerMonitor

    def observed(self) -> ObservedReplica:
        overdue_for = self.monitor.overdue_for
        return ObservedReplica(
            id=self.process.worker_id,
            endpoint=self.process.endpoint,
            deployment=self.process.deployment,
            generation=self.process.generation,
            labels=self.process.labels,
            address=str(self.process.socket),
            pid=self.process.pid,
            phase=self.monitor.phase,
            started_at=self.process.started_at,
            ready_at=self.monitor.ready_at,
            error=self.monitor.error,
            missed_probes=self.monitor.missed_probes,
            protocol_fault=self.monitor.protocol_fault,
            overdue_for=overdue_for,
            memory=0 if overdue_for is None else machine.resident_memory(self.process.pid),
            protections=self.process.protections,
            exit_reason=(exit_reason(self.process) or "ended") if self.monitor.has_ended else None,
        )


class LocalRuntime:
    """Used by the host's main thread; `changed` is called from monitors' threads."""

    def __init__(self, settings: LaunchSettings, changed: Callable[[], None]) -> None:
        self._settings = settings
        self._changed = changed
        self._managed: dict[str, _Managed] = {}

    def adopt(self, serving: Collection[str]) -> None:
        data_dir = self._settings.data_dir
        self._settings.end_orphans()
        found = [worker for worker in find_all(data_dir.worker_run_files) if BATCH_WORKER_LABEL not in worker.labels]
        for worker in sorted(found, key=lambda worker: worker.started_at):
            is_serving = worker.worker_id in serving and worker.is_running()
            self._manage(worker, Probe(), Phase.READY if is_serving else Phase.STARTING)
        remove_strays(data_dir, older_than=2 * self._settings.host_timeout)

    def start(self, spec: ReplicaSpec) -> ObservedReplica:
        labels = {**spec.labels, _REQUEST_SECONDS: str(spec.request_seconds)}
        try:
            worker = spawn(replace(spec, labels=labels), self._settings)
        except OSError as error:
            _log.exception("a worker of %s/%s cannot be started", spec.endpoint, spec.deployment)
            raise ReplicaNotStarted(f"the worker could not be started: {storable_text(error)}") from error
        return self._manage(worker, spec.liveness_probe, Phase.STARTING)

    def observe(self) -> Sequence[ObservedReplica]:
        return [managed.observed() for managed in self._managed.values()]

    def set_probe(self, replica_id: str, probe: Probe) -> None:
        self._managed[replica_id].monitor.probe = probe

    def drain(self, replica_id: str, seconds: float) -> None:
        self._managed[replica_id].monitor.drain(seconds)

    def kill(self, replica_id: str, reason: str) -> None:
        kill(self._managed[replica_id].process, reason)

    def remove(self, replica_id: str) -> None:
        managed = self._managed.pop(replica_id)
        managed.monitor.close()
        if not managed.process.exit_file.exists():
            # The shim was killed and could end no process of the worker's.
            self._settings.end_orphans()
        remove(managed.process)

    def available_memory(self) -> int | None:
        return machine.available_memory()

    def _manage(self, worker: WorkerProcess, probe: Probe, phase: Phase) -> ObservedReplica:
        # A host of an earlier version noted `drain_seconds` alone, which is a little longer.
        seconds = float(worker.labels.get(_REQUEST_SECONDS) or worker.labels.get("drain_seconds") or 0.0)
        monitor = WorkerMonitor(worker, probe, self._changed, request_seconds=seconds, phase=phase)
        managed = self._managed[worker.worker_id] = _Managed(worker, monitor)
        monitor.start()
        return managed.observed()


def remove_strays(data_dir: DataDir, *, older_than: float) -> None:
    """Remove the files of workers without a run file: the host died before writing the file.

    A worker without a host exits, so that the files are unused after `older_than` seconds.
    """
    for folder in data_dir.workers.iterdir():
        paths = WorkerPaths(data_dir, folder.name)
        if folder.is_dir() and not paths.run_file.exists() and _age(folder) > older_than:
            paths.remove()


def _age(folder: Path) -> float:
    return time.time() - folder.stat().st_mtime
