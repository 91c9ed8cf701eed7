"""A builder process: `builder.main [--data-dir DIR] [--lifeline-fd N] [--heartbeat FILE]`.

The supervisor runs several. A builder ends when its lifeline is closed; the process shims then end the programs of the
build.
"""

import argparse
import os
from pathlib import Path

from celery.signals import worker_ready

from builder.accounts import builder_accounts
from builder.build_sandbox import open_build_sandbox
from builder.composition import open_toolchain
from builder.environment_files.requirements import RequirementPolicy
from builder.generation import BuildContext
from builder.tasks import QUEUE, create_app, register_tasks
from modelyard.core.adapters.object_stores import open_store
from modelyard.core.db.unit_of_work import open_database, sessions_of
from modelyard.core.settings import PlatformSettings
from modelyard.core.settings_variables import read_settings
from modelyard.messaging.worker_heartbeat import beat_with
from modelyard.process.heartbeat import Heartbeat
from modelyard.process.lifeline import when_cut
from modelyard.process.logging import configure_logging
from modelyard.process.signals import exit_on_stop_signals


def main(arguments: list[str]) -> None:
    options = _parse(arguments)
    if options.lifeline_fd is not None:
        when_cut(options.lifeline_fd, lambda: os._exit(1))
    data_dir = {} if options.data_dir is None else {"MODELYARD_DATA_DIR": str(options.data_dir)}
    settings = read_settings(PlatformSettings, {**os.environ, **data_dir})
    configure_logging("builder", settings.log_level)
    _work(settings, Heartbeat(options.heartbeat, idle_seconds=settings.supervisor.step_seconds))


def _parse(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="builder.main", description=__doc__)
    parser.add_argument("--data-dir", type=Path, help="default: MODELYARD_DATA_DIR")
    parser.add_argument("--lifeline-fd", type=int, help="read end of the pipe that the supervisor holds open")
    parser.add_argument("--heartbeat", type=Path, help="file to touch while the main loop turns")
    return parser.parse_args(arguments)


def _work(settings: PlatformSettings, heartbeat: Heartbeat) -> None:
    # Until Celery's loop turns.
    heartbeat.begin_work()
    data_dir = settings.data_dir
    toolchain = open_toolchain(
        data_dir,
        environ=os.environ,
        home=Path.home(),
        worker_user=settings.worker_user,
        requirements=RequirementPolicy(settings.build.allowed_variables, settings.outgoing.policy),
        accounts=builder_accounts(settings),
        sandbox=open_build_sandbox(settings),
    )
    toolchain.remove_abandoned()
    database_url = settings.database_url.get_secret_value()
    sessions = sessions_of(open_database(database_url, pool_size=4, lease=settings.lease, waits=settings.database))
    app = create_app(settings.broker_url.get_secret_value())
    store = open_store(settings.storage_url, settings=settings.object_store)
    context = BuildContext(sessions, store, data_dir.models, toolchain, settings.builder.max_attempts)
    register_tasks(app, context, data_dir)
    beat_with(app, heartbeat)
    # The next builder resumes an interrupted build.
    worker_ready.connect(exit_on_stop_signals)
    # One task at a time, in the main thread: one build keeps two cores busy.
    options = [
        "--pool=solo",
        "--without-gossip",
        "--without-mingle",
        "--without-heartbeat",
        f"--loglevel={settings.log_level}",
    ]
    app.worker_main(["worker", *options, f"--queues={QUEUE}", f"--hostname=builder-{os.getpid()}@%h"])
