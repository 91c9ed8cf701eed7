"""All workers of this machine: started, found again, drained, killed, and buried with their reason noted."""

import logging
import shutil
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

from data_plane.host.labels import Labels
from data_plane.host.log_shipping import LogShipper
from data_plane.host.plan import Fault, Kill
from data_plane.host.preparations import Prepared
from data_plane.host.running import History, Phase, RunningWorker
from data_plane.host.wanted import Goal, Slot
from data_plane.host.watch import Watch
from data_plane.replicas.local.batch_labels import is_of_batch
from data_plane.replicas.local.exit_reason import exit_reason
from data_plane.replicas.local.machine import resident_memory
from data_plane.replicas.local.spawn import WorkerSpec, new_worker_id, spawn
from data_plane.replicas.local.worker_process import WorkerProcess, find_all, kill, remove
from modelyard.core.data_dir import DataDir
from modelyard.core.domain.deployment import Probe

_log = logging.getLogger(__name__)

# Beyond a request's own time: for the gateway to hear of the change and close its connection.
_DRAIN_MARGIN_SECONDS = 5.0
_LONGEST_WITHOUT_HOST_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Terms:
    """Under which all workers start."""

    data_dir: DataDir
    uid: int | None
    lifeline_fd: int | None
    cores: int


@dataclass(slots=True)
class Member:
    worker: WorkerProcess
    labels: Labels
    watch: Watch
    ends_by: float | None = None
    killed: Kill | None = None

    @property
    def phase(self) -> Phase:
        if self.killed is not None:
            return Phase.LOST
        return Phase.DRAINING if self.ends_by is not None else self.watch.phase

    def seen(self) -> RunningWorker:
        return RunningWorker(
            worker_id=self.worker.worker_id,
            slot=self.labels.slot,
            bundle_hash=self.labels.bundle_hash,
            socket=str(self.worker.socket),
            pid=self.worker.pid,
            phase=self.phase,
            started_at=self.worker.started_at,
            drain_seconds=self.labels.drain_seconds,
            missed_probes=self.watch.missed_probes,
            ends_by=self.ends_by,
            overdue_for=(overdue_for := self.watch.overdue_for),
            memory=0 if overdue_for is None else resident_memory(self.worker.pid),
        )


class Fleet:
    def __init__(self, terms: Terms, logs: LogShipper, changed: Callable[[], None]) -> None:
        self._terms = terms
        self._logs = logs
        self._changed = changed
        self._members: dict[str, Member] = {}
        self._histories: dict[Slot, History] = {}

    @property
    def workers(self) -> tuple[RunningWorker, ...]:
        return tuple(member.seen() for member in self._members.values())

    @property
    def histories(self) -> Mapping[Slot, History]:
        return dict(self._histories)

    def __len__(self) -> int:
        """How many workers have not been buried yet."""
        return len(self._members)

    def adopt(self, routed: Collection[str]) -> None:
        """Take over the workers that an earlier host started, and bury those that ended meanwhile.

        Gateways go on with those that they are `routed` to: such a worker counts as ready until it proves otherwise.
        """
        found = find_all(self._terms.data_dir.worker_run_files)
        hosted = (model_worker for model_worker in found if not is_of_batch(model_worker))
        for model_worker in sorted(hosted, key=lambda model_worker: model_worker.started_at):
            labels = Labels.of(model_worker)
            self._histories[labels.slot] = labels.history
            serves = model_worker.worker_id in routed and model_worker.is_running()
            self._take_in(model_worker, labels, Probe(), Phase.READY if serves else Phase.LOADING)
        remove_strays(self._terms.data_dir, {model_worker.worker_id for model_worker in found})

    def start(self, slot: Slot, goal: Goal, prepared: Prepared, now: float) -> None:
        history = self._histories.get(slot, History())
        labels = Labels(
            slot=slot,
            bundle_hash=goal.generation.bundle_hash,
            environment=prepared.environment.name,
            drain_seconds=goal.generation.spec.request_settings.request_timeout_seconds + _DRAIN_MARGIN_SECONDS,
            restarts=history.restarts,
            last_exit_reason=history.last_exit_reason,
        )
        spec = self._spec(goal, prepared, labels)
        try:
            model_worker = spawn(spec)
        except OSError as error:
            _log.exception("a worker of %s/%s cannot be started", goal.deployment.endpoint, goal.deployment.name)
            _remove_traces(self._terms.data_dir, spec.worker_id)
            self._histories[slot] = history.failed(f"it could not be started: {error}", now=now)
            return
        _log.info(
            "worker %s started for %s/%s %s",
            model_worker.worker_id,
            model_worker.endpoint,
            model_worker.deployment,
            slot,
        )
        self._take_in(model_worker, labels, goal.generation.spec.liveness_probe, Phase.LOADING)

    def heed_probe(self, worker_id: str, probe: Probe) -> None:
        """A worker that was found again is probed as its deployment asks."""
        self._members[worker_id].watch.probe = probe

    def drain(self, worker_id: str, seconds: float, now: float) -> None:
        member = self._members[worker_id]
        if member.killed is not None:
            return
        _log.info("worker %s drains", worker_id)
        member.ends_by = now + seconds
        member.watch.drain(seconds)

    def kill(self, order: Kill) -> None:
        """Repeating it while the worker is dying is harmless."""
        member = self._members[order.worker_id]
        if member.killed is not None:
            return
        _log.info("worker %s is killed: %s", order.worker_id, order.reason)
        member.killed = order
        kill(member.worker, order.reason)

    def kill_all(self, reason: str) -> None:
        for worker_id in list(self._members):
            self.kill(Kill(worker_id, reason))

    def bury_the_ended(self, now: float) -> None:
        for worker_id, member in list(self._members.items()):
            if member.watch.has_ended:
                del self._members[worker_id]
                self._bury(member, now)

    def forget_all_but(self, slots: Collection[Slot]) -> None:
        for slot in self._histories.keys() - set(slots):
            del self._histories[slot]

    def _take_in(self, model_worker: WorkerProcess, labels: Labels, probe: Probe, phase: Phase) -> None:
        self._logs.follow(model_worker.worker_id, labels.slot.deployment_id)
        request_seconds = labels.drain_seconds - _DRAIN_MARGIN_SECONDS
        watch = Watch(model_worker, probe, self._changed, request_seconds=request_seconds, phase=phase)
        self._members[model_worker.worker_id] = Member(model_worker, labels, watch)
        watch.start()

    def _spec(self, goal: Goal, prepared: Prepared, labels: Labels) -> WorkerSpec:
        return WorkerSpec(
            worker_id=new_worker_id(),
            endpoint=goal.deployment.endpoint,
            deployment=goal.deployment.name,
            generation=goal.generation.number,
            python=prepared.environment.python,
            bundle_dir=prepared.bundle_dir,
            model_dir=prepared.model_dir,
            data_dir=self._terms.data_dir,
            environment_variables=prepared.bundle.environment_variables,
            threads=max(1, self._terms.cores // goal.worker_count),
            uid=self._terms.uid,
            lifeline_fd=self._terms.lifeline_fd,
            host_timeout=_LONGEST_WITHOUT_HOST_SECONDS,
            labels=labels.to_dict(),
        )

    def _bury(self, member: Member, now: float) -> None:
        model_worker = member.worker
        reason = _reason(member)
        _log.info(
            "worker %s of %s/%s ended: %s",
            model_worker.worker_id,
            model_worker.endpoint,
            model_worker.deployment,
            reason,
        )
        # Before the end is known to anybody, so that whoever hears of it finds the reason in the log.
        self._logs.finish(model_worker.worker_id)
        if member.ends_by is None:
            self._histories[member.labels.slot] = self._history_of(member, reason, now)
        member.watch.close()
        remove(model_worker)

    def _history_of(self, member: Member, reason: str, now: float) -> History:
        history = self._histories.get(member.labels.slot, History())
        fault = Fault.WORKER if member.killed is None else member.killed.fault
        if fault is Fault.NOBODY:
            return history
        if fault is Fault.REQUEST:
            return history.replaced(reason)
        ready_at = member.watch.ready_at
        return history.failed(
            reason,
            now=now,
            ready_seconds=0.0 if ready_at is None else now - ready_at,
            in_vain=member.watch.error or (reason if fault is Fault.MODEL else None),
        )


def _reason(member: Member) -> str:
    if member.watch.error is not None:
        return f"init failed: {member.watch.error}"
    if member.killed is not None:
        return member.killed.reason
    return exit_reason(member.worker) or "it ended"


def remove_strays(data_dir: DataDir, known: Collection[str]) -> None:
    """What is left of workers whose host died before it could write their run file."""
    for folder in data_dir.workers.iterdir():
        if folder.is_dir() and folder.name not in known and _is_old(folder):
            _remove_traces(data_dir, folder.name)


def _is_old(folder: Path) -> bool:
    """Old enough for a worker that nobody knows to have ended by itself."""
    return time.time() - folder.stat().st_mtime > 2 * _LONGEST_WITHOUT_HOST_SECONDS


def _remove_traces(data_dir: DataDir, worker_id: str) -> None:
    shutil.rmtree(data_dir.workers / worker_id, ignore_errors=True)
    for path in (data_dir.workers / f"{worker_id}.log", data_dir.socket_dir / f"{worker_id}.sock"):
        path.unlink(missing_ok=True)
