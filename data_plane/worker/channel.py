"""The worker's connections: accepts them, answers HELLO and PING, passes requests on, and ends the worker.

One thread at a time serves the connections. The main thread does so while it has no request to score: the next request
then wakes the thread that scores it, and no second one. While the model loads, or is at work on a request for longer
than a few milliseconds, the io thread takes over.
"""

import collections
import json
import os
import selectors
import socket
import threading
import time
from typing import Any, Deque, Dict, List, NamedTuple, Optional

from . import frames, output
from .busy_poll import yield_core
from .frames import Frame, ProtocolError
from .peer import GATEWAY, HOST, Peer, PeerGone
from .state import LOADING, READY, WorkerState

EXIT_DRAINED = 0
EXIT_HOST_LOST = 4

_MAX_QUOTED = 100
# A request that takes the main thread longer has the connections served by the io thread.
_TAKE_OVER_SECONDS = 0.005
# After so many looks without a request the io thread sleeps until the next request.
_LOOKS_BEFORE_SLEEP = 20
_READ = selectors.EVENT_READ
_WRITE = selectors.EVENT_WRITE


class ScoreJob(NamedTuple):
    """A SCORE frame that waits for the main thread."""

    peer: Peer
    request_id: int
    meta: Dict[str, Any]
    body: bytearray


class Channel:
    def __init__(
        self, listener: socket.socket, state: WorkerState, host_timeout: float, busy_poll_seconds: float
    ) -> None:
        listener.setblocking(False)
        self._jobs: Deque[Optional[ScoreJob]] = collections.deque()
        """None tells the main thread to end."""
        self._turn = threading.Lock()
        """Held by the thread that serves the connections."""
        self._main_serves = False
        """Whether the main thread has no request, and serves the connections or waits for its turn."""
        self._taken = 0
        """Number of requests that the main thread has taken."""
        self._is_asleep = False
        self._must_look = threading.Event()
        """Wakes the io thread out of its sleep."""

        self._listener = listener
        self._state = state
        self._host_timeout = host_timeout
        self._host_seen = time.monotonic()
        self._busy_poll_seconds = busy_poll_seconds
        self._polls = False
        """Whether the last request came within the limit, so that polling for the next is worthwhile."""
        self._drain_deadline: Optional[float] = None
        self._received = 0
        self._finished = 0
        self._announced = LOADING
        self._has_sent_end = False
        self._peers: List[Peer] = []
        self._selector = selectors.DefaultSelector()
        self._wake_reader, self._wake_writer = socket.socketpair()
        self._thread = threading.Thread(target=self._run, name="modelyard-io", daemon=True)

    def start(self) -> None:
        for waker in (self._wake_reader, self._wake_writer):
            waker.setblocking(False)
        for readable in (self._listener, self._wake_reader):
            self._selector.register(readable, _READ, None)
        # A process forked by the model must not keep the connections open after the worker has ended.
        os.register_at_fork(after_in_child=self._close_descriptors)
        self._thread.start()

    # Called by the main thread.

    def next_job(self) -> Optional[ScoreJob]:
        """Serve the connections until a request has arrived. None: the worker has to end."""
        if not self._jobs:
            self._main_serves = True
            if not self._turn.acquire(blocking=False):
                self.wake()
                self._turn.acquire()
            try:
                self._await_job()
            finally:
                self._turn.release()
            self._main_serves = False
        self._taken += 1
        if self._is_asleep:
            self._must_look.set()
        return self._jobs.popleft()

    def _await_job(self) -> None:
        began = time.perf_counter()
        if self._polls:
            self._busy_poll(began)
        while not self._jobs:
            self._serve_once(self._select_timeout())
        self._polls = time.perf_counter() - began < self._busy_poll_seconds

    def _busy_poll(self, began: float) -> None:
        """Poll for a request without sleeping: waking a sleeping process takes longer than many predictions.

        Polling ends early when another thread wants the core.
        """
        while not self._jobs and time.perf_counter() - began < self._busy_poll_seconds:
            self._serve_once(0.0)
            if yield_core():
                return

    def end_main(self) -> None:
        """Have the main thread end after the requests that have arrived."""
        self._jobs.append(None)
        self.wake()

    def wake(self) -> None:
        """Wake the serving thread, to send answers, announce a new state, end the worker, or change the turn."""
        try:
            self._wake_writer.send(b"\0")
        except OSError:
            # A full pipe wakes the thread anyway.
            return

    def finish(self, job: ScoreJob) -> None:
        self._finished += 1
        if job.peer.has_backlog or self._drain_deadline is not None:
            self.wake()

    def linger(self, seconds: float) -> None:
        """Give the host time to connect and receive the last status."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline and not self._has_informed_host():
            time.sleep(0.02)

    def _has_informed_host(self) -> bool:
        return self._announced == self._state.state and any(
            peer.role == HOST and not peer.has_backlog for peer in list(self._peers)
        )

    # The io thread.

    def _run(self) -> None:
        while True:
            with self._turn:
                while not self._main_serves:
                    self._serve_once(self._select_timeout())
            self._wait_for_long_job()

    def _wait_for_long_job(self) -> None:
        """Return when the main thread has been at work on one request for some milliseconds."""
        seen, quiet_looks = -1, 0
        while True:
            time.sleep(_TAKE_OVER_SECONDS)
            if self._taken != seen:
                seen, quiet_looks = self._taken, 0
            elif not self._main_serves:
                return
            else:
                quiet_looks += 1
                if quiet_looks >= _LOOKS_BEFORE_SLEEP:
                    self._sleep(seen)

    def _sleep(self, seen: int) -> None:
        """Sleep until the main thread takes a request."""
        self._must_look.clear()
        self._is_asleep = True
        if self._taken == seen:
            self._must_look.wait()
        self._is_asleep = False

    # The serving thread.

    def _serve_once(self, timeout: float) -> None:
        try:
            selected = self._selector.select(timeout)
            if not selected and not timeout:
                return
            for key, events in selected:
                if key.fileobj is self._listener:
                    self._accept()
                elif key.fileobj is self._wake_reader:
                    self._wake_reader.recv(4096)
                else:
                    self._serve(key.data, events)
            self._announce()
            self._update_interests()
            self._end_if_due()
        except Exception as error:  # noqa: BLE001 - a worker that cannot be reached is of no use
            output.log_exception("The connection to the platform broke", error)
            output.flush()
            os._exit(1)

    def _select_timeout(self) -> float:
        """Return the seconds until the worker may have to end without another event."""
        now = time.monotonic()
        deadlines = [self._host_seen + self._host_timeout]
        if self._drain_deadline is not None:
            deadlines.append(self._drain_deadline)
        return max(0.0, min(deadlines) - now) + 0.01

    def _accept(self) -> None:
        try:
            connection, _ = self._listener.accept()
        except OSError:
            return
        peer = Peer(connection)
        self._peers.append(peer)
        self._selector.register(connection, _READ, peer)

    def _serve(self, peer: Peer, events: int) -> None:
        try:
            if events & _WRITE:
                peer.flush()
            if events & _READ:
                for frame in peer.receive():
                    self._handle(peer, frame)
        except PeerGone:
            self._close(peer)
        except ProtocolError as error:
            output.log(output.WARNING, "A connection was closed: {}".format(error))
            self._send_error(peer, 0, str(error))
            self._close(peer)

    def _handle(self, peer: Peer, frame: Frame) -> None:
        meta = frames.unpack_meta(frame.meta)
        if frame.kind == frames.HELLO:
            self._greet(peer, frame, meta)
        elif peer.role is None:
            raise ProtocolError(
                "the first frame of a connection must be a HELLO, not a frame of kind {}".format(frame.kind)
            )
        elif frame.kind == frames.SCORE:
            self._received += 1
            self._jobs.append(ScoreJob(peer, frame.request_id, meta, frame.body))
        elif frame.kind == frames.PING:
            peer.send(frames.pack_json(frames.PONG, frame.request_id, self._state.pong()))
        elif frame.kind == frames.DRAIN and peer.role == HOST:
            self._drain(meta)
        else:
            self._send_error(
                peer, frame.request_id, "a {} may not send a frame of kind {}".format(peer.role, frame.kind)
            )

    def _greet(self, peer: Peer, frame: Frame, meta: Dict[str, Any]) -> None:
        versions, role = meta.get("protocol"), meta.get("role")
        if not isinstance(versions, list) or frames.VERSION not in versions:
            offered = repr(versions)[:_MAX_QUOTED]
            raise ProtocolError("the worker speaks protocol {}, the HELLO offers {}".format(frames.VERSION, offered))
        if role not in (HOST, GATEWAY):
            raise ProtocolError("a HELLO has the role 'host' or 'gateway', not {}".format(repr(role)[:_MAX_QUOTED]))
        peer.role = role
        limit = meta.get("max_answer_bytes")
        peer.max_answer_bytes = limit if isinstance(limit, int) else None
        peer.send(frames.pack_json(frames.STATUS, frame.request_id, self._state.status()))

    def _drain(self, meta: Dict[str, Any]) -> None:
        seconds = meta.get("deadline")
        if not isinstance(seconds, (int, float)):
            raise ProtocolError("a DRAIN needs a deadline in seconds")
        output.log(output.INFO, "Draining: received requests are answered within {} s".format(seconds))
        self._drain_deadline = time.monotonic() + seconds

    def _send_error(self, peer: Peer, request_id: int, message: str) -> None:
        error = {"error": "protocol", "type": "ProtocolError", "message": message, "reference": None}
        peer.send(frames.pack_json(frames.ERROR, request_id, error))

    def _close(self, peer: Peer) -> None:
        self._selector.unregister(peer.connection)
        self._peers.remove(peer)
        if peer.role == HOST:
            self._host_seen = time.monotonic()
        peer.close()

    def _announce(self) -> None:
        """Send a new state of the main thread to every connection."""
        current = self._state.state
        if current == self._announced:
            return
        status = frames.pack(frames.STATUS, 0, json.dumps(self._state.status()).encode())
        for peer in self._peers:
            if peer.role is not None:
                peer.send(list(status))
        self._announced = current

    def _update_interests(self) -> None:
        for peer in self._peers:
            events = _WRITE if peer.has_backlog else 0
            if peer.accepts_more or not events:
                events |= _READ
            if self._selector.get_key(peer.connection).events != events:
                self._selector.modify(peer.connection, events, peer)

    def _end_if_due(self) -> None:
        now = time.monotonic()
        if any(peer.role == HOST for peer in self._peers):
            self._host_seen = now
        elif now >= self._host_seen + self._host_timeout:
            self._exit(EXIT_HOST_LOST, "No host for {} s".format(self._host_timeout))
        if self._drain_deadline is None:
            return
        if self._is_drained():
            self._finish_drain()
        elif now >= self._drain_deadline:
            self._exit(EXIT_DRAINED, "The drain deadline has passed")

    def _is_drained(self) -> bool:
        return self._received == self._finished and not any(
            peer.role == GATEWAY or peer.has_backlog for peer in self._peers
        )

    def _finish_drain(self) -> None:
        if self._state.state != READY:
            self._exit(EXIT_DRAINED, "Drained before the model was loaded")
        if not self._has_sent_end:
            self._has_sent_end = True
            self._jobs.append(None)

    def _exit(self, code: int, reason: str) -> None:
        """End the process at once: the main thread may be anywhere in the user's code."""
        output.flush()
        output.log(output.INFO, "{}: the worker ends with exit code {}".format(reason, code))
        os._exit(code)

    def _close_descriptors(self) -> None:
        """Runs in a forked child, without locks: a thread that held a lock does not exist in the child."""
        connections = [peer.connection for peer in self._peers]
        self._selector.close()
        for owner in (self._listener, self._wake_reader, self._wake_writer, *connections):
            owner.close()
