"""The io thread: accepts connections, answers HELLO and PING while the model runs, and passes SCORE frames on.

The io thread also ends the worker: after a drain, when told to stop, or when the host is lost.
"""

import json
import os
import queue
import selectors
import socket
import threading
import time
from typing import Any, Dict, List, NamedTuple, Optional

from . import frames, output
from .frames import Frame, ProtocolError
from .peer import GATEWAY, HOST, Peer, PeerGone
from .state import LOADING, READY, WorkerState

EXIT_DRAINED = 0
EXIT_HOST_LOST = 4

_MAX_QUOTED = 100
_READ = selectors.EVENT_READ
_WRITE = selectors.EVENT_WRITE


class ScoreJob(NamedTuple):
    """A SCORE frame that waits for the main thread."""

    peer: Peer
    request_id: int
    meta: Dict[str, Any]
    body: bytearray


class Channel:
    def __init__(self, listener: socket.socket, state: WorkerState, host_timeout: float) -> None:
        listener.setblocking(False)
        self.jobs: "queue.SimpleQueue[Optional[ScoreJob]]" = queue.SimpleQueue()
        """None tells the main thread to end."""

        self._listener = listener
        self._state = state
        self._host_timeout = host_timeout
        self._host_seen = time.monotonic()
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

    def wake(self) -> None:
        """Wake the io thread, to send answers, announce a new state, or end the worker."""
        try:
            self._wake_writer.send(b"\0")
        except OSError:
            # A full pipe wakes the io thread anyway.
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
        try:
            while True:
                self._serve_once()
        except Exception as error:  # noqa: BLE001 - without this thread the worker cannot be reached
            output.log_exception("The connection to the platform broke", error)
            output.flush()
            os._exit(1)

    def _serve_once(self) -> None:
        for key, events in self._selector.select(self._select_timeout()):
            if key.fileobj is self._listener:
                self._accept()
            elif key.fileobj is self._wake_reader:
                self._wake_reader.recv(4096)
            else:
                self._serve(key.data, events)
        self._announce()
        self._update_interests()
        self._end_if_due()

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
            self.jobs.put(ScoreJob(peer, frame.request_id, meta, frame.body))
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
            self.jobs.put(None)

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
