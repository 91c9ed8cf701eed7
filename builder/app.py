"""The Celery application: how messages reach builders. The truth is in Postgres; a message only carries an id."""

from celery import Celery

QUEUE = "builder"

# Redis hands a message out again after this time even while its task runs. Longer than any build twice over; what
# recovery relies on is the lease on the row and the sweep that sends again.
_VISIBILITY_SECONDS = 4 * 3600


def create_app(broker_url: str) -> Celery:
    app = Celery("builder", broker=broker_url)
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
    )
    return app
