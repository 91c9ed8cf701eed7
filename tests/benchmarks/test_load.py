"""The load generator against a small test server."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from benchmarks.load.closed_loop import TooManyFailures, run
from benchmarks.load.generator import LoadFailed, LoadGenerator
from benchmarks.load.http_answer import UnreadableAnswer, post, read_answer
from benchmarks.load.load import Load
from benchmarks.matrix import Question, wrong_answers

ANSWER = [1.5]


class _Doubler(BaseHTTPRequestHandler):
    """Answer a number with the double, but 7 with a 503 and 13 with a wrong number."""

    protocol_version = "HTTP/1.1"
    # Head and body in one write: a second write would wait for the client's delayed acknowledgement.
    wbufsize = 1 << 16

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        status, answer = (503, "busy") if asked == 7 else (200, [26.5 if asked == 13 else asked * 2])
        body = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("x-took", "0.25")
        if self.headers["X-Last"]:
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Log no requests."""


@contextmanager
def serving(handler: type[BaseHTTPRequestHandler] = _Doubler) -> Iterator[tuple[str, int]]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield "127.0.0.1", server.server_port
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def address() -> Iterator[tuple[str, int]]:
    with serving() as where:
        yield where


def asking(number: float, **headers: str) -> bytes:
    return post("127.0.0.1", "/", json.dumps(number).encode(), **headers)


class TestClosedLoop:
    def test_connection_sends_the_next_request_after_each_response(self, address: tuple[str, int]) -> None:
        seen = run(Load(address, (asking(1), asking(2)), connections=4, seconds=0.1, warm_up=0.0))

        assert seen.answers >= 4
        assert seen.failures == {}
        assert seen.bodies == [{b"[2]"}, {b"[4]"}]
        assert all(0 < latency < seen.seconds + 1 for latency in seen.latencies)

    def test_response_other_than_200_is_a_failure(self, address: tuple[str, int]) -> None:
        seen = run(Load(address, (asking(7), asking(2)), connections=2, seconds=0.05, warm_up=0.0))

        assert list(seen.failures) == ['503: "busy"']
        assert seen.bodies == [set(), {b"[4]"}]

    def test_load_stops_after_too_many_failures(self, address: tuple[str, int]) -> None:
        with pytest.raises(TooManyFailures, match="busy"):
            run(Load(address, (asking(7),), connections=4, seconds=60.0))

    def test_closed_connections_are_replaced(self, address: tuple[str, int]) -> None:
        seen = run(Load(address, (asking(3, x_last="yes"),), connections=2, seconds=0.1, warm_up=0.0))

        assert seen.answers >= 2
        assert seen.failures == {}

    def test_slow_window_lasts_until_each_connection_has_a_response(self, address: tuple[str, int]) -> None:
        assert run(Load(address, (asking(3),), connections=5, seconds=0.0, warm_up=0.0)).answers >= 5

    def test_large_request_is_sent_in_parts(self, address: tuple[str, int]) -> None:
        padded = post("127.0.0.1", "/", b"21" + b" " * (8 << 20))

        assert run(Load(address, (padded,), connections=2, seconds=0.0, warm_up=0.0)).bodies == [{b"[42]"}]

    def test_numeric_response_header_is_collected(self, address: tuple[str, int]) -> None:
        seen = run(Load(address, (asking(3),), connections=1, seconds=0.05, warm_up=0.0, header=b"x-took"))

        assert len(seen.numbers) == seen.answers
        assert set(seen.numbers) == {0.25}

    def test_connection_closed_without_a_response_is_a_failure(self) -> None:
        class Rude(_Doubler):
            def do_POST(self) -> None:
                self.close_connection = True

        with serving(Rude) as rude, pytest.raises(TooManyFailures, match=r"closed without an answer|broke"):
            run(Load(rude, (asking(1),), connections=2, seconds=60.0))


class TestChecking:
    def test_wrong_prediction_is_reported(self, address: tuple[str, int]) -> None:
        questions = [Question(None, [2 * number]) for number in (1, 13, 2)]
        requests = tuple(asking(number) for number in (1, 13, 2))

        seen = run(Load(address, requests, connections=3, seconds=0.05, warm_up=0.0))

        assert wrong_answers(seen, json.loads, questions) == ["expected [26], came b'[26.5]'"]

    def test_response_to_a_different_request_is_reported(self, address: tuple[str, int]) -> None:
        questions = [Question(None, [4.0]), Question(None, [2.0])]

        seen = run(Load(address, (asking(1), asking(2)), connections=2, seconds=0.0, warm_up=0.0))

        assert len(wrong_answers(seen, json.loads, questions)) == 2

    def test_prediction_that_differs_in_the_last_bits_is_accepted(self, address: tuple[str, int]) -> None:
        seen = run(Load(address, (asking(1.1),), connections=1, seconds=0.0, warm_up=0.0))

        assert wrong_answers(seen, json.loads, [Question(None, [2.2 * (1 + 1e-13)])]) == []


class TestGenerator:
    def test_load_generator_process_runs_several_loads(self, address: tuple[str, int]) -> None:
        with LoadGenerator() as generator:
            for number in (1, 2):
                seen = generator.run(Load(address, (asking(number),), connections=1, seconds=0.02))
                assert seen.bodies == [{b"[%d]" % (number * 2)}]

    def test_load_on_a_closed_port_raises_load_failed(self) -> None:
        with serving() as gone:
            pass
        with LoadGenerator() as generator, pytest.raises(LoadFailed, match="refused"):
            generator.run(Load(gone, (asking(1),), connections=1, seconds=0.02))


class TestAnswers:
    def test_incomplete_response_is_none(self) -> None:
        whole = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n[1.5]"

        assert [read_answer(whole[:length]) for length in range(len(whole))] == [None] * len(whole)
        answer = read_answer(whole)
        assert answer is not None
        assert (answer.status, answer.body, answer.is_last) == (200, b"[1.5]", False)

    def test_response_without_content_length_is_refused(self) -> None:
        with pytest.raises(UnreadableAnswer, match="Content-Length"):
            read_answer(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
