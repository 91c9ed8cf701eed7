"""The Celery application and the tasks of builders.

A message carries an id; the state is in Postgres. A second or late delivery has no effect.
"""

import logging
from collections.abc import Callable
from pathlib import Path
from uuid import UUID

from celery import Celery

from builder import repository
from builder.generation import BuildContext, build_next_generation
from modelyard.core.data_dir import DataDir
from modelyard.core.db.lifecycle import end_operation
from modelyard.core.db.unit_of_work import Sessions, transaction
from modelyard.core.environments.folder import Environments
from modelyard.core.environments.prune import remove_unpublished

_log = logging.getLogger(__name__)

QUEUE = "builder"
BUILD_DEPLOYMENT = "builder.build_deployment"
PRUNE_ENVIRONMENTS = "builder.prune_environments"

# Redis delivers a message again after this time even while the task runs: twice the longest build. Recovery relies on
# the lease of the row and on the sweep that sends messages again.
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


def register_tasks(app: Celery, context: BuildContext, data_dir: DataDir) -> None:
    def build_deployment(generation_id: int) -> None:
        context.toolchain.remove_abandoned()
        build_next_generation(context, generation_id)

    def prune(operation_id: str | None = None) -> None:
        removed = prune_environments(context.sessions, context.toolchain.environments, data_dir.worker_run_files)
        _log.info("pruned environments: %s", ", ".join(removed) or "none")
        if operation_id is not None:
            with transaction(context.sessions) as work:
                end_operation(work.session, UUID(operation_id))

    tasks: dict[str, Callable[..., None]] = {BUILD_DEPLOYMENT: build_deployment, PRUNE_ENVIRONMENTS: prune}
    for name, task in tasks.items():
        app.task(name=name)(task)


def prune_environments(sessions: Sessions, environments: Environments, worker_run_files: Path) -> list[str]:
    """Remove environments without a deployment, job or running worker; return the removed names.

    Unpublishing comes first, so that no build adopts an environment before the removal. Other machines follow within
    a minute.
    """
    with transaction(sessions) as work:
        repository.unpublish_unused_environments(work.session)
    return remove_unpublished(sessions, environments, worker_run_files)
