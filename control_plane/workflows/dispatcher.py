"""Messages to builders and batch workers.

A message carries the id of a row. A lost message delays the work until the next sweep, a few seconds.
"""

import logging
from typing import Protocol
from uuid import UUID

from celery import Celery

_log = logging.getLogger(__name__)

_BUILDER = "builder"
_BATCH = "batch"
_BUILD_DEPLOYMENT = "builder.build_deployment"
_PRUNE_ENVIRONMENTS = "builder.prune_environments"
_RUN_JOB = "batch.run_job"
_CONNECT_SECONDS = 1.0
_ANSWER_SECONDS = 2.0


class Dispatcher(Protocol):
    """Sends messages, and never raises: the sweep resends for the rows that still wait."""

    def build_deployment(self, generation_id: int) -> None: ...

    def prune_environments(self, operation_id: UUID) -> None: ...

    def run_job(self, job_id: int) -> None: ...


class CeleryDispatcher:
    def __init__(self, broker_url: str) -> None:
        self._app = Celery("control-plane", broker=broker_url)
        self._app.conf.update(
            task_serializer="json",
            task_ignore_result=True,
            broker_transport_options={
                "socket_connect_timeout": _CONNECT_SECONDS,
                "socket_timeout": _ANSWER_SECONDS,
                "max_retries": 0,
            },
        )

    def build_deployment(self, generation_id: int) -> None:
        self._send(_BUILDER, _BUILD_DEPLOYMENT, generation_id)

    def prune_environments(self, operation_id: UUID) -> None:
        self._send(_BUILDER, _PRUNE_ENVIRONMENTS, str(operation_id))

    def run_job(self, job_id: int) -> None:
        self._send(_BATCH, _RUN_JOB, job_id)

    def _send(self, queue: str, task: str, argument: int | str) -> None:
        try:
            self._app.send_task(task, args=[argument], queue=queue, retry=False, ignore_result=True)
        except Exception as error:  # noqa: BLE001 - after any error of the broker, the sweep resends
            _log.warning("the message %s(%s) was not sent, and the sweep will resend it: %s", task, argument, error)
