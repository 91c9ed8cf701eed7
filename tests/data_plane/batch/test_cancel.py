"""Canceled jobs: scoring ends within seconds, and finished mini-batches are kept."""

import time
from pathlib import Path

from modelyard.core.domain.lifecycle import JobState
from tests.data_plane.batch.batch_harness import BatchHarness, csv, predicted
from tests.data_plane.replicas.worker_harness import eventually

# Never returns for ids from 20 on, after creating the file.
STUCK = """
    import os, time
    from pathlib import Path

    def init():
        pass

    def run(data, params=None):
        if (data["id"] >= 20).any():
            Path(os.environ["ASKED"]).touch()
            time.sleep(600)
        return data["x"].to_numpy() * 2
"""

STUCK_AT_ITS_START = """
    import os, time
    from pathlib import Path

    def init():
        Path(os.environ["ASKED"]).touch()
        time.sleep(600)

    def run(data, params=None):
        return []
"""


def asked(harness: BatchHarness) -> Path:
    return harness.data_dir.root / "asked"


class TestCancel:
    def test_cancel_ends_the_models_call_and_keeps_finished_mini_batches(self, harness: BatchHarness) -> None:
        harness.start_worker()
        files = {f"{n}.csv": csv(10 * n, 3) for n in range(4)}
        job = harness.submit(files, STUCK, variables={"ASKED": str(asked(harness))}, timeout_seconds=600)
        eventually(asked(harness).exists, within=60)
        began = time.monotonic()
        harness.cancel(job)
        assert harness.ended(job).state == JobState.CANCELED
        print(f"canceled within {time.monotonic() - began:.2f} s")
        assert harness.output(job) == predicted("0.csv", 0, 3) + predicted("1.csv", 10, 3)
        eventually(lambda: not harness.parts(job))
        # The batch worker is free for the next job.
        later = harness.submit({"a.csv": csv(0, 1)})
        assert harness.completed(later) == predicted("a.csv", 0, 1)

    def test_cancel_ends_a_model_that_is_loading(self, harness: BatchHarness) -> None:
        harness.start_worker()
        job = harness.submit({"a.csv": csv(0, 1)}, STUCK_AT_ITS_START, variables={"ASKED": str(asked(harness))})
        eventually(asked(harness).exists, within=60)
        harness.cancel(job)
        assert harness.ended(job).state == JobState.CANCELED
        assert not harness.workers()

    def test_cancel_of_a_queued_job_leaves_no_output(self, harness: BatchHarness) -> None:
        job = harness.submit({"a.csv": csv(0, 1)})
        harness.cancel(job)
        harness.start_worker()
        assert harness.ended(job).state == JobState.CANCELED
        assert not harness.store.exists(job.output_key)
