"""The frames of a model worker, on every supported Python."""

import json
import os
import re
import signal
import struct
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from data_plane.replicas.local.exit_reason import exit_reason
from data_plane.replicas.local.spawn import LaunchSettings, spawn
from data_plane.replicas.local.worker_process import wait_for_end
from data_plane.replicas.port import ReplicaGone, ScoringFailed
from data_plane.scoring.payload.values import JsonPayload, JsonResult
from data_plane.worker import frames
from tests.data_plane.replicas.worker_harness import (
    BUSY_POLL_SECONDS,
    GATED,
    PATIENCE,
    WorkerHarness,
    eventually,
    processor_seconds,
)

MISBEHAVING = """
    import os, sys

    def init():
        pass

    def run(input_data, params=None):
        if input_data == "raise":
            raise ValueError("no such wine")
        if input_data == "exit":
            sys.exit(5)
        if input_data == "vanish":
            os._exit(6)
        if input_data == "inexpressible":
            return {"answer": object()}
        if input_data == "long":
            raise ValueError("x" * 10_000)
        return input_data
"""

PRINTING = """
    import os, sys

    def init():
        print("loading")

    def run(input_data, params=None):
        print("in two", end=" ")
        print("parts")
        print("to standard error", file=sys.stderr)
        os.write(1, b"MY\\x01\\x04 not a frame\\n")
        os.system("echo from a child")
        for descriptor in range(3, 20):
            try:
                os.fstat(descriptor)
            except OSError:
                continue
        return input_data
"""


class TestHello:
    def test_hello_is_answered_with_the_workers_status(self, harness: WorkerHarness) -> None:
        model_worker, connection = harness.ready()
        status = connection.status
        assert (status.worker_id, status.generation, status.pid) == (model_worker.worker_id, 3, model_worker.pid)
        assert status.state == "ready"
        assert f"Python {status.python}\n" == subprocess.check_output([harness.python, "--version"], text=True)

    def test_status_is_loading_at_first_and_ready_is_pushed(self, harness: WorkerHarness, tmp_path: Path) -> None:
        gate = tmp_path / "gate"
        script = f"""
            import os, time
            def init():
                while not os.path.exists({str(gate)!r}):
                    time.sleep(0.005)
            def run(input_data):
                return 1
        """
        model_worker = harness.start(script)
        connection = harness.connect(model_worker)
        assert connection.status.state == "loading"
        assert connection.ping(PATIENCE).state == "loading"
        gate.touch()
        assert connection.wait_until_loaded(PATIENCE).state == "ready"

    def test_other_protocol_version_is_rejected(self, harness: WorkerHarness) -> None:
        model_worker, _ = harness.ready()
        stranger = harness.speak(model_worker)
        stranger.send(frames.HELLO, {"protocol": [99], "role": "gateway"})
        assert "protocol 1" in stranger.meta(frames.ERROR)["message"]
        assert stranger.next() is None

    def test_first_frame_must_be_hello(self, harness: WorkerHarness) -> None:
        model_worker, _ = harness.ready()
        stranger = harness.speak(model_worker)
        stranger.send(frames.PING, {})
        assert stranger.meta(frames.ERROR)["error"] == "protocol"
        assert stranger.next() is None


class TestScoring:
    def test_run_gets_input_and_params_and_its_result_comes_back(self, harness: WorkerHarness) -> None:
        _, connection = harness.ready()
        result = connection.score(JsonPayload([1, "ä"]), params={"k": 2}, timeout=PATIENCE)
        assert result == JsonResult('{"input":[1,"ä"],"params":{"k":2}}'.encode())

    def test_run_without_params_gets_the_input_alone(self, harness: WorkerHarness) -> None:
        _, connection = harness.ready("def init(): pass\ndef run(data): return data")
        assert connection.score(JsonPayload(4), params={"k": 2}, timeout=PATIENCE) == JsonResult(b"4")

    def test_answers_come_in_the_order_of_the_requests(self, harness: WorkerHarness) -> None:
        model_worker, _ = harness.ready(MISBEHAVING)
        gateway = harness.speak(model_worker)
        gateway.hello()
        for number in range(50):
            gateway.score(number, request_id=number)
        assert [gateway.result() for _ in range(50)] == [(number, number) for number in range(50)]

    def test_each_connection_gets_its_own_answers(self, harness: WorkerHarness) -> None:
        model_worker, _ = harness.ready(MISBEHAVING)
        one, other = harness.speak(model_worker), harness.speak(model_worker)
        one.hello()
        other.hello()
        for number in range(20):
            one.score(f"one {number}", request_id=number)
            other.score(f"other {number}", request_id=number)
        assert [one.result()[1] for _ in range(20)] == [f"one {number}" for number in range(20)]
        assert [other.result()[1] for _ in range(20)] == [f"other {number}" for number in range(20)]

    def test_request_past_its_deadline_is_not_scored(self, harness: WorkerHarness) -> None:
        model_worker, _ = harness.ready(MISBEHAVING)
        gateway = harness.speak(model_worker)
        gateway.hello()
        gateway.score("vanish", deadline=time.time() - 1)
        assert gateway.meta(frames.ERROR)["error"] == "deadline"
        assert model_worker.is_running()

    def test_nan_in_a_result_becomes_null(self, harness: WorkerHarness) -> None:
        _, connection = harness.ready("def init(): pass\ndef run(data): return [float(x) for x in data]")
        result = connection.score(JsonPayload(["nan", "inf", "1"]), timeout=PATIENCE)
        assert result == JsonResult(b"[null,null,1.0]")


class TestModelFailures:
    def test_exception_fails_one_request_and_logs_a_traceback(self, harness: WorkerHarness) -> None:
        model_worker, connection = harness.ready(MISBEHAVING)
        with pytest.raises(ScoringFailed, match="ValueError: no such wine") as failure:
            connection.score(JsonPayload("raise"), request_ids=("r-17",), timeout=PATIENCE)
        assert failure.value.kind == "model"
        eventually(lambda: 'raise ValueError("no such wine")' in model_worker.log.read_text())
        log = model_worker.log.read_text()
        assert str(failure.value.reference) in log
        assert "r-17" in log
        assert 'raise ValueError("no such wine")' in log
        assert connection.score(JsonPayload(1), timeout=PATIENCE) == JsonResult(b"1")

    def test_sys_exit_in_run_fails_one_request(self, harness: WorkerHarness) -> None:
        _, connection = harness.ready(MISBEHAVING)
        with pytest.raises(ScoringFailed, match="SystemExit: 5"):
            connection.score(JsonPayload("exit"), timeout=PATIENCE)
        assert connection.score(JsonPayload(1), timeout=PATIENCE) == JsonResult(b"1")

    def test_os_exit_in_run_closes_the_connection(self, harness: WorkerHarness) -> None:
        model_worker, connection = harness.ready(MISBEHAVING)
        with pytest.raises(ReplicaGone):
            connection.score(JsonPayload("vanish"), timeout=PATIENCE)
        assert wait_for_end(model_worker, PATIENCE)
        assert exit_reason(model_worker) == "exited with code 6"

    def test_result_that_json_cannot_express_names_its_type(self, harness: WorkerHarness) -> None:
        _, connection = harness.ready(MISBEHAVING)
        with pytest.raises(ScoringFailed, match=r"holds a builtins\.object, which JSON cannot express"):
            connection.score(JsonPayload("inexpressible"), timeout=PATIENCE)

    def test_exception_message_is_cut_to_two_kilobytes(self, harness: WorkerHarness) -> None:
        _, connection = harness.ready(MISBEHAVING)
        with pytest.raises(ScoringFailed) as failure:
            connection.score(JsonPayload("long"), timeout=PATIENCE)
        assert len(failure.value.message) == 2048

    @pytest.mark.parametrize("seconds", [0.0, BUSY_POLL_SECONDS])
    def test_worker_sleeps_after_requests_in_quick_succession(self, harness: WorkerHarness, seconds: float) -> None:
        model_worker, connection = harness.ready(launch={"busy_poll_seconds": seconds})
        for number in range(200):
            connection.score(JsonPayload(number), timeout=PATIENCE)
        before = processor_seconds(model_worker.pid)
        time.sleep(1.0)
        assert processor_seconds(model_worker.pid) - before <= 0.1

    def test_ping_is_answered_while_the_model_runs(self, harness: WorkerHarness, tmp_path: Path) -> None:
        model_worker, host = harness.ready(GATED)
        gateway = harness.speak(model_worker)
        gateway.hello()
        gateway.score(str(tmp_path / "gate"))
        eventually(lambda: host.ping(PATIENCE).busy_for is not None)
        assert host.ping(PATIENCE).answered == 0
        (tmp_path / "gate").touch()
        assert gateway.result() == (1, "released")
        assert eventually(lambda: host.ping(PATIENCE).answered) == 1
        assert eventually(lambda: host.ping(PATIENCE).busy_for is None)

    def test_pong_tells_how_long_the_batch_is_overdue(self, harness: WorkerHarness, tmp_path: Path) -> None:
        model_worker, host = harness.ready(GATED)
        gateway = harness.speak(model_worker)
        gateway.hello()
        gateway.score(str(tmp_path / "gate"), deadline=time.time() + 1)
        assert host.ping(PATIENCE).overdue_for is None
        assert eventually(lambda: host.ping(PATIENCE).overdue_for) > 0
        (tmp_path / "gate").touch()
        assert gateway.result() == (1, "released")
        assert eventually(lambda: host.ping(PATIENCE).overdue_for is None)


class TestPrints:
    def test_prints_go_to_the_log_with_a_utc_time_and_not_into_a_frame(self, harness: WorkerHarness) -> None:
        model_worker, connection = harness.ready(PRINTING)
        for number in range(3):
            assert connection.score(JsonPayload(number), timeout=PATIENCE) == JsonResult(b"%d" % number)
        connection.drain(PATIENCE)
        connection.close()
        assert wait_for_end(model_worker, PATIENCE)
        lines = model_worker.log.read_text(errors="replace").splitlines()
        stamped = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} I \[" + str(model_worker.pid) + r"\] "

        def count(pattern: str) -> int:
            return sum(bool(re.fullmatch(pattern, line)) for line in lines)

        assert count(stamped + "modelyard - Worker ready after .* s") == 1
        assert count(stamped + "stdout - loading") == 1
        assert count(stamped + "stdout - in two parts") == 3
        assert count(stamped + "stderr - to standard error") == 3
        assert count("MY.* not a frame") == 3
        assert count("from a child") == 3


class TestInit:
    @pytest.mark.parametrize(
        ("body", "error"),
        [
            ("raise RuntimeError('no weights')", "RuntimeError: no weights"),
            ("import sys; sys.exit('bye')", "SystemExit: bye"),
            ("import not_installed", "ModuleNotFoundError: No module named 'not_installed'"),
        ],
        ids=["raises", "exits", "misses a package"],
    )
    def test_failed_init_sends_its_error_before_the_worker_ends(
        self, harness: WorkerHarness, body: str, error: str
    ) -> None:
        model_worker = harness.start(f"def init():\n    {body}\ndef run(data): return data")
        status = harness.connect(model_worker).wait_until_loaded(PATIENCE)
        assert (status.state, status.error) == ("failed", error)
        assert wait_for_end(model_worker, PATIENCE)
        assert exit_reason(model_worker) == "exited with code 3 (init failed)"
        assert "Traceback (most recent call last):" in model_worker.log.read_text()

    def test_os_exit_in_init_gives_the_exit_code(self, harness: WorkerHarness) -> None:
        model_worker = harness.start("import os\nos._exit(9)")
        assert wait_for_end(model_worker, PATIENCE)
        assert exit_reason(model_worker) == "exited with code 9"

    def test_script_without_run_fails_to_load(self, harness: WorkerHarness) -> None:
        model_worker = harness.start("def init(): pass")
        status = harness.connect(model_worker).wait_until_loaded(PATIENCE)
        assert "does not define a function run()" in str(status.error)

    def test_script_imports_from_its_folder_but_not_from_the_archive(self, harness: WorkerHarness) -> None:
        spec = harness.spec("import sys, neighbour\ndef init(): pass\ndef run(data): return [neighbour.NAME, sys.path]")
        (spec.bundle_dir / "neighbour.py").write_text("NAME = 'next door'")
        model_worker = harness.adopt(spawn(spec, LaunchSettings(harness.data_dir)))
        connection = harness.connect(model_worker)
        connection.wait_until_loaded(PATIENCE)
        result = connection.score(JsonPayload(0), timeout=PATIENCE)
        assert isinstance(result, JsonResult)
        neighbour, path = json.loads(result.text)
        assert neighbour == "next door"
        assert path[0] == str(spec.bundle_dir)
        assert not [entry for entry in path if entry.endswith(".pyz") or "data_plane" in entry]
        assert not list(spec.bundle_dir.glob("__pycache__"))


class TestMalformedFrames:
    @pytest.mark.parametrize(
        "nonsense",
        [
            b"GET / HTTP/1.1\r\nHost: worker\r\n\r\n",
            struct.pack("<2sBBIQQ", b"MY", 1, frames.SCORE, 1, frames.MAX_META_BYTES + 1, 0),
            struct.pack("<2sBBIQQ", b"MY", 1, frames.SCORE, 1, 2, frames.MAX_BODY_BYTES + 1),
            struct.pack("<2sBBIQQ", b"MY", 1, frames.SCORE, 1, 3, 0) + b"[1]",
            struct.pack("<2sBBIQQ", b"MY", 9, frames.PING, 1, 2, 0) + b"{}",
        ],
        ids=["another protocol", "oversized meta", "oversized body", "meta not an object", "another version"],
    )
    def test_malformed_frame_closes_its_own_connection_only(self, harness: WorkerHarness, nonsense: bytes) -> None:
        model_worker, host = harness.ready()
        good, bad = harness.speak(model_worker), harness.speak(model_worker)
        good.hello()
        bad.hello()
        bad.send_bytes(nonsense)
        assert bad.meta(frames.ERROR)["error"] == "protocol"
        assert bad.next() is None
        good.score("still here")
        assert good.result() == (1, {"input": "still here", "params": None})
        assert host.ping(PATIENCE).state == "ready"

    def test_unknown_frame_kind_is_rejected_and_the_connection_stays(self, harness: WorkerHarness) -> None:
        model_worker, _ = harness.ready()
        gateway = harness.speak(model_worker)
        gateway.hello()
        gateway.send(77, {}, request_id=5)
        assert gateway.meta(frames.ERROR)["error"] == "protocol"
        gateway.send(frames.DRAIN, {"deadline": 1}, request_id=6)
        assert gateway.meta(frames.ERROR)["error"] == "protocol"
        gateway.score(1)
        assert gateway.result()[0] == 1

    @pytest.mark.parametrize(
        "payload",
        [None, {}, {"kind": "poem"}, {"kind": "json", "data": [0, 99]}, {"kind": "json", "data": [-1, 1]}, 7],
    )
    def test_unreadable_payload_is_answered_with_an_error(self, harness: WorkerHarness, payload: Any) -> None:
        model_worker, _ = harness.ready()
        gateway = harness.speak(model_worker)
        gateway.hello()
        gateway.send(frames.SCORE, {"payload": payload}, request_id=5, body=b"1")
        assert gateway.meta(frames.ERROR)["error"] == "protocol"


class TestExit:
    def test_drained_worker_ends_after_its_received_requests(self, harness: WorkerHarness, tmp_path: Path) -> None:
        model_worker, host = harness.ready(GATED)
        gateway = harness.speak(model_worker)
        gateway.hello()
        (tmp_path / "second").touch()
        gateway.score(str(tmp_path / "first"), request_id=1)
        gateway.score(str(tmp_path / "second"), request_id=2)
        eventually(lambda: host.ping(PATIENCE).busy_for is not None)
        host.drain(PATIENCE)
        (tmp_path / "first").touch()
        assert [gateway.result(), gateway.result()] == [(1, "released"), (2, "released")]
        assert model_worker.is_running()
        gateway.close()
        assert wait_for_end(model_worker, PATIENCE)
        assert exit_reason(model_worker) == "exited with code 0 (drained or told to stop)"

    def test_drained_worker_ends_at_the_drain_deadline_while_the_model_runs(self, harness: WorkerHarness) -> None:
        model_worker, host = harness.ready(GATED)
        gateway = harness.speak(model_worker)
        gateway.hello()
        gateway.score("/never")
        eventually(lambda: host.ping(PATIENCE).busy_for is not None)
        host.drain(0.05)
        assert wait_for_end(model_worker, PATIENCE)
        assert exit_reason(model_worker) == "exited with code 0 (drained or told to stop)"

    def test_worker_without_a_host_ends_even_while_the_model_runs(self, harness: WorkerHarness) -> None:
        model_worker = harness.start(GATED, launch={"host_timeout": 0.3})
        gateway = harness.speak(model_worker)
        gateway.hello()
        gateway.score("/never")
        assert wait_for_end(model_worker, PATIENCE)
        assert exit_reason(model_worker) == "exited with code 4 (lost the host)"

    def test_worker_with_a_host_does_not_end(self, harness: WorkerHarness) -> None:
        model_worker = harness.start(launch={"host_timeout": 0.3})
        host = harness.connect(model_worker)
        host.wait_until_loaded(PATIENCE)
        begun = time.monotonic()
        eventually(lambda: time.monotonic() > begun + 0.6 and host.ping(PATIENCE))
        host.close()
        assert wait_for_end(model_worker, PATIENCE)
        assert exit_reason(model_worker) == "exited with code 4 (lost the host)"

    def test_sigterm_runs_the_models_exit_handlers(self, harness: WorkerHarness) -> None:
        script = "import atexit\ndef init(): atexit.register(print, 'goodbye')\ndef run(data): return data"
        model_worker, _ = harness.ready(script)
        os.kill(model_worker.pid, signal.SIGTERM)
        assert wait_for_end(model_worker, PATIENCE)
        assert exit_reason(model_worker) == "exited with code 0 (drained or told to stop)"
        assert "stdout - goodbye" in model_worker.log.read_text()

    def test_threads_of_the_model_do_not_delay_the_exit(self, harness: WorkerHarness) -> None:
        script = """
            import threading
            def init():
                threading.Thread(target=threading.Event().wait).start()
            def run(data):
                return data
        """
        model_worker, host = harness.ready(script)
        host.drain(PATIENCE)
        assert wait_for_end(model_worker, PATIENCE)
        assert exit_reason(model_worker) == "exited with code 0 (drained or told to stop)"


class TestSlowPeers:
    def test_slow_reader_does_not_delay_other_connections(self, harness: WorkerHarness) -> None:
        model_worker, _ = harness.ready("def init(): pass\ndef run(data): return 'x' * data")
        slow, quick = harness.speak(model_worker), harness.speak(model_worker)
        slow.hello()
        quick.hello()
        slow.score(20_000_000, request_id=1)
        quick.score(3, request_id=2)
        assert quick.result() == (2, "xxx")
        assert slow.result() == (1, "x" * 20_000_000)


class TestForkedChild:
    def test_forked_child_has_no_connection_of_the_worker(self, harness: WorkerHarness) -> None:
        script = """
            import os

            def open_sockets():
                found = []
                for descriptor in os.listdir("/proc/self/fd"):
                    try:
                        found.append(os.readlink("/proc/self/fd/" + descriptor))
                    except OSError:
                        pass
                return [name for name in found if name.startswith("socket:")]

            def init():
                pass

            def run(data):
                told, tell = os.pipe()
                if os.fork() == 0:
                    os.write(tell, str(len(open_sockets())).encode())
                    os._exit(0)
                os.wait()
                return [len(open_sockets()) > 0, os.read(told, 9).decode()]
        """
        _, connection = harness.ready(script)
        assert connection.score(JsonPayload(0), timeout=PATIENCE) == JsonResult(b'[true,"0"]')
