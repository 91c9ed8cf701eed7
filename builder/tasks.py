"""What builders do when a message arrives. Delivered twice or too late, each does nothing the second time."""

from collections.abc import Callable
from uuid import UUID

from celery import Celery

from builder.generation import BuildContext, build_generation
from builder.prune import prune_environments
from modelyard.core.data_dir import DataDir
from modelyard.core.db.lifecycle import end_operation
from modelyard.core.db.unit_of_work import transaction

BUILD_DEPLOYMENT = "builder.build_deployment"
PRUNE_ENVIRONMENTS = "builder.prune_environments"


def register_tasks(app: Celery, context: BuildContext, data_dir: DataDir) -> None:
    def build_deployment(generation_id: int) -> None:
        context.toolchain.remove_abandoned()
        build_generation(context, generation_id)

    def prune(operation_id: str | None = None) -> None:
        prune_environments(context.sessions, context.toolchain.environments, data_dir.guest_run_files)
        if operation_id is not None:
            with transaction(context.sessions) as work:
                end_operation(work.session, UUID(operation_id))

    tasks: dict[str, Callable[..., None]] = {BUILD_DEPLOYMENT: build_deployment, PRUNE_ENVIRONMENTS: prune}
    for name, task in tasks.items():
        app.task(name=name)(task)
