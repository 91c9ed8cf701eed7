import os
import signal
from pathlib import Path

import numpy as np
import psutil
import pytest

from data_plane.replicas.local.blocking_connection import BlockingWorkerConnection
from data_plane.replicas.local.worker_process import wait_for_end
from data_plane.replicas.port import ReplicaGone, ReplicaSilent, ScoringFailed
from data_plane.scoring.payload.values import ArrayPayload, JsonPayload, JsonResult
from tests.data_plane.replicas.worker_harness import GATED, PATIENCE, WorkerHarness, eventually


class TestWorkerConnection:
    def test_connecting_without_a_listening_worker_raises_replica_gone(self, tmp_path: Path) -> None:
        with pytest.raises(ReplicaGone, match="no worker listens"):
            BlockingWorkerConnection(tmp_path / "none.sock")

    def test_silent_worker_raises_replica_silent_and_its_late_answer_is_dropped(self, harness: WorkerHarness) -> None:
        worker, connection = harness.ready()
        os.kill(worker.pid, signal.SIGSTOP)
        # The signal takes effect later than `kill` returns.
        eventually(lambda: psutil.Process(worker.pid).status() == psutil.STATUS_STOPPED)
        with pytest.raises(ReplicaSilent):
            connection.ping(timeout=0.05)
        with pytest.raises(ReplicaSilent):
            BlockingWorkerConnection(worker.socket, timeout=0.05)
        os.kill(worker.pid, signal.SIGCONT)
        # The late answer belongs to the abandoned request.
        assert connection.score(JsonPayload(1), timeout=PATIENCE) == JsonResult(b'{"input":1,"params":null}')

    def test_poll_returns_a_pushed_status_without_waiting(self, harness: WorkerHarness, tmp_path: Path) -> None:
        worker = harness.start(
            f"import os, time\nwhile not os.path.exists({str(tmp_path / 'gate')!r}): time.sleep(0.005)"
        )
        connection = harness.connect(worker)
        assert connection.poll().state == "loading"
        (tmp_path / "gate").touch()
        assert eventually(lambda: connection.status.state == "failed" or connection.poll().state == "failed")
        assert wait_for_end(worker, PATIENCE)
        with pytest.raises(ReplicaGone):
            connection.ping()

    def test_score_raises_replica_silent_at_its_timeout(self, harness: WorkerHarness) -> None:
        worker, _ = harness.ready(GATED)
        connection = harness.connect(worker)
        with pytest.raises(ReplicaSilent):
            connection.score(JsonPayload("/never"), timeout=0.05)

    def test_scoring_failed_has_kind_type_and_log_reference(self, harness: WorkerHarness) -> None:
        worker, connection = harness.ready()
        with pytest.raises(ScoringFailed) as failure:
            connection.score(ArrayPayload(np.zeros(1)), timeout=PATIENCE)
        assert (failure.value.kind, failure.value.type_name) == ("model", "ModuleNotFoundError")
        eventually(lambda: str(failure.value.reference) in worker.log.read_text())
