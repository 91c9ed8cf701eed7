"""A gateway process: `data_plane.gateway.main --fd N [--tls-fd T] --data-dir D --index 0 [--gateways 1]`.

The supervisor bound the listening socket and hands over its descriptor, so that a restarted gateway finds the
connections that arrived in the meantime.
"""

import argparse
import asyncio
import gc
import logging
import os
import socket
from functools import partial
from pathlib import Path

import uvloop

from data_plane.gateway.admission import PendingRequests
from data_plane.gateway.app import GatewayApp
from data_plane.gateway.errors import error_document
from data_plane.gateway.rate_limits import RateCounters, limiters
from data_plane.gateway.routes import GATEWAY_HEALTH_PATHS
from data_plane.gateway.routing_table import MakeUpstream, RoutingTable
from data_plane.gateway.snapshot_watcher import SnapshotWatcher
from data_plane.gateway.upstream import Local
from data_plane.replicas.local.batching import Batching
from data_plane.replicas.local.local_replica import LocalReplica
from data_plane.replicas.local.worker_connection import ConnectionSettings
from data_plane.replicas.local.worker_process import note_protocol_fault
from data_plane.scoring.loaded_bundle import LoadedBundle, answers_row_by_row
from modelyard.core.adapters.openid import OpenIdVerifier
from modelyard.core.data_dir import DataDir
from modelyard.core.domain.routing import DeploymentRoute
from modelyard.core.settings import Tunables
from modelyard.core.settings_variables import read_settings
from modelyard.process.heartbeat import Heartbeat
from modelyard.process.http_server import SupervisedServer, tls_port
from modelyard.process.logging import configure_logging

# Objects of the youngest generation. Python's own limit of 700 is reached by every request.
_OBJECTS_PER_COLLECTION = 20_000


def main(arguments: list[str]) -> int:
    options = _parser().parse_args(arguments)
    settings = read_settings(Tunables, os.environ)
    configure_logging(f"gateway-{options.index}", settings.log_level)
    logging.getLogger("uvicorn.error").setLevel(logging.ERROR)
    uvloop.run(_serve(options, settings))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="modelyard gateway")
    parser.add_argument("--fd", type=int, required=True, help="the listening socket")
    parser.add_argument("--tls-fd", type=int, help="the listening socket of the port over TLS")
    parser.add_argument("--data-dir", type=Path, required=True)
    parser.add_argument("--index", type=int, required=True, help="which of the gateway processes this one is")
    parser.add_argument("--gateways", type=int, default=1, help="how many gateway processes share the socket")
    parser.add_argument("--lifeline-fd", type=int, help="read end of the supervisor's lifeline pipe")
    parser.add_argument("--heartbeat", type=Path, help="file to touch while the event loop turns")
    return parser


async def _serve(options: argparse.Namespace, settings: Tunables) -> None:
    limits = settings.gateway
    data_dir = DataDir(options.data_dir)
    pending = PendingRequests(data_dir.run, options.index, options.gateways)
    connections = ConnectionSettings(
        settings.worker.max_answer_bytes,
        settings.worker.frame_seconds,
        partial(note_protocol_fault, data_dir),
        settings.worker.busy_poll_microseconds / 1e6,
    )
    openid = OpenIdVerifier(settings.openid)
    counters = RateCounters(data_dir.run, options.index, options.gateways)
    table = RoutingTable(_local_upstreams(pending, connections), openid, limiters(counters))
    watcher = SnapshotWatcher(data_dir.routing_file, data_dir.run / f"gateway-{options.index}.applied", table.apply)
    # Before the first request: a restarted gateway must not answer 404 for an endpoint of the snapshot.
    watcher.look()
    _collect_garbage_seldom()
    background = [
        asyncio.create_task(watcher.follow()),
        asyncio.create_task(openid.keep_keys_fresh()),
        asyncio.create_task(Heartbeat(options.heartbeat).follow_event_loop()),
    ]
    server = SupervisedServer(
        GatewayApp(table, limits),
        limits,
        error=error_document,
        health=GATEWAY_HEALTH_PATHS,
        cancel_abandoned=True,
        without_tasks=True,
    )
    if options.tls_fd is not None:
        server.serve_tls(tls_port(options.tls_fd, settings.tls))
    try:
        await server.serve_until_stopped(socket.socket(fileno=options.fd), options.lifeline_fd)
    finally:
        for task in background:
            task.cancel()
        await asyncio.gather(*background, return_exceptions=True)
        table.close()


def _collect_garbage_seldom() -> None:
    """A body of a million rows is a million lists. Frequent collections took longer than reading the body."""
    gc.freeze()
    gc.set_threshold(_OBJECTS_PER_COLLECTION, 10, 10)


def _local_upstreams(pending: PendingRequests, connections: ConnectionSettings) -> MakeUpstream:
    def local_upstream(route: DeploymentRoute, loaded: LoadedBundle) -> Local:
        slot = pending.slot(route.bundle_dir, route.name, route.generation)
        batching = Batching(auto_enabled=answers_row_by_row(loaded.bundle, loaded.signature))
        replica = LocalReplica(route, batching, slot, connections)
        return Local(replica, loaded, max_answer_bytes=connections.max_bytes)

    return local_upstream
