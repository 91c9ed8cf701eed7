"""The Celery application: how messages reach batch workers. The truth is in Postgres; a message only carries an id."""

import logging
from collections.abc import Callable

from celery import Celery

QUEUE = "batch"
RUN_JOB = "batch.run_job"

_log = logging.getLogger(__name__)

# Redis hands a message out again after this time even while its task runs, and a job may take days: that is harmless,
# because what counts are the leases on its rows. A job that somebody works on has nothing for the second message.
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


def sender(app: Celery) -> Callable[[int, int], None]:
    """Calls other batch workers to a job. A message that is lost costs seconds, until the sweep sends another."""

    def send(job_id: int, count: int) -> None:
        try:
            for _ in range(count):
                app.send_task(RUN_JOB, args=[job_id], queue=QUEUE, retry=False, ignore_result=True)
        except Exception as error:  # noqa: BLE001 - whatever the broker's trouble is, the sweep will send again
            _log.warning("other workers could not be called to job %s: %s", job_id, error)

    return send
