"""The io thread: accepts connections, answers HELLO and PING even while the model runs, and hands SCOREs over.

It also decides when the worker ends: drained, told to stop, or left alone by its host.
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
from .condition import LOADING, READY, Condition
from .frames import Frame, ProtocolError
from .peer import GATEWAY, HOST, Peer, PeerGone

EXIT_DRAINED = 0
EXIT_LOST_ITS_HOST = 4

_READ = selectors.EVENT_READ
_WRITE = selectors.EVENT_WRITE


class Job(NamedTuple):
    """A SCORE that waits for the main thread."""

    peer: Peer
    request_id: int
    meta: Dict[str, Any]
    body: bytearray


class Channel:
    def __init__(self, listener: socket.socket, condition: Condition, host_timeout: float) -> None:
        listener.setblocking(False)
        self.jobs: "queue.SimpleQueue[Optional[Job]]" = queue.SimpleQueue()
        """None tells the main thread to end."""

        self._listener = listener
        self._condition = condition
        self._host_timeout = host_timeout
        self._host_seen = time.monotonic()
        self._drain_deadline: Optional[float] = None
        self._received = 0
        self._finished = 0
        self._announced = LOADING
        self._told_the_end = False
        self._peers: List[Peer] = []
        self._selector = selectors.DefaultSelector()
        self._wake_reader, self._wake_writer = socket.socketpair()
        self._thread = threading.Thread(target=self._run, name="modelyard-io", daemon=True)

    def start(self) -> None:
        for waker in (self._wake_reader, self._wake_writer):
            waker.setblocking(False)
        for readable in (self._listener, self._wake_reader):
            self._selector.register(readable, _READ, None)
        # A process that the model forks must not hold the connections open after this one has ended.
        os.register_at_fork(after_in_child=self._close_descriptors)
        self._thread.start()

    # What the main thread calls.

    def wake(self) -> None:
        """Have the io thread look again at what is to be sent, told and decided."""
        try:
            self._wake_writer.send(b"\0")
        except OSError:
            # Full: it is about to wake anyway.
            return

    def finish(self, job: Job) -> None:
        self._finished += 1
        if job.peer.has_more_to_send or self._drain_deadline is not None:
            self.wake()

    def linger(self, seconds: float) -> None:
        """Give a host the time to connect and hear the last status."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline and not self._has_told_a_host():
            time.sleep(0.02)

    def _has_told_a_host(self) -> bool:
        return self._announced == self._condition.state and any(
            peer.role == HOST and not peer.has_more_to_send for peer in list(self._peers)
        )

    # The io thread.

    def _run(self) -> None:
        try:
            while True:
                self._turn()
        except Exception as error:  # noqa: BLE001 - without this thread nobody can reach the worker any more
            output.log_exception("The connection to the platform broke", error)
            output.flush()
            os._exit(1)

    def _turn(self) -> None:
        for key, events in self._selector.select(self._patience()):
            if key.fileobj is self._listener:
                self._accept()
            elif key.fileobj is self._wake_reader:
                self._wake_reader.recv(4096)
            else:
                self._serve(key.data, events)
        self._announce()
        self._update_interests()
        self._end_if_it_is_time()

    def _patience(self) -> float:
        """Seconds until the clock alone may end the worker."""
        now = time.monotonic()
        moments = [self._host_seen + self._host_timeout]
        if self._drain_deadline is not None:
            moments.append(self._drain_deadline)
        return max(0.0, min(moments) - now) + 0.01

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
                peer.send_rest()
            if events & _READ:
                for frame in peer.receive():
                    self._handle(peer, frame)
        except PeerGone:
            self._close(peer)
        except ProtocolError as error:
            output.log(output.WARNING, "A connection was closed: {}".format(error))
            self._refuse(peer, 0, str(error))
            self._close(peer)

    def _handle(self, peer: Peer, frame: Frame) -> None:
        meta = frames.unpack_meta(frame.meta)
        if frame.kind == frames.HELLO:
            self._greet(peer, frame, meta)
        elif peer.role is None:
            raise ProtocolError("the first frame of a connection is a HELLO, not kind {}".format(frame.kind))
        elif frame.kind == frames.SCORE:
            self._received += 1
            self.jobs.put(Job(peer, frame.request_id, meta, frame.body))
        elif frame.kind == frames.PING:
            peer.send(frames.pack_json(frames.PONG, frame.request_id, self._condition.pong()))
        elif frame.kind == frames.DRAIN and peer.role == HOST:
            self._drain(meta)
        else:
            self._refuse(peer, frame.request_id, "a {} does not send kind {}".format(peer.role, frame.kind))

    def _greet(self, peer: Peer, frame: Frame, meta: Dict[str, Any]) -> None:
        versions, role = meta.get("protocol"), meta.get("role")
        if not isinstance(versions, list) or frames.VERSION not in versions:
            raise ProtocolError("this model worker speaks protocol {} only".format(frames.VERSION))
        if role not in (HOST, GATEWAY):
            raise ProtocolError("a HELLO says who is there: host or gateway")
        peer.role = role
        peer.send(frames.pack_json(frames.STATUS, frame.request_id, self._condition.status()))

    def _drain(self, meta: Dict[str, Any]) -> None:
        seconds = meta.get("deadline")
        if not isinstance(seconds, (int, float)):
            raise ProtocolError("a DRAIN says its deadline in seconds")
        output.log(output.INFO, "Draining: what was received is answered, within {} s".format(seconds))
        self._drain_deadline = time.monotonic() + seconds

    def _refuse(self, peer: Peer, request_id: int, message: str) -> None:
        refusal = {"error": "protocol", "type": "ProtocolError", "message": message, "reference": None}
        peer.send(frames.pack_json(frames.ERROR, request_id, refusal))

    def _close(self, peer: Peer) -> None:
        self._selector.unregister(peer.connection)
        self._peers.remove(peer)
        if peer.role == HOST:
            self._host_seen = time.monotonic()
        peer.close()

    def _announce(self) -> None:
        """Tell every connection of a state that the main thread has come to."""
        state = self._condition.state
        if state == self._announced:
            return
        status = frames.pack(frames.STATUS, 0, json.dumps(self._condition.status()).encode())
        for peer in self._peers:
            if peer.role is not None:
                peer.send(list(status))
        self._announced = state

    def _update_interests(self) -> None:
        for peer in self._peers:
            events = _WRITE if peer.has_more_to_send else 0
            if peer.is_listening or not events:
                events |= _READ
            if self._selector.get_key(peer.connection).events != events:
                self._selector.modify(peer.connection, events, peer)

    def _end_if_it_is_time(self) -> None:
        now = time.monotonic()
        if any(peer.role == HOST for peer in self._peers):
            self._host_seen = now
        elif now >= self._host_seen + self._host_timeout:
            self._exit(EXIT_LOST_ITS_HOST, "No host for {} s".format(self._host_timeout))
        if self._drain_deadline is None:
            return
        if self._is_drained():
            self._end_in_order()
        elif now >= self._drain_deadline:
            self._exit(EXIT_DRAINED, "The drain deadline has passed")

    def _is_drained(self) -> bool:
        return self._received == self._finished and not any(
            peer.role == GATEWAY or peer.has_more_to_send for peer in self._peers
        )

    def _end_in_order(self) -> None:
        if self._condition.state != READY:
            self._exit(EXIT_DRAINED, "Drained before the model was loaded")
        if not self._told_the_end:
            self._told_the_end = True
            self.jobs.put(None)

    def _exit(self, code: int, why: str) -> None:
        """At once: the main thread may be anywhere in the user's code."""
        output.flush()
        output.log(output.INFO, "{}: the worker ends with exit code {}".format(why, code))
        os._exit(code)

    def _close_descriptors(self) -> None:
        """In a forked child, without locks: the thread that held one does not exist there."""
        connections = [peer.connection for peer in self._peers]
        self._selector.close()
        for owner in (self._listener, self._wake_reader, self._wake_writer, *connections):
            owner.close()
