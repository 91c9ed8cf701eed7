"""Keeps a connection to one worker for as long as the snapshot names it."""

import asyncio
from collections.abc import Sequence
from typing import Protocol

from data_plane.replicas.local.batch import Batch
from data_plane.replicas.local.pending_request import Outcome
from data_plane.replicas.local.worker_connection import Conversation
from data_plane.worker.frames import Buffer
from modelyard.core.domain.routing import WorkerRoute

_FIRST_PAUSE = 0.02
_LONGEST_PAUSE = 1.0


class LinkOwner(Protocol):
    def link_has_room(self) -> None:
        """A worker became ready."""

    def link_answered(self, batch: Batch, outcome: Outcome) -> None:
        """A worker is done with a batch, and free for another."""

    def link_lost(self, unanswered: Sequence[Batch]) -> None:
        """A worker's connection broke with these unanswered, the one it was at work on first."""


class WorkerLink:
    def __init__(self, worker: WorkerRoute, generation: int, owner: LinkOwner) -> None:
        self._worker = worker
        self._generation = generation
        self._owner = owner
        self._conversation: Conversation | None = None
        self._retired = False
        self._keeping_open = asyncio.get_running_loop().create_task(self._keep_open())

    @property
    def is_ready(self) -> bool:
        return self._conversation is not None and self._conversation.is_ready and not self._retired

    @property
    def load(self) -> int:
        """Requests that it has been sent and not answered."""
        return self._conversation.load if self._conversation is not None else 0

    def has_room(self, deepest: int) -> bool:
        """Whether it may be sent a batch now; never behind one that nobody waits for any more.

        That one may have outlived its deadline, and nobody knows for how long it will go on.
        """
        conversation = self._conversation
        if conversation is None or not conversation.is_ready or self._retired:
            return False
        return conversation.in_flight < deepest and not conversation.is_held_up

    def send(self, batch: Batch, frame: Sequence[Buffer]) -> None:
        assert self._conversation is not None, "room is only in an open conversation"
        self._conversation.send(batch, frame)

    def retire(self) -> None:
        """Close the connection after the last answer."""
        self._retired = True
        self._close_if_done()

    def _close_if_done(self) -> None:
        if self.load > 0:
            return
        self._keeping_open.cancel()
        if self._conversation is not None:
            self._conversation.close()

    async def _keep_open(self) -> None:
        pause = _FIRST_PAUSE
        while not self._retired:
            conversation = await self._connect()
            if conversation is not None and await conversation.ended:
                pause = _FIRST_PAUSE
            await asyncio.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE)

    async def _connect(self) -> Conversation | None:
        loop = asyncio.get_running_loop()
        # Known before it is open: the worker may say that it is ready before we hear that we are connected.
        conversation = self._conversation = Conversation(self._worker.worker_id, self._generation, self)
        try:
            await loop.create_unix_connection(lambda: conversation, self._worker.socket)
        except OSError:
            self._conversation = None
            return None
        return conversation

    # The conversation's listener.

    def conversation_ready(self) -> None:
        self._owner.link_has_room()

    def conversation_answered(self, batch: Batch, outcome: Outcome) -> None:
        self._owner.link_answered(batch, outcome)
        if self._retired:
            self._close_if_done()

    def conversation_lost(self, unanswered: Sequence[Batch]) -> None:
        self._conversation = None
        if self._retired:
            self._keeping_open.cancel()
        self._owner.link_lost(unanswered)
