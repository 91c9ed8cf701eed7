"""The host's workers: slot, drain deadline or kill of each, and the restart history of every slot."""

import logging
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from data_plane.host.labels import Labels
from data_plane.host.log_shipping import LogShipper
from data_plane.host.observed import ObservedWorker, RestartHistory
from data_plane.host.plan import ExitCause, Kill
from data_plane.host.preparations import Prepared
from data_plane.host.wanted import Goal, Slot
from data_plane.replicas.port import ObservedReplica, Phase, ReplicaNotStarted, ReplicaSpec, Runtime
from modelyard.core.domain.deployment import Probe

_log = logging.getLogger(__name__)

# Added to a request's own time: the gateway has to learn of the change and close the connection.
_DRAIN_MARGIN_SECONDS = 5.0


@dataclass(slots=True)
class Member:
    labels: Labels
    ends_by: float | None = None
    killed: Kill | None = None


class Fleet:
    def __init__(self, runtime: Runtime, logs: LogShipper, *, cores: int) -> None:
        """`cores` are divided among the workers of a deployment."""
        self._runtime = runtime
        self._logs = logs
        self._cores = cores
        self._members: dict[str, Member] = {}
        self._histories: dict[Slot, RestartHistory] = {}

    @property
    def workers(self) -> tuple[ObservedWorker, ...]:
        return tuple(_observed(replica, self._members[replica.id]) for replica in self._runtime.observe())

    @property
    def histories(self) -> Mapping[Slot, RestartHistory]:
        return dict(self._histories)

    @property
    def available_memory(self) -> int | None:
        return self._runtime.available_memory()

    def __len__(self) -> int:
        """Number of workers that have not been reaped."""
        return len(self._members)

    def adopt(self, routed: Collection[str]) -> None:
        """Take over the workers of an earlier host. Workers to which gateways route (`routed`) count as ready."""
        self._runtime.adopt(routed)
        for replica in self._runtime.observe():
            labels = Labels.of(replica)
            self._histories[labels.slot] = labels.history
            self._add(replica, labels)

    def start(self, slot: Slot, goal: Goal, prepared: Prepared, now: float) -> None:
        history = self._histories.get(slot, RestartHistory())
        spec = goal.generation.spec
        request_seconds = spec.request_settings.request_timeout_seconds
        labels = Labels(
            slot=slot,
            bundle_hash=goal.generation.bundle_hash,
            environment=prepared.environment.name,
            drain_seconds=request_seconds + _DRAIN_MARGIN_SECONDS,
            restarts=history.restarts,
            last_exit_reason=history.last_exit_reason,
        )
        wanted = ReplicaSpec(
            endpoint=goal.deployment.endpoint,
            deployment=goal.deployment.name,
            generation=goal.generation.number,
            python=prepared.environment.python,
            bundle_dir=prepared.bundle_dir,
            model_dir=prepared.model_dir,
            account=f"online deployment {goal.deployment.id}",
            environment_variables=prepared.bundle.environment_variables,
            has_network=spec.has_network,
            workers=goal.worker_count,
            threads=max(1, self._cores // goal.worker_count),
            request_seconds=request_seconds,
            liveness_probe=spec.liveness_probe,
            labels=labels.to_dict(),
        )
        try:
            replica = self._runtime.start(wanted)
        except ReplicaNotStarted as error:
            self._histories[slot] = history.failed(str(error), now=now)
            return
        _log.info("worker %s started for %s/%s %s", replica.id, replica.endpoint, replica.deployment, slot)
        self._add(replica, labels)

    def set_probe(self, worker_id: str, probe: Probe) -> None:
        """Probe an adopted worker as its deployment now asks."""
        self._runtime.set_probe(worker_id, probe)

    def drain(self, worker_id: str, seconds: float, now: float) -> None:
        member = self._members[worker_id]
        if member.killed is not None:
            return
        _log.info("worker %s drains", worker_id)
        member.ends_by = now + seconds
        self._runtime.drain(worker_id, seconds)

    def kill(self, order: Kill) -> None:
        """Kill a worker; a repetition while the worker is dying does nothing."""
        member = self._members[order.worker_id]
        if member.killed is not None:
            return
        _log.info("worker %s is killed: %s", order.worker_id, order.reason)
        member.killed = order
        self._runtime.kill(order.worker_id, order.reason)

    def kill_all(self, reason: str) -> None:
        for worker_id in list(self._members):
            self.kill(Kill(worker_id, reason))

    def reap(self, now: float) -> None:
        """Record the end of every ended worker and remove the worker's files."""
        for replica in self._runtime.observe():
            if replica.exit_reason is not None:
                self._reap(replica, self._members.pop(replica.id), now)

    def keep_histories(self, slots: Collection[Slot]) -> None:
        """Forget the histories of all other slots."""
        for slot in self._histories.keys() - set(slots):
            del self._histories[slot]

    def _add(self, replica: ObservedReplica, labels: Labels) -> None:
        self._logs.follow(replica.id, labels.slot.deployment_id)
        self._members[replica.id] = Member(labels)

    def _reap(self, replica: ObservedReplica, member: Member, now: float) -> None:
        reason = _reason(replica, member)
        _log.info("worker %s of %s/%s ended: %s", replica.id, replica.endpoint, replica.deployment, reason)
        self._logs.finish(replica.id)
        if member.ends_by is None:
            self._histories[member.labels.slot] = self._history_after(replica, member, reason, now)
        self._runtime.remove(replica.id)

    def _history_after(self, replica: ObservedReplica, member: Member, reason: str, now: float) -> RestartHistory:
        history = self._histories.get(member.labels.slot, RestartHistory())
        cause = ExitCause.WORKER if member.killed is None else member.killed.cause
        if cause is ExitCause.SURPLUS:
            return history
        if cause is ExitCause.REQUEST:
            return history.replaced(reason)
        return history.failed(
            reason,
            now=now,
            ready_seconds=0.0 if replica.ready_at is None else now - replica.ready_at,
            final_reason=replica.error or (reason if cause is ExitCause.MODEL else None),
        )


def _observed(replica: ObservedReplica, member: Member) -> ObservedWorker:
    phase = replica.phase if member.ends_by is None else Phase.DRAINING
    return ObservedWorker(
        worker_id=replica.id,
        slot=member.labels.slot,
        bundle_hash=member.labels.bundle_hash,
        socket=replica.address,
        pid=replica.pid,
        phase=phase if member.killed is None else Phase.LOST,
        started_at=replica.started_at,
        drain_seconds=member.labels.drain_seconds,
        missed_probes=replica.missed_probes,
        protocol_fault=replica.protocol_fault,
        ends_by=member.ends_by,
        overdue_for=replica.overdue_for,
        memory=replica.memory,
        protections=replica.protections,
    )


def _reason(replica: ObservedReplica, member: Member) -> str:
    if replica.error is not None:
        return f"init failed: {replica.error}"
    if member.killed is not None:
        return member.killed.reason
    return replica.exit_reason or "ended"
