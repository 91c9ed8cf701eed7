"""A batch worker: `python -m data_plane.batch.main --index I [--workers N] [--data-dir DIR] [--lifeline-fd N]`.

The supervisor runs several, each with an index of its own. A batch worker ends when its lifeline does; its workers end
with it, however it ends.
"""

import argparse
import os
import socket
import sys
from pathlib import Path

from celery.signals import worker_ready

from data_plane.batch.app import QUEUE, create_app, sender
from data_plane.batch.material import Materials
from data_plane.batch.model_workers import ModelWorkers, WorkerTerms
from data_plane.batch.patience import patiently
from data_plane.batch.repository import give_back_predecessors
from data_plane.batch.run_job import Desk
from data_plane.batch.tasks import register_tasks
from data_plane.replicas.artifacts.environments import MachineEnvironments
from data_plane.replicas.artifacts.housekeeping import make_room
from data_plane.replicas.local.machine import usable_cores
from modelyard.core.adapters.object_stores import open_store
from modelyard.core.db.unit_of_work import open_database, sessions_of
from modelyard.core.settings import PlatformSettings
from modelyard.core.settings_variables import read_settings
from modelyard.process.lifeline import when_cut
from modelyard.process.logging import configure_logging
from modelyard.process.signals import exit_on_stop_signals


def main(arguments: list[str]) -> None:
    options = _parse(arguments)
    if options.lifeline_fd is not None:
        when_cut(options.lifeline_fd, lambda: os._exit(1))
    data_dir = {} if options.data_dir is None else {"MODELYARD_DATA_DIR": str(options.data_dir)}
    settings = read_settings(PlatformSettings, {**os.environ, **data_dir})
    # A client that waits for an online prediction goes first.
    os.nice(settings.batch.nice)
    configure_logging(f"batch-{options.index}", settings.log_level)
    _work(settings, options.index, options.workers)


def _parse(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m data_plane.batch.main", description=__doc__)
    parser.add_argument("--index", type=int, required=True, help="which of this machine's batch workers it is, from 0")
    parser.add_argument("--workers", type=int, default=1, help="how many batch workers share this machine's cores")
    parser.add_argument("--data-dir", type=Path, help="default: MODELYARD_DATA_DIR")
    parser.add_argument("--lifeline-fd", type=int, help="read end of the pipe that the supervisor holds open")
    return parser.parse_args(arguments)


def _work(settings: PlatformSettings, index: int, workers: int) -> None:
    threads = max(1, usable_cores() // workers)
    model_workers = ModelWorkers(
        WorkerTerms(f"batch-{index}", settings.data_dir, settings.worker_user, threads, settings.batch)
    )
    model_workers.end_predecessors()
    worker = f"{socket.gethostname()}-batch-{index}"
    sessions = sessions_of(open_database(settings.database_url.get_secret_value(), pool_size=4, lease=settings.lease))
    patiently(sessions, lambda session: give_back_predecessors(session, worker))
    app = create_app(settings.broker_url.get_secret_value())
    store = open_store(settings.storage_url, settings=settings.object_store)
    desk = Desk(
        sessions=sessions,
        store=store,
        materials=Materials(store, settings.data_dir, MachineEnvironments(settings.data_dir, os.environ)),
        workers=model_workers,
        worker=worker,
        make_room=lambda: make_room(sessions, settings.data_dir),
        send=sender(app),
        max_attempts=settings.batch.max_attempts,
    )
    register_tasks(app, desk)
    # A batch worker that is told to stop returns its mini-batch.
    worker_ready.connect(exit_on_stop_signals)
    # One mini-batch at a time, in the main thread; the supervisor runs as many processes as there are cores.
    options = [
        "--pool=solo",
        "--without-gossip",
        "--without-mingle",
        "--without-heartbeat",
        f"--loglevel={settings.log_level}",
    ]
    try:
        app.worker_main(["worker", *options, f"--queues={QUEUE}", f"--hostname=batch-{index}-{os.getpid()}@%h"])
    finally:
        model_workers.close()


if __name__ == "__main__":
    main(sys.argv[1:])
