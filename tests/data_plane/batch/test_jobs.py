"""Jobs from the row to the output, through real batch workers."""

import gzip
import sysconfig
import time
from pathlib import Path

from data_plane.batch.input.text_blocks import BLOCK_BYTES
from modelyard.core.domain.lifecycle import JobState, MiniBatchState
from tests.builder.packages import make_wheel
from tests.data_plane.batch.batch_harness import LOCK, BatchHarness, csv, predicted
from tests.data_plane.replicas.worker_harness import eventually

DOUBLED = "def doubled(x):\n    return x * 2\n"

FAILING = """
    def init():
        pass

    def run(data, params=None):
        if (data["id"] == 12).any():
            raise ValueError("twelve is too much")
        return data["x"].to_numpy() * 2
"""

# Fails until the last try. A file counts the tries, across processes.
AT_THE_LAST_TRY = """
    import os
    from pathlib import Path

    def init():
        pass

    def run(data, params=None):
        asked = Path(os.environ["ASKED"])
        asked.write_text(asked.read_text() + "x" if asked.exists() else "x")
        if len(asked.read_text()) < int(os.environ["TRIES"]):
            if os.environ["HOW"] == "raise":
                raise ValueError("not yet")
            os.kill(os.getpid(), 9)
        return data["x"].to_numpy() * 2
"""


FROM_A_PACKAGE = """
    import alpha

    def init():
        pass

    def run(data, params=None):
        return alpha.doubled(data["x"]).to_numpy()
"""


def own_packages(folder: Path) -> Path:
    """Build a wheel with a .pth file that points to the tests' packages."""
    return make_wheel(folder, "own", modules={"own.pth": sysconfig.get_path("purelib")})


class TestEnvironmentFromAnotherMachine:
    def test_environment_is_restored_and_the_jobs_log_tells_of_it(self, harness: BatchHarness, tmp_path: Path) -> None:
        harness.move_environment_away(own_packages(tmp_path), make_wheel(tmp_path, "alpha", code=DOUBLED))
        harness.start_worker()
        job = harness.submit({"a.csv": csv(0, 2)}, FROM_A_PACKAGE)
        assert harness.completed(job) == predicted("a.csv", 0, 2)
        assert "fetching" in harness.logged(job, "user/stdout/")

    def test_missing_environment_fails_the_job_with_the_reason(self, harness: BatchHarness) -> None:
        harness.move_environment_away()
        harness.store.delete(f"environments/{LOCK}.json")
        harness.start_worker()
        job = harness.submit({"a.csv": csv(0, 2)})
        row = harness.ended(job)
        assert row.state == JobState.FAILED
        assert f"environments/{LOCK}.json is not in the object store" in row.error["message"]


class TestJobs:
    def test_folder_of_files_becomes_one_output_in_input_order(self, harness: BatchHarness) -> None:
        harness.start_worker()
        files = {"b.csv": csv(100, 3), "a.csv": csv(0, 2), "deep/c.csv": csv(200, 1)}
        job = harness.submit(files)
        expected = predicted("a.csv", 0, 2) + predicted("b.csv", 100, 3) + predicted("deep/c.csv", 200, 1)
        assert harness.completed(job) == expected
        row = harness.row(job)
        assert (row.files, row.mini_batches, row.error) == (3, 3, None)
        assert sum(each.rows for each in harness.mini_batches(job)) == 6
        assert {each.state for each in harness.mini_batches(job)} == {MiniBatchState.COMPLETED}
        assert row.started_at < row.ended_at
        eventually(lambda: not harness.parts(job))
        assert "the model loads" in harness.logged(job, "user/stdout/")
        eventually(lambda: "Completed" in harness.logged(job, "job_progress_overview.txt"))

        # The batch worker has a warm model worker for the next job.
        (model_worker,) = harness.workers()
        began = time.monotonic()
        again = harness.submit({"a.csv": csv(0, 2)})
        assert harness.completed(again) == predicted("a.csv", 0, 2)
        print(f"a job of one file with a warm worker: {time.monotonic() - began:.2f} s")
        assert harness.workers() == [model_worker]

    def test_two_batch_workers_share_a_job(self, standing: BatchHarness) -> None:
        files = {f"{n:03}.csv": csv(10 * n, 10) for n in range(30)}
        job = standing.submit(files, mini_batch_size=3, max_concurrency_per_instance=2)
        assert standing.completed(job) == b"".join(predicted(f"{n:03}.csv", 10 * n, 10) for n in range(30))
        assert standing.row(job).mini_batches == 10

    def test_bad_file_fails_alone(self, standing: BatchHarness) -> None:
        files = {
            "1.csv": csv(0, 2),
            "2.csv": b"id,x\n1,many\n",
            "3.csv": b"id\n1\n",
            "4.csv": csv(10, 4),
            "5.csv": csv(20, 2),
        }
        job = standing.submit(files, FAILING, mini_batch_size=5, max_retries=1)
        assert standing.completed(job) == predicted("1.csv", 0, 2) + predicted("5.csv", 20, 2)
        errors = standing.errors(job)
        assert [line.split(",")[0] for line in errors.splitlines()] == ["file", "2.csv", "3.csv", "4.csv"]
        assert "ValueError: twelve is too much" in errors
        assert "twelve is too much" in standing.logged(job, "user/error.txt")
        assert "Traceback" in standing.logged(job, "user/stdout/")

    def test_file_that_is_bad_at_its_end_leaves_no_rows(self, standing: BatchHarness) -> None:
        # Enough rows for the model to have scored the first when the last is read.
        rows = 2 * BLOCK_BYTES // len(b"1000000,500000.0\n")
        bad = gzip.compress(csv(1_000_000, rows) + b"1,many\n", 1)
        job = standing.submit({"1.csv": csv(0, 2), "2.csv.gz": bad, "3.csv": csv(10, 2)}, mini_batch_size=3)
        assert standing.completed(job) == predicted("1.csv", 0, 2) + predicted("3.csv", 10, 2)
        assert f"row {rows}" in standing.errors(job)

    def test_failed_files_above_the_error_threshold_fail_the_job(self, standing: BatchHarness) -> None:
        good = {f"{n}.csv": csv(10 * n, 1) for n in range(3, 6)}
        bad = {"0.csv": b"id,x\n1,many\n", "1.csv": b"id,x\n1,few\n"}
        job = standing.submit({**good, **bad}, error_threshold=1)
        row = standing.ended(job)
        assert row.state == JobState.FAILED
        assert row.error["code"] == "ErrorThresholdExceeded"
        assert "2 input files failed, and the error threshold allows 1" in row.error["message"]
        assert {detail["target"] for detail in row.error["details"]} == {"0.csv", "1.csv"}
        assert standing.completed(standing.submit({**good, **bad}, error_threshold=2)).count(b"\n") == 3

    def test_try_whose_model_raised_or_died_is_repeated_max_retries_times(self, standing: BatchHarness) -> None:
        for how in ("raise", "die"):
            asked = str(standing.data_dir.root / f"asked-{how}")
            variables = {"ASKED": asked, "TRIES": "3", "HOW": how}
            job = standing.submit({"a.csv": csv(0, 2)}, AT_THE_LAST_TRY, variables=variables, max_retries=2)
            assert standing.completed(job) == predicted("a.csv", 0, 2)
        variables = {"ASKED": f"{asked}-2", "TRIES": "3", "HOW": "die"}
        job = standing.submit({"a.csv": csv(0, 2)}, AT_THE_LAST_TRY, variables=variables, max_retries=1)
        assert standing.completed(job) == b""
        assert "killed by signal 9" in standing.errors(job)

    def test_try_times_out_after_the_retry_settings_timeout(self, standing: BatchHarness) -> None:
        endless = FAILING.replace('raise ValueError("twelve is too much")', "import time; time.sleep(600)")
        files = {"1.csv": csv(0, 1), "2.csv": csv(12, 1), "3.csv": csv(20, 1)}
        job = standing.submit(files, endless, mini_batch_size=3, timeout_seconds=20, max_retries=0)
        assert standing.completed(job) == predicted("1.csv", 0, 1) + predicted("3.csv", 20, 1)
        assert "longer than the timeout of 20 s" in standing.errors(job)

    def test_model_that_does_not_start_fails_the_job_with_its_error(self, standing: BatchHarness) -> None:
        job = standing.submit({"1.csv": csv(0, 1)}, "raise RuntimeError('no weights')")
        row = standing.ended(job)
        assert (row.state, row.error["code"]) == (JobState.FAILED, "ResourceNotReady")
        assert "RuntimeError: no weights" in row.error["message"]
        assert "no weights" in standing.logged(job, "user/error.txt")
        eventually(lambda: "Traceback" in standing.logged(job, "user/stdout/"))

    def test_empty_input_fails_the_job_with_the_reason(self, standing: BatchHarness) -> None:
        job = standing.submit({})
        row = standing.ended(job)
        assert row.state == JobState.FAILED
        folder = f"datastores/workspaceblobstore/input/{job.name}"
        assert row.error == {
            "code": "InvalidInput",
            "message": f"there are no files in the input {folder} (names that begin with '.' or '_' are left out)",
        }

    def test_message_delivered_twice_has_the_effect_of_one(self, harness: BatchHarness) -> None:
        files = {f"{n}.csv": csv(10 * n, 2) for n in range(4)}
        job = harness.submit(files)
        harness.send(job.id, 3)
        harness.start_worker(0, workers=2)
        harness.start_worker(1, workers=2)
        expected = b"".join(predicted(f"{n}.csv", 10 * n, 2) for n in range(4))
        assert harness.completed(job) == expected
        ended_at = harness.row(job).ended_at
        harness.send(job.id, 2)
        # Once later jobs have ended, both messages were read.
        for later in [harness.submit({"a.csv": csv(0, 1)}) for _ in range(2)]:
            harness.completed(later)
        assert (harness.output(job), harness.row(job).ended_at) == (expected, ended_at)
        assert [each.attempt for each in harness.mini_batches(job)] == [1] * 4
