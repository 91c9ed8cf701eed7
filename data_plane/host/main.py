"""The host process of one machine: `data_plane.host.main [--gateways N] [--lifeline-fd FD] [--heartbeat FILE]`.

Reads MODELYARD_* settings. A second host on the same data dir, or on the same database, waits until the first has
ended. A stopped host (SIGTERM) ends every worker; a killed host leaves the workers to the next host.
"""

import argparse
import logging
import os
from pathlib import Path
from typing import NoReturn

from data_plane.host.database_sync import DatabaseSync
from data_plane.host.fleet import Fleet
from data_plane.host.host import Host
from data_plane.host.log_shipping import LogShipper
from data_plane.host.preparations import Preparations
from data_plane.host.publisher import Publisher
from data_plane.host.role import HostRole
from data_plane.replicas.artifacts.environments import NodeEnvironments
from data_plane.replicas.artifacts.node_artifacts import NodeArtifacts
from data_plane.replicas.artifacts.pruning import EnvironmentPruner
from data_plane.replicas.local.machine import usable_cores
from data_plane.replicas.local.runtime import LocalRuntime
from data_plane.replicas.local.spawn import LaunchSettings, log_limits, worker_accounts
from data_plane.replicas.local.worker_sandbox import open_worker_sandbox
from modelyard.core.adapters.object_stores import open_store
from modelyard.core.db.unit_of_work import open_database, sessions_of
from modelyard.core.domain.derived_tokens import DerivedTokenSigner
from modelyard.core.settings import PlatformSettings
from modelyard.core.settings_variables import read_settings
from modelyard.process.heartbeat import Heartbeat
from modelyard.process.lifeline import when_cut
from modelyard.process.logging import configure_logging
from modelyard.process.signals import SignalPipe

_log = logging.getLogger(__name__)

_STANDBY_SECONDS = 0.2


def main(arguments: list[str]) -> NoReturn:
    code = _run(_parser().parse_args(arguments))
    logging.shutdown()
    # Without waiting for threads: one may be fetching a large model.
    os._exit(code)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="data_plane.host.main")
    parser.add_argument("--gateways", type=int, default=1, help="how many gateway processes act on the snapshot")
    parser.add_argument("--lifeline-fd", type=int, help="read end of the pipe whose write end the supervisor holds")
    parser.add_argument("--heartbeat", type=Path, help="file to touch while the main loop turns")
    return parser


def _run(options: argparse.Namespace) -> int:
    if options.lifeline_fd is not None:
        # At once: the workers' shims hold the same lifeline and end the workers.
        when_cut(options.lifeline_fd, lambda: os._exit(1))
    settings = read_settings(PlatformSettings, os.environ)
    configure_logging("host", settings.log_level)
    wake = SignalPipe()
    role = HostRole(settings.data_dir.run / "host.lease")
    heartbeat = Heartbeat(options.heartbeat)
    if not _take_machine(role, wake, heartbeat):
        return 0
    return _host(settings, role, wake, options, heartbeat).run()


def _take_machine(role: HostRole, wake: SignalPipe, heartbeat: Heartbeat) -> bool:
    """Return False if told to stop while another host held the machine."""
    if not role.take_machine():
        _log.info("another host runs on this data dir; waiting for its end")
        while not (role.take_machine() or wake.told_to_stop):
            heartbeat.beat()
            wake.wait(_STANDBY_SECONDS)
    return not wake.told_to_stop


def _host(
    settings: PlatformSettings,
    role: HostRole,
    wake: SignalPipe,
    options: argparse.Namespace,
    heartbeat: Heartbeat,
) -> Host:
    data_dir = settings.data_dir
    store = open_store(settings.storage_url, settings=settings.object_store)
    engine = open_database(settings.database_url.get_secret_value(), lease=settings.lease, waits=settings.database)
    logs = LogShipper(store, data_dir.workers, data_dir.run / "shipped-logs.json")
    launch = LaunchSettings(
        data_dir,
        accounts=worker_accounts(settings.worker_numbers, data_dir),
        sandbox=open_worker_sandbox(settings, data_dir),
        log=log_limits(settings.worker),
        lifeline_fd=options.lifeline_fd,
        busy_poll_seconds=settings.worker.busy_poll_microseconds / 1e6,
    )
    artifacts = NodeArtifacts(store, data_dir, NodeEnvironments(data_dir, os.environ))
    return Host(
        database=DatabaseSync(engine, role, wake.poke),
        fleet=Fleet(LocalRuntime(launch, wake.poke), logs, cores=usable_cores()),
        preparations=Preparations(store, artifacts, wake.poke),
        publisher=Publisher(data_dir.routing_file, options.gateways),
        logs=logs,
        pruner=EnvironmentPruner(sessions_of(engine), data_dir),
        wake=wake,
        heartbeat=heartbeat,
        drain_seconds=settings.worker.drain_seconds,
        derived_token_keys=DerivedTokenSigner(settings.master_key.get_secret_value()).public_keys,
    )
