"""Follow the routing file: apply each newer snapshot, never an older one, and report the revision applied."""

import asyncio
import json
import logging
import os
from collections.abc import Callable
from pathlib import Path

from modelyard.core.domain.documents import VERSION
from modelyard.core.domain.routing import RoutingSnapshot, SnapshotDecoder
from modelyard.process.atomic_files import replace_file

_log = logging.getLogger(__name__)

_POLL_SECONDS = 0.05
_REPORT_FORMAT = 1

_FileIdentity = tuple[int, int, int]


class SnapshotWatcher:
    def __init__(self, routing_file: Path, applied_file: Path, apply: Callable[[RoutingSnapshot], None]) -> None:
        self._routing_file = routing_file
        self._applied_file = applied_file
        self._apply = apply
        self._decoder = SnapshotDecoder()
        self._seen: _FileIdentity | None = None
        self._applied: tuple[int, int] | None = None

    async def follow(self) -> None:
        while True:
            self.look()
            await asyncio.sleep(_POLL_SECONDS)

    def look(self) -> None:
        """Apply the snapshot in the file if newer than the last."""
        snapshot = self._changed_snapshot()
        if snapshot is None or (self._applied is not None and snapshot.order <= self._applied):
            return
        self._apply(snapshot)
        self._applied = snapshot.order
        self._report(snapshot)

    def _changed_snapshot(self) -> RoutingSnapshot | None:
        try:
            if _identity(os.stat(self._routing_file)) == self._seen:
                return None
            with open(self._routing_file, "rb") as file:
                # The identity of the opened file, which may have been replaced since the stat.
                self._seen = _identity(os.fstat(file.fileno()))
                return self._decoder.decode(file.read())
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError) as error:
            _log.error("The routing snapshot cannot be read, the last one stays in use: %r", error)
            return None

    def _report(self, snapshot: RoutingSnapshot) -> None:
        report = {
            VERSION: _REPORT_FORMAT,
            "pid": os.getpid(),
            "revision": snapshot.revision,
            "sequence": snapshot.sequence,
        }
        replace_file(self._applied_file, json.dumps(report), mode=0o600)


def _identity(stat: os.stat_result) -> _FileIdentity:
    return stat.st_ino, stat.st_mtime_ns, stat.st_size
