"""Publishes the routing snapshot by atomic rename, and reads from the gateways' reports which snapshot they applied."""

import json
from collections.abc import Mapping
from pathlib import Path

from modelyard.core.domain.documents import check_format
from modelyard.core.domain.routing import EndpointRoute, RoutingSnapshot, SnapshotEncoder
from modelyard.process.atomic_files import replace_file

_REPORT_FORMAT = 1
_EMPTY = RoutingSnapshot(revision=0, sequence=0)


class Publisher:
    """Continues the sequence of the snapshot on disk, so that the order of snapshots survives restarts."""

    def __init__(self, file: Path, gateways: int) -> None:
        self._file = file
        self._reports = [file.with_name(f"gateway-{index}.applied") for index in range(gateways)]
        self._latest = _read(file)
        self._encoder = SnapshotEncoder()
        self._applied: tuple[int, int] | None = None
        """The newest order that every gateway has applied."""

    @property
    def order(self) -> tuple[int, int]:
        return self._latest.order

    @property
    def routed(self) -> set[str]:
        """Ids of the workers in the latest snapshot."""
        routes = [route for endpoint in self._latest.endpoints.values() for route in endpoint.deployments.values()]
        return {worker.worker_id for route in routes for worker in route.workers}

    def publish(self, revision: int, endpoints: Mapping[str, EndpointRoute]) -> bool:
        """Publish the routes, unless they are published already. Return whether a snapshot was written."""
        # A database restored from a backup has an older revision, which gateways would ignore.
        revision = max(revision, self._latest.revision)
        if revision == self._latest.revision and endpoints == self._latest.endpoints:
            return False
        self._latest = RoutingSnapshot(revision, self._latest.sequence + 1, endpoints)
        # Durable: after a power cut the sequence must not restart below a number that gateways have seen.
        replace_file(self._file, self._encoder.encode(self._latest), mode=0o600, durable=True)
        return True

    def is_applied(self) -> bool:
        """Whether every gateway has applied the latest snapshot."""
        if self._applied != self.order and all(_applied(report) >= self.order for report in self._reports):
            self._applied = self.order
        return self._applied == self.order


def _read(file: Path) -> RoutingSnapshot:
    try:
        return RoutingSnapshot.from_json(file.read_bytes())
    except FileNotFoundError:
        return _EMPTY


def _applied(report: Path) -> tuple[int, int]:
    try:
        document = json.loads(report.read_bytes())
        check_format(document, noun=f"report {report.name}", newest=_REPORT_FORMAT)
        return document["revision"], document["sequence"]
    except (FileNotFoundError, ValueError, KeyError):
        return (-1, -1)
