"""The guests of one batch worker: started when a job needs one, warm from one mini-batch and job to the next.

One is at work at a time. The others are idle: kept for ten minutes, as far as memory allows. All of them end with the
batch worker, however it ends: it holds the write end of their keepers' lifeline.
"""

import logging
import os
import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from data_plane.batch.material import Material
from data_plane.replicas.local.batch_labels import batch_labels, is_of_worker
from data_plane.replicas.local.blocking_connection import GuestConnection, GuestGone, GuestSilent
from data_plane.replicas.local.exit_reason import exit_reason
from data_plane.replicas.local.machine import available_memory, resident_memory
from data_plane.replicas.local.spawn import GuestSpec, new_guest_id, spawn
from data_plane.replicas.local.worker_process import GuestProcess, find_all, kill, remove, wait_for_end
from modelyard.core.data_dir import DataDir
from modelyard.core.environments.folder import BuiltEnvironment
from modelyard.core.errors import GuestFailed

_log = logging.getLogger(__name__)

_IDLE_SECONDS = 600.0
_LOOK_SECONDS = 10.0
_CONNECT_SECONDS = 30.0
# Native imports of a large model from a cold disk take minutes.
_LOAD_SECONDS = 1800.0
_END_SECONDS = 10.0
_MOST_STARTS = 3
_LEAST_ROOM = 512 << 20
_ROOM_SHARE = 1.5


@dataclass(frozen=True, slots=True)
class GuestTerms:
    """Under which all guests of this batch worker start."""

    worker: str
    """The same for whoever takes this worker's place after its end."""
    data_dir: DataDir
    uid: int | None
    threads: int


class Guest:
    """A guest with its connection, and how much of what it printed has been read."""

    def __init__(self, key: "GuestKey", process: GuestProcess) -> None:
        self.key = key
        self.process = process
        self.idle_since = 0.0
        self._connection: GuestConnection | None = None
        self._read = 0

    @property
    def connection(self) -> GuestConnection:
        assert self._connection is not None, "it was loaded before it was handed out"
        return self._connection

    def load(self) -> None:
        """Raises GuestFailed with the model's own error, GuestGone and GuestSilent."""
        self._connection = GuestConnection(self.process.socket, role="host", timeout=_CONNECT_SECONDS)
        status = self._connection.wait_until_loaded(_LOAD_SECONDS)
        if status.state == "failed":
            raise GuestFailed(f"the model does not start: {status.error}")

    def is_alive(self) -> bool:
        return self.process.process.is_running()

    def printed(self) -> bytes:
        """What it printed since this was asked last."""
        try:
            with self.process.log.open("rb") as log:
                log.seek(self._read)
                text = log.read()
        except FileNotFoundError:
            return b""
        self._read += len(text)
        return text

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()


@dataclass(frozen=True, slots=True)
class GuestKey:
    """Guests of the same key are the same program."""

    bundle_hash: str
    environment: str


@dataclass(frozen=True, slots=True)
class GuestPlan:
    """What to start where no warm guest is idle."""

    material: Material
    environment: BuiltEnvironment
    model_dir: Callable[[], Path]

    @property
    def key(self) -> GuestKey:
        return GuestKey(self.material.bundle_hash, self.environment.name)


Minding = Callable[[Guest], AbstractContextManager[None]]
"""Around whatever may take long: who minds a guest ends it when nobody wants its answer any more."""


class Guests:
    def __init__(self, terms: GuestTerms) -> None:
        self._terms = terms
        self._lifeline, self._lifeline_end = os.pipe()
        self._lock = threading.Lock()
        self._idle: dict[GuestKey, Guest] = {}
        self._at_work: Guest | None = None
        self._largest = 0
        self._closed = threading.Event()
        threading.Thread(target=self._look_after_idle, name="idle-guests", daemon=True).start()

    def end_predecessors(self) -> None:
        """Those of the worker whose place this one has taken, should they be left."""
        for guest in find_all(self._terms.data_dir.guest_run_files):
            if is_of_worker(guest, self._terms.worker):
                _end(guest, "the batch worker that had started it is gone")

    def take(self, plan: GuestPlan, minding: Minding, heard: Callable[[bytes], None]) -> Guest:
        """A guest that is ready. Raises GuestFailed when the model does not start, whatever is tried.

        `heard` is told what those printed that did not start.
        """
        guest = self._warm(plan.key)
        if guest is None:
            guest = self._start_patiently(plan, minding, heard)
        self._at_work = guest
        return guest

    def give_back(self, guest: Guest) -> None:
        """It has answered all that it was asked."""
        self._at_work = None
        guest.idle_since = time.monotonic()
        self._largest = max(self._largest, resident_memory(guest.process.pid))
        with self._lock:
            self._idle[guest.key] = guest

    def end(self, guest: Guest, because: str) -> None:
        self._at_work = None
        guest.close()
        _end(guest.process, because)

    def close(self) -> None:
        """The worker is about to end."""
        self._closed.set()
        with self._lock:
            left = [*self._idle.values(), *([self._at_work] if self._at_work else [])]
            self._idle.clear()
        for guest in left:
            self.end(guest, "the batch worker ends")
        os.close(self._lifeline_end)

    def _warm(self, key: GuestKey) -> Guest | None:
        with self._lock:
            guest = self._idle.pop(key, None)
        if guest is not None and not guest.is_alive():
            self.end(guest, "it had ended")
            return None
        return guest

    def _start_patiently(self, plan: GuestPlan, minding: Minding, heard: Callable[[bytes], None]) -> Guest:
        for attempt in range(1, _MOST_STARTS + 1):
            self._make_room()
            guest = self._start(plan)
            try:
                with minding(guest):
                    guest.load()
            except (GuestGone, GuestSilent) as error:
                # With its keeper's record, if it has ended by itself.
                wait_for_end(guest.process, 1.0)
                reason = exit_reason(guest.process) or str(error)
                heard(guest.printed())
                self.end(guest, reason)
                _log.warning("a guest for %s did not start: %s", plan.material.bundle_hash[:16], reason)
                if attempt == _MOST_STARTS:
                    raise GuestFailed(f"the model does not start: its process {reason}") from None
            except BaseException:
                heard(guest.printed())
                self.end(guest, "its start was given up")
                raise
            else:
                return guest
        raise AssertionError("the last attempt has raised")

    def _start(self, plan: GuestPlan) -> Guest:
        bundle = plan.material.bundle
        spec = GuestSpec(
            guest_id=new_guest_id(),
            endpoint=bundle.endpoint,
            deployment=bundle.deployment,
            generation=bundle.generation,
            python=plan.environment.python,
            bundle_dir=plan.material.bundle_dir,
            model_dir=plan.model_dir(),
            data_dir=self._terms.data_dir,
            environment_variables=bundle.environment_variables,
            threads=self._terms.threads,
            uid=self._terms.uid,
            lifeline_fd=self._lifeline,
            labels=batch_labels(self._terms.worker, plan.environment.name),
        )
        return Guest(plan.key, spawn(spec))

    def _make_room(self) -> None:
        """End idle guests, those first that have been idle longest, until there is memory for another."""
        needed = max(_LEAST_ROOM, int(_ROOM_SHARE * self._largest))
        while (available := available_memory()) is not None and available < needed:
            guest = self._take_oldest(float("inf"))
            if guest is None:
                return
            self.end(guest, "its memory is needed")

    def _look_after_idle(self) -> None:
        while not self._closed.wait(_LOOK_SECONDS):
            while (guest := self._take_oldest(time.monotonic() - _IDLE_SECONDS)) is not None:
                guest.close()
                _end(guest.process, "it was idle for ten minutes")

    def _take_oldest(self, before: float) -> Guest | None:
        with self._lock:
            oldest = min(self._idle.values(), key=lambda guest: guest.idle_since, default=None)
            if oldest is None or oldest.idle_since > before:
                return None
            return self._idle.pop(oldest.key)


def _end(process: GuestProcess, because: str) -> None:
    kill(process, because)
    wait_for_end(process, _END_SECONDS)
    remove(process, keep_log=False)
