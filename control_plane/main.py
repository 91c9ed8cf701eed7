"""The control plane's process: `control_plane.main --fd N [--tls-fd T] [--lifeline-fd M] [--heartbeat FILE]`.

Serve the REST interface on listening sockets that the supervisor bound, and run the sweep. Reads MODELYARD_* settings.
"""

import argparse
import asyncio
import gc
import logging
import os
import socket
from pathlib import Path
from typing import NoReturn

import uvloop
from anyio import CapacityLimiter, to_thread

from control_plane.app import create_app
from control_plane.dependencies import watch_dependencies
from control_plane.reconcile.sweep import Sweep, periodic_tasks
from control_plane.server import ControlPlaneServer
from control_plane.services import wire
from control_plane.workflows.dispatcher import CeleryDispatcher
from modelyard.core.adapters.object_stores import open_store
from modelyard.core.db.unit_of_work import open_database, sessions_of
from modelyard.core.settings import PlatformSettings
from modelyard.core.settings_variables import read_settings
from modelyard.process.heartbeat import Heartbeat
from modelyard.process.http_server import tls_port
from modelyard.process.logging import configure_logging

# Objects of the youngest generation. Python's own limit of 700 is reached by every request.
_OBJECTS_PER_COLLECTION = 20_000


def main(arguments: list[str]) -> NoReturn:
    _serve_until_stopped(_parser().parse_args(arguments))
    logging.shutdown()
    # Threads are not joined: a thread may be storing a large file, or waiting for a database that does not answer.
    os._exit(0)


def _serve_until_stopped(options: argparse.Namespace) -> None:
    settings = read_settings(PlatformSettings, os.environ)
    configure_logging("control-plane", settings.log_level)
    database_url, connections = settings.database_url.get_secret_value(), settings.control_plane.database_connections
    limits = settings.control_plane
    requests = sessions_of(
        open_database(
            database_url,
            pool_size=connections,
            lease=settings.lease,
            waits=settings.database.model_copy(update={"statement_seconds": limits.statement_seconds}),
            pool_seconds=limits.database_seconds,
        )
    )
    # The sweep deletes many rows at once.
    sweeps = sessions_of(open_database(database_url, pool_size=1, lease=settings.lease, waits=settings.database))
    store = open_store(settings.storage_url, settings=settings.object_store)
    dispatcher = CeleryDispatcher(settings.broker_url.get_secret_value())
    services = wire(settings, requests, store, dispatcher, watch_dependencies(settings))
    server = ControlPlaneServer(create_app(services), settings.control_plane)
    if options.tls_fd is not None:
        server.serve_tls(tls_port(options.tls_fd, settings.tls))
    Sweep(periodic_tasks(sweeps, store, dispatcher, settings.retention)).start()
    _collect_garbage_seldom()
    uvloop.run(_serve(server, options))
    services.telemetry.close()


def _collect_garbage_seldom() -> None:
    """A page of a list is many thousand objects. Frequent collections, over the application's routes and schemas too,
    took as long as reading the page."""
    gc.freeze()
    gc.set_threshold(_OBJECTS_PER_COLLECTION, 10, 10)


async def _serve(server: ControlPlaneServer, options: argparse.Namespace) -> None:
    heartbeat = Heartbeat(options.heartbeat)
    # A thread of its own: many slow requests may hold all other threads.
    limiter = CapacityLimiter(1)
    beating = asyncio.create_task(
        heartbeat.follow_event_loop(lambda: to_thread.run_sync(lambda: None, limiter=limiter))
    )
    try:
        await server.serve_until_stopped(socket.socket(fileno=options.fd), options.lifeline_fd)
    finally:
        beating.cancel()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="control_plane.main")
    parser.add_argument("--fd", type=int, required=True, help="the listening socket")
    parser.add_argument("--tls-fd", type=int, help="the listening socket of the port over TLS")
    parser.add_argument("--lifeline-fd", type=int, help="read end of the supervisor's lifeline pipe")
    parser.add_argument("--heartbeat", type=Path, help="file to touch while event loop and threads turn")
    return parser
