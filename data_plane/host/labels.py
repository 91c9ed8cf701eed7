"""What the host notes in a worker's run file: the next host, and the pruning of environments, know a worker by it."""

from dataclasses import dataclass

from data_plane.host.running import History
from data_plane.host.wanted import Slot
from data_plane.replicas.local.worker_process import WorkerProcess

# A run file of which nobody can tell what it was for: its worker is wanted by nobody.
_NOWHERE = Slot(deployment_id=-1, generation=-1, number=-1)


@dataclass(frozen=True, slots=True)
class Labels:
    slot: Slot
    bundle_hash: str
    environment: str
    """Folder below environments/ that is in use."""
    drain_seconds: float
    restarts: int
    last_exit_reason: str | None

    @property
    def history(self) -> History:
        return History(restarts=self.restarts, last_exit_reason=self.last_exit_reason)

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
    def of(cls, worker: WorkerProcess) -> "Labels":
        labels = worker.labels
        try:
            slot = Slot(int(labels["deployment_id"]), worker.generation, int(labels["slot"]))
            return cls(
                slot=slot,
                bundle_hash=labels["bundle_hash"],
                environment=labels["environment"],
                drain_seconds=float(labels["drain_seconds"]),
                restarts=int(labels["restarts"]),
                last_exit_reason=labels["last_exit_reason"] or None,
            )
        except (KeyError, ValueError):
            return cls(_NOWHERE, bundle_hash="", environment="", drain_seconds=0.0, restarts=0, last_exit_reason=None)
