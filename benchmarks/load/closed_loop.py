"""Run a load over raw sockets and epoll, with prepared bytes: much cheaper than any measured server.

A server that closes the connection after each response gets a new connection per request, within the measured time.
"""

import gc
import select
import socket
from collections import deque
from time import perf_counter, process_time

from benchmarks.load.http_answer import Answer, UnreadableAnswer, header, read_answer
from benchmarks.load.load import MOST_BODIES, Load, LoadResult
from benchmarks.processes import cpu_seconds

_READ_AT_ONCE = 1 << 18
_TIMEOUT_SECONDS = 60.0
_LONGEST_REASON = 300
_MOST_FAILURES = 2000


class TooManyFailures(Exception):
    """The server answers too few requests for a measurement."""


class _Connection:
    """A connection that waits for a response, or for the kernel to accept the rest of a request."""

    __slots__ = ("begun_at", "number", "received", "request", "socket", "unsent")

    def __init__(self, number: int, request: bytes) -> None:
        self.number = number
        self.request = request
        self.socket: socket.socket | None = None
        self.received = b""
        self.unsent: memoryview | None = None
        self.begun_at = 0.0


def run(load: Load) -> LoadResult:
    """Send requests until the window ends, then wait for the outstanding responses."""
    gc.collect()
    gc.disable()
    try:
        return _Run(load).run()
    finally:
        gc.enable()


class _Run:
    def __init__(self, load: Load) -> None:
        self._load = load
        self._poll = select.epoll()
        self._waiting: dict[int, _Connection] = {}
        self._mark = b"\r\n" + load.header + b":" if load.header else None
        self._seen = LoadResult(bodies=[set() for _ in load.requests])
        self._known: list[bytes | None] = [None] * len(load.requests)
        self._counts = False
        self._ends = False
        self._to_send: deque[_Connection] = deque()

    def run(self) -> LoadResult:
        requests = self._load.requests
        for number in range(self._load.connections):
            chosen = number % len(requests)
            self._send(_Connection(chosen, requests[chosen]))
        try:
            self._go_on_until(perf_counter() + self._load.warm_up, answers=0)
            self._measure()
            self._ends = True
            self._go_on_until(perf_counter() + _TIMEOUT_SECONDS, answers=0)
        finally:
            self._close()
        return self._seen

    def _measure(self) -> None:
        load, seen = self._load, self._seen
        cpu_before, client_before = cpu_seconds(load.server_processes), process_time()
        begun = perf_counter()
        self._counts = True
        self._go_on_until(begun + load.seconds, answers=0)
        self._go_on_until(begun + load.longest, answers=load.connections)
        self._counts = False
        seen.seconds = perf_counter() - begun
        seen.client_cpu_seconds = process_time() - client_before
        seen.server_cpu_seconds = cpu_seconds(load.server_processes) - cpu_before

    def _go_on_until(self, deadline: float, answers: int) -> None:
        """Process events until `deadline`, or until the number of answers reaches a non-zero `answers`."""
        poll, waiting = self._poll.poll, self._waiting
        while waiting:
            if answers and self._seen.answers >= answers:
                return
            left = deadline - perf_counter()
            if left <= 0:
                break
            for descriptor, event in poll(left):
                connection = waiting[descriptor]
                if event & select.EPOLLOUT:
                    self._send_rest(connection)
                if event & ~select.EPOLLOUT:
                    self._receive(connection)
        if self._ends:
            for _ in waiting:
                self._seen.fail(f"no answer within {_TIMEOUT_SECONDS:g} s")

    # Requests.

    def _send(self, connection: _Connection) -> None:
        connection.begun_at = perf_counter()
        if connection.socket is None:
            self._connect(connection)
        assert connection.socket is not None
        try:
            sent = connection.socket.send(connection.request)
        except BlockingIOError:
            sent = 0
        if sent < len(connection.request):
            connection.unsent = memoryview(connection.request)[sent:]
            self._poll.modify(connection.socket, select.EPOLLIN | select.EPOLLOUT)

    def _send_rest(self, connection: _Connection) -> None:
        assert connection.socket is not None
        assert connection.unsent is not None
        try:
            connection.unsent = connection.unsent[connection.socket.send(connection.unsent) :]
        except BlockingIOError:
            return
        except OSError as error:
            self._failed(connection, f"the connection broke while sending: {error.strerror}")
            return
        if not connection.unsent:
            connection.unsent = None
            self._poll.modify(connection.socket, select.EPOLLIN)

    def _receive(self, connection: _Connection) -> None:
        if connection.socket is None:
            return
        try:
            data = connection.socket.recv(_READ_AT_ONCE)
            connection.received = connection.received + data if connection.received else data
            answer = read_answer(connection.received)
        except BlockingIOError:
            return
        except (OSError, UnreadableAnswer) as error:
            self._failed(connection, f"the connection broke: {error}")
            return
        if answer is not None:
            self._answered(connection, answer)
        elif not data:
            self._failed(connection, "the connection was closed without an answer")

    def _answered(self, connection: _Connection, answer: Answer) -> None:
        now = perf_counter()
        connection.received = b""
        if self._counts:
            self._seen.latencies.append(now - connection.begun_at)
            if self._mark:
                self._seen.numbers.append(float(header(answer.head, self._mark) or "nan"))
        if answer.status != 200:
            self._fail(f"{answer.status}: {answer.body[:_LONGEST_REASON].decode(errors='replace')}")
        elif answer.body != self._known[connection.number]:
            self._keep(connection.number, answer.body)
        if answer.is_last or self._ends:
            self._disconnect(connection)
        if not self._ends:
            self._send(connection)

    def _keep(self, number: int, body: bytes) -> None:
        """Keep a body that differs from the first body, for a check after the run."""
        if self._known[number] is None:
            self._known[number] = body
        if len(self._seen.bodies[number]) < MOST_BODIES:
            self._seen.bodies[number].add(body)

    def _failed(self, connection: _Connection, reason: str) -> None:
        self._fail(reason)
        self._disconnect(connection)
        if not self._ends:
            self._send(connection)

    def _fail(self, reason: str) -> None:
        self._seen.fail(reason)
        if sum(self._seen.failures.values()) > _MOST_FAILURES:
            raise TooManyFailures(f"{_MOST_FAILURES} failures, the last: {reason}")

    # Connections.

    def _connect(self, connection: _Connection) -> None:
        connection.socket = socket.create_connection(self._load.address, timeout=_TIMEOUT_SECONDS)
        connection.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.socket.setblocking(False)
        self._waiting[connection.socket.fileno()] = connection
        self._poll.register(connection.socket, select.EPOLLIN)

    def _disconnect(self, connection: _Connection) -> None:
        assert connection.socket is not None
        del self._waiting[connection.socket.fileno()]
        connection.socket.close()
        connection.socket, connection.received, connection.unsent = None, b"", None

    def _close(self) -> None:
        for connection in list(self._waiting.values()):
            self._disconnect(connection)
        self._poll.close()
