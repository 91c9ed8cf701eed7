"""The host's notes in a worker's run file, from which the next host and the pruning of environments know the worker."""

from dataclasses import dataclass

from data_plane.host.observed import RestartHistory
from data_plane.host.wanted import Slot
from data_plane.replicas.port import ObservedReplica

# The slot of a worker with unreadable notes: no goal has the slot, so the plan drains the worker.
_UNKNOWN = Slot(deployment_id=-1, generation=-1, number=-1)


@dataclass(frozen=True, slots=True)
class Labels:
    slot: Slot
    bundle_hash: str
    environment: str
    """Folder in use below environments/."""
    drain_seconds: float
    restarts: int
    last_exit_reason: str | None

    @property
    def history(self) -> RestartHistory:
        return RestartHistory(restarts=self.restarts, last_exit_reason=self.last_exit_reason)

    def to_dict(self) -> dict[str, str]:
        return {
            "deployment_id": str(self.slot.deployment_id),
            "slot": str(self.slot.number),
            "bundle_hash": self.bundle_hash,
            "environment": self.environment,
            "drain_seconds": str(self.drain_seconds),
            "restarts": str(self.restarts),
            "last_exit_reason": self.last_exit_reason or "",
        }

    @classmethod
    def of(cls, replica: ObservedReplica) -> "Labels":
        labels = replica.labels
        try:
            slot = Slot(int(labels["deployment_id"]), replica.generation, int(labels["slot"]))
            return cls(
                slot=slot,
                bundle_hash=labels["bundle_hash"],
                environment=labels["environment"],
                drain_seconds=float(labels["drain_seconds"]),
                restarts=int(labels["restarts"]),
                last_exit_reason=labels["last_exit_reason"] or None,
            )
        except (KeyError, ValueError):
            return cls(_UNKNOWN, bundle_hash="", environment="", drain_seconds=0.0, restarts=0, last_exit_reason=None)
