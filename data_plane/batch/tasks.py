"""What batch workers do when a message arrives. Delivered twice or too late, it does nothing the second time."""

from celery import Celery

from data_plane.batch.app import RUN_JOB
from data_plane.batch.run_job import Desk, run_job


def register_tasks(app: Celery, desk: Desk) -> None:
    def run(job_id: int) -> None:
        run_job(desk, job_id)

    app.task(name=RUN_JOB)(run)
