"""The heartbeat of a Celery worker with the solo pool: its main thread both waits for messages and runs the tasks.

While the worker waits, a timer of its event loop beats. A task, or a wait for the broker, is long work of the main
thread (`Heartbeat.working`).
"""

from typing import Any

from celery import Celery, bootsteps
from celery.signals import task_postrun, task_prerun
from celery.worker.consumer import Consumer

from modelyard.process.heartbeat import BEAT_SECONDS, Heartbeat


def beat_with(app: Celery, heartbeat: Heartbeat) -> None:
    """Make the workers of the application in this process beat. Call before `app.worker_main`."""

    class BeatInLoop(bootsteps.StartStopStep):  # type: ignore[misc] # Celery has no types
        requires = ("celery.worker.components:Hub",)

        def start(self, worker: Any) -> None:
            worker.hub.call_repeatedly(BEAT_SECONDS, heartbeat.beat)

    class BeatingConsumer(Consumer):  # type: ignore[misc] # Celery has no types
        def ensure_connected(self, connection: Any) -> Any:
            with heartbeat.working():
                return super().ensure_connected(connection)

    app.steps["worker"].add(BeatInLoop)
    app.conf.worker_consumer = BeatingConsumer
    # Celery holds only weak references to bound methods otherwise.
    task_prerun.connect(heartbeat.begin_work, weak=False)
    task_postrun.connect(heartbeat.end_work, weak=False)
