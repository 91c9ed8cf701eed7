"""A batch worker: `data_plane.batch.main --index I [--workers N] [--data-dir DIR] [--lifeline-fd N]`.

The supervisor runs several batch workers, each with an index. A batch worker ends with the lifeline; the model workers
end with the batch worker's process.
"""

import argparse
import os
import socket
from pathlib import Path

from celery.signals import worker_ready

from data_plane.batch.app import QUEUE, create_app, register_tasks, worker_caller
from data_plane.batch.bundle_cache import BundleCache
from data_plane.batch.db_retry import retry_on_db_loss
from data_plane.batch.repository import release_predecessors
from data_plane.batch.run_job import JobContext
from data_plane.batch.worker_pool import WorkerPool
from data_plane.replicas.artifacts.environments import NodeEnvironments
from data_plane.replicas.artifacts.node_artifacts import NodeArtifacts
from data_plane.replicas.artifacts.pruning import prune_environments
from data_plane.replicas.local.launcher import LocalLauncher
from data_plane.replicas.local.machine import usable_cores
from data_plane.replicas.local.spawn import LaunchSettings, log_limits, worker_accounts
from data_plane.replicas.local.worker_sandbox import open_worker_sandbox
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
    # Online requests go first.
    os.nice(settings.batch.nice)
    configure_logging(f"batch-{options.index}", settings.log_level)
    heartbeat = Heartbeat(options.heartbeat, idle_seconds=settings.supervisor.step_seconds)
    _work(settings, options.index, options.workers, heartbeat)


def _parse(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="data_plane.batch.main", description=__doc__)
    parser.add_argument("--index", type=int, required=True, help="index of this batch worker on this machine, from 0")
    parser.add_argument(
        "--workers", type=int, default=1, help="number of batch workers that share this machine's cores"
    )
    parser.add_argument("--data-dir", type=Path, help="default: MODELYARD_DATA_DIR")
    parser.add_argument("--lifeline-fd", type=int, help="read end of the pipe that the supervisor holds open")
    parser.add_argument("--heartbeat", type=Path, help="file to touch while the main loop turns")
    return parser.parse_args(arguments)


def _work(settings: PlatformSettings, index: int, workers: int, heartbeat: Heartbeat) -> None:
    # Until Celery's loop turns.
    heartbeat.begin_work()
    accounts = worker_accounts(settings.worker_numbers, settings.data_dir)
    sandbox = open_worker_sandbox(settings, settings.data_dir)
    launcher = LocalLauncher(
        LaunchSettings(settings.data_dir, accounts, sandbox, log=log_limits(settings.worker)),
        owner=f"batch-{index}",
        max_answer_bytes=settings.batch.max_answer_bytes,
    )
    launcher.end_predecessors()
    pool = WorkerPool(
        launcher,
        threads=max(1, usable_cores() // workers),
        load_seconds=settings.batch.worker_load_seconds,
        idle_seconds=settings.batch.worker_idle_seconds,
    )
    worker = f"{socket.gethostname()}-batch-{index}"
    database_url = settings.database_url.get_secret_value()
    sessions = sessions_of(open_database(database_url, pool_size=4, lease=settings.lease, waits=settings.database))
    retry_on_db_loss(sessions, lambda session: release_predecessors(session, worker))
    app = create_app(settings.broker_url.get_secret_value())
    store = open_store(settings.storage_url, settings=settings.object_store)
    artifacts = NodeArtifacts(store, settings.data_dir, NodeEnvironments(settings.data_dir, os.environ))
    context = JobContext(
        sessions=sessions,
        store=store,
        bundles=BundleCache(artifacts),
        pool=pool,
        worker=worker,
        prune_environments=lambda: prune_environments(sessions, settings.data_dir),
        call_workers=worker_caller(app),
        max_attempts=settings.batch.max_attempts,
    )
    register_tasks(app, context)
    beat_with(app, heartbeat)
    # A batch worker that is told to stop releases its mini-batch.
    worker_ready.connect(exit_on_stop_signals)
    # One mini-batch at a time, in the main thread; the supervisor runs as many processes as there are cores.
    options = ["--pool=solo", "--without-gossip", "--without-mingle", "--without-heartbeat"]
    options += [f"--loglevel={settings.log_level}"]
    try:
        app.worker_main(["worker", *options, f"--queues={QUEUE}", f"--hostname=batch-{index}-{os.getpid()}@%h"])
    finally:
        pool.close()
