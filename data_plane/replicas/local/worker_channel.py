"""Keeps a connection to a worker open for as long as the snapshot names the worker."""

import asyncio
from collections.abc import Sequence
from typing import Protocol

from data_plane.replicas.local.pending_request import Batch, Outcome
from data_plane.replicas.local.worker_connection import ConnectionSettings, WorkerConnection
from data_plane.worker.frames import Buffer
from modelyard.core.domain.routing import WorkerRoute

_FIRST_PAUSE = 0.02
_LONGEST_PAUSE = 1.0


class ChannelOwner(Protocol):
    def channel_ready(self) -> None:
        """A worker became ready."""

    def channel_answered(self, batch: Batch, outcome: Outcome) -> None:
        """A worker has finished a batch and has room for another."""

    def channel_lost(self, unanswered: Sequence[Batch]) -> None:
        """A worker's connection broke. The first unanswered batch is the batch at work."""


class WorkerChannel:
    def __init__(self, worker: WorkerRoute, generation: int, owner: ChannelOwner, settings: ConnectionSettings) -> None:
        self._settings = settings
        self._worker = worker
        self._generation = generation
        self._owner = owner
        self._connection: WorkerConnection | None = None
        self._is_retired = False
        self._keeping_open = asyncio.get_running_loop().create_task(self._keep_open())

    @property
    def is_ready(self) -> bool:
        return self._connection is not None and self._connection.is_ready and not self._is_retired

    @property
    def load(self) -> int:
        """Number of the worker's unanswered requests."""
        return self._connection.load if self._connection is not None else 0

    def has_room(self, max_batches: int) -> bool:
        """Return whether a batch may be sent now: never behind a batch without waiting callers.

        The end of an abandoned or overdue batch cannot be foreseen.
        """
        connection = self._connection
        if connection is None or not connection.is_ready or self._is_retired:
            return False
        in_flight = len(connection.unanswered)
        return in_flight < max_batches and not (in_flight and connection.is_blocked)

    def send(self, batch: Batch, frame: Sequence[Buffer]) -> None:
        assert self._connection is not None, "only an open connection has room"
        self._connection.send(batch, frame)

    def retire(self) -> None:
        """Close the connection after the last answer."""
        self._is_retired = True
        self._close_if_idle()

    def _close_if_idle(self) -> None:
        if self.load > 0:
            return
        self._keeping_open.cancel()
        if self._connection is not None:
            self._connection.close()

    async def _keep_open(self) -> None:
        pause = _FIRST_PAUSE
        while not self._is_retired:
            connection = await self._connect()
            if connection is not None and await connection.ended and not connection.has_fault:
                pause = _FIRST_PAUSE
            await asyncio.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE)

    async def _connect(self) -> WorkerConnection | None:
        loop = asyncio.get_running_loop()
        # Assigned before connecting: the worker's "ready" may arrive before `create_unix_connection` returns.
        connection = self._connection = WorkerConnection(self._worker.worker_id, self._generation, self, self._settings)
        try:
            await loop.create_unix_connection(lambda: connection, self._worker.socket)
        except OSError:
            self._connection = None
            return None
        return connection

    # Called by the connection.

    def on_ready(self) -> None:
        self._owner.channel_ready()

    def on_answer(self, batch: Batch, outcome: Outcome) -> None:
        self._owner.channel_answered(batch, outcome)
        if self._is_retired:
            self._close_if_idle()

    def on_lost(self, unanswered: Sequence[Batch]) -> None:
        self._connection = None
        if self._is_retired:
            self._keeping_open.cancel()
        self._owner.channel_lost(unanswered)
