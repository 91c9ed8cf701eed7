"""The Celery application: messages call batch workers to a job.

The truth is in Postgres, and a message carries only a job id: a message that comes twice or late does no harm.
"""

import logging
from collections.abc import Callable

from celery import Celery

from data_plane.batch.run_job import JobContext, run_job

QUEUE = "batch"
RUN_JOB = "batch.run_job"

_log = logging.getLogger(__name__)

# Redis delivers a message again after this time even while its task runs, and a job may take days. The second delivery
# is harmless: the leases on the job's rows count, and a job in work has no step for it.
_VISIBILITY_SECONDS = 7 * 24 * 3600


def create_app(broker_url: str) -> Celery:
    app = Celery("batch", broker=broker_url)
    app.conf.update(
        task_default_queue=QUEUE,
        task_acks_late=True,
        task_reject_on_worker_lost=True,
        task_ignore_result=True,
        task_serializer="json",
        accept_content=["json"],
        worker_prefetch_multiplier=1,
        worker_hijack_root_logger=False,
        worker_cancel_long_running_tasks_on_connection_loss=False,
        broker_transport_options={"visibility_timeout": _VISIBILITY_SECONDS},
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,
    )
    return app


def register_tasks(app: Celery, context: JobContext) -> None:
    def run(job_id: int) -> None:
        run_job(context, job_id)

    app.task(name=RUN_JOB)(run)


def worker_caller(app: Celery) -> Callable[[int, int], None]:
    """Return a function that calls other batch workers to a job. The sweep replaces a lost message within seconds."""

    def call_workers(job_id: int, count: int) -> None:
        try:
            for _ in range(count):
                app.send_task(RUN_JOB, args=[job_id], queue=QUEUE, retry=False, ignore_result=True)
        except Exception as error:  # noqa: BLE001 - after any trouble of the broker, the sweep sends again
            _log.warning("further batch workers could not be called to job %s: %s", job_id, error)

    return call_workers
