"""Publishes the routing snapshot by atomic rename, and hears from the gateways which one they act on."""

import json
from collections.abc import Mapping
from pathlib import Path

from modelyard.core.domain.routing import EndpointRoute, RoutingSnapshot
from modelyard.process.atomic_files import replace_file

_NOTHING = RoutingSnapshot(revision=0, sequence=0)


class Publisher:
    """Goes on counting from the snapshot on disk, so that the order of snapshots survives restarts."""

    def __init__(self, file: Path, gateways: int) -> None:
        self._file = file
        self._reports = [file.with_name(f"gateway-{index}.applied") for index in range(gateways)]
        self._latest = _read(file)

    @property
    def order(self) -> tuple[int, int]:
        return self._latest.order

    @property
    def routed(self) -> set[str]:
        """The workers that the latest snapshot leads to."""
        routes = [route for endpoint in self._latest.endpoints.values() for route in endpoint.deployments.values()]
        return {worker.worker_id for route in routes for worker in route.workers}

    def publish(self, revision: int, endpoints: Mapping[str, EndpointRoute]) -> bool:
        """Whether there was something new to publish."""
        # A database that was put back to an earlier state must not make the gateways deaf.
        revision = max(revision, self._latest.revision)
        if revision == self._latest.revision and endpoints == self._latest.endpoints:
            return False
        self._latest = RoutingSnapshot(revision, self._latest.sequence + 1, endpoints)
        # Its number must survive a power cut: gateways ignore what is not newer.
        replace_file(self._file, self._latest.to_json(), mode=0o600, durable=True)
        return True

    def is_applied(self) -> bool:
        """Whether every gateway acts on the latest snapshot."""
        return all(_applied(report) >= self.order for report in self._reports)


def _read(file: Path) -> RoutingSnapshot:
    try:
        return RoutingSnapshot.from_json(file.read_bytes())
    except FileNotFoundError:
        return _NOTHING


def _applied(report: Path) -> tuple[int, int]:
    try:
        document = json.loads(report.read_bytes())
        return document["revision"], document["sequence"]
    except (FileNotFoundError, ValueError, KeyError):
        return (-1, -1)
