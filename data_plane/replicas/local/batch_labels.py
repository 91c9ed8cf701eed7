"""Labels in the run files of a batch worker's model workers: the host leaves them alone, the successor ends them."""

from collections.abc import Mapping

from data_plane.replicas.local.worker_process import WorkerProcess

_WORKER = "batch_worker"


def batch_labels(worker: str, environment: str) -> Mapping[str, str]:
    """`environment` is the folder below environments/ that is in use."""
    return {_WORKER: worker, "environment": environment}


def is_of_batch(model_worker: WorkerProcess) -> bool:
    return _WORKER in model_worker.labels


def is_of_worker(model_worker: WorkerProcess, worker: str) -> bool:
    return model_worker.labels.get(_WORKER) == worker
