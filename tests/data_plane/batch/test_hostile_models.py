"""Models that send hostile texts and messages to a batch worker: the job ends, and the next job runs."""

import pytest

from modelyard.core.domain.lifecycle import JobState
from tests.data_plane.batch.batch_harness import DOUBLING, csv, predicted

BAD = "bad \\x00 and \\ud800 bytes"

RAISING_AT_LOAD = """
    def init():
        raise RuntimeError("bad \\0 and \\ud800 bytes")

    def run(data, params=None):
        return 1
"""
RAISING = """
    def init():
        pass

    def run(data, params=None):
        raise ValueError("bad \\0 and \\ud800 bytes")
"""
# Writes to the connections that the worker's own io thread holds.
FORGING = """
    import os, socket, stat

    def init():
        pass

    def run(data, params=None):
        for descriptor in range(3, 64):
            try:
                if stat.S_ISSOCK(os.fstat(descriptor).st_mode):
                    os.write(descriptor, {content!r})
            except OSError:
                pass
        return (data["x"] * 2).to_numpy()
"""


@pytest.mark.parametrize(
    ("script", "shown"),
    [
        (RAISING_AT_LOAD, BAD),
        (RAISING, BAD),
        (FORGING.format(content=b"no frame at all, and more than a header"), "cannot be read"),
        (FORGING.format(content=b"MY\x01\x04\x01\0\0\0" + b"\xff" * 16), "cannot be read"),
    ],
    ids=["load error", "predict error", "bytes that are no frame", "frame of 2^64 bytes"],
)
def test_job_of_a_hostile_model_fails_and_the_next_job_completes(standing, script, shown):
    job = standing.submit({"a.csv": csv(0, 4)}, script, error_threshold=0, max_retries=0)
    row = standing.ended(job)
    assert row.state == JobState.FAILED
    assert shown in row.error["message"]
    other = standing.submit({"a.csv": csv(0, 4)}, DOUBLING)
    assert standing.completed(other) == predicted("a.csv", 0, 4), standing.errors(other)
