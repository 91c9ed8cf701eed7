"""What a batch worker notes in the run files of its guests: the host leaves them alone, and its successor ends them."""

from collections.abc import Mapping

from data_plane.replicas.local.worker_process import GuestProcess

_WORKER = "batch_worker"


def batch_labels(worker: str, environment: str) -> Mapping[str, str]:
    """`environment` is the folder below environments/ that is in use."""
    return {_WORKER: worker, "environment": environment}


def is_of_batch(guest: GuestProcess) -> bool:
    return _WORKER in guest.labels


def is_of_worker(guest: GuestProcess, worker: str) -> bool:
    return guest.labels.get(_WORKER) == worker
