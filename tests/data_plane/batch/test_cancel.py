"""Canceled jobs: what is being scored ends within seconds, what was finished is kept."""

import time
from pathlib import Path

from modelyard.core.domain.lifecycle import JobState
from tests.data_plane.batch.batch_harness import BatchYard, csv, predicted
from tests.data_plane.replicas.worker_harness import eventually

# Never answers for ids from 20 on, and says that it was asked.
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


def asked(yard: BatchYard) -> Path:
    return yard.data_dir.root / "asked"


class TestCancel:
    def test_ends_the_models_call_and_keeps_what_was_finished(self, yard: BatchYard) -> None:
        yard.start_worker()
        files = {f"{n}.csv": csv(10 * n, 3) for n in range(4)}
        job = yard.submit(files, STUCK, variables={"ASKED": str(asked(yard))}, timeout_seconds=600)
        eventually(asked(yard).exists, within=60)
        began = time.monotonic()
        yard.cancel(job)
        assert yard.ended(job).state == JobState.CANCELED
        print(f"canceled within {time.monotonic() - began:.2f} s")
        assert yard.output(job) == predicted("0.csv", 0, 3) + predicted("1.csv", 10, 3)
        eventually(lambda: not yard.parts(job))
        # The worker is free for the next one.
        later = yard.submit({"a.csv": csv(0, 1)})
        assert yard.completed(later) == predicted("a.csv", 0, 1)

    def test_ends_a_model_that_is_still_loading(self, yard: BatchYard) -> None:
        yard.start_worker()
        job = yard.submit({"a.csv": csv(0, 1)}, STUCK_AT_ITS_START, variables={"ASKED": str(asked(yard))})
        eventually(asked(yard).exists, within=60)
        yard.cancel(job)
        assert yard.ended(job).state == JobState.CANCELED
        assert not yard.workers()

    def test_of_a_job_that_nobody_has_begun_leaves_no_output(self, yard: BatchYard) -> None:
        job = yard.submit({"a.csv": csv(0, 1)})
        yard.cancel(job)
        yard.start_worker()
        assert yard.ended(job).state == JobState.CANCELED
        assert not yard.store.exists(job.output_key)
