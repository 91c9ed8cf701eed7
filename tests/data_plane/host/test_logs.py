"""The output of workers on the way to getLogs."""

import os
import re
import signal
from pathlib import Path

import pytest

from data_plane.host.log_shipping import LogShipper, stamped, whole_lines
from modelyard.core.adapters.folder_store import FolderStore
from modelyard.core.domain.lifecycle import ProvisioningState
from modelyard.core.logs import INFERENCE_SERVER, read_log
from modelyard.core.settings import WorkerSettings
from tests.data_plane.host.host_harness import answering
from tests.data_plane.replicas.worker_harness import eventually

NOW = "2026-01-02 03:04:05,678"


class TestLines:
    def test_line_with_a_time_is_unchanged(self):
        line = b"2025-12-31 23:59:59,999 I [7] stdout - hello\n"
        assert stamped(line, NOW) == line

    def test_line_without_a_time_gets_a_stamp(self):
        assert stamped(b"Segmentation fault\n\n", NOW) == f"{NOW} I Segmentation fault\n{NOW} I \n".encode()

    def test_last_line_gets_a_line_end(self):
        assert stamped(b"half", NOW) == f"{NOW} I half\n".encode()

    def test_only_whole_lines_are_shipped(self):
        assert whole_lines(b"one\ntw", to_the_end=False) == b"one\n"
        assert whole_lines(b"tw", to_the_end=False) == b""
        assert whole_lines(b"one\ntw", to_the_end=True) == b"one\ntw"

    def test_endless_line_is_cut(self):
        endless = b"#" * (64 << 10)
        assert whole_lines(endless, to_the_end=False) == endless


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "workers").mkdir()
    return tmp_path


def open_shipper(folder: Path, **settings: int) -> LogShipper:
    store, offsets = FolderStore(folder / "objects"), folder / "shipped.json"
    return LogShipper(store, folder / "workers", offsets, WorkerSettings.model_validate(settings))


def written(folder: Path, text: str) -> None:
    with (folder / "workers" / "g1.log").open("a") as log:
        log.write(text)


def shipped(folder: Path) -> list[str]:
    text = read_log(FolderStore(folder / "objects"), 5, INFERENCE_SERVER, None)
    return [line.partition(" I ")[2] for line in text.splitlines()]


class TestShipping:
    def test_each_line_is_shipped_once_and_in_order(self, folder):
        shipper = open_shipper(folder)
        shipper.follow("g1", 5)
        written(folder, "one\ntwo\nthr")
        shipper.ship_new()
        written(folder, "ee\n")
        shipper.ship_new()
        assert shipped(folder) == ["one", "two", "three"]

    def test_next_host_continues_where_the_earlier_host_stopped(self, folder):
        first = open_shipper(folder)
        first.follow("g1", 5)
        written(folder, "one\n")
        first.ship_new()
        written(folder, "two\n")
        second = open_shipper(folder)
        second.follow("g1", 5)
        second.ship_new()
        assert shipped(folder) == ["one", "two"]

    def test_rest_of_an_ended_workers_log_is_shipped_and_removed(self, folder):
        shipper = open_shipper(folder)
        shipper.follow("g1", 5)
        written(folder, "one\nlast words")
        shipper.finish("g1")
        assert shipped(folder) == ["one", "last words"]
        assert list((folder / "workers").iterdir()) == []

    def test_log_without_a_worker_is_shipped(self, folder):
        first = open_shipper(folder)
        first.follow("g1", 5)
        written(folder, "one\n")
        first.ship_new()
        written(folder, "two\n")
        open_shipper(folder).finish_all_but(set())
        assert shipped(folder) == ["one", "two"]

    def test_log_is_rotated_and_five_files_are_kept(self, folder):
        shipper = open_shipper(folder, log_bytes=100)
        shipper.follow("g1", 5)
        for number in range(8):
            written(folder, f"{number}" * 120 + "\n")
            shipper.ship_new()
        assert shipped(folder) == [f"{number}" * 120 for number in range(8)]
        kept = sorted(path.name for path in (folder / "workers").iterdir())
        assert kept == ["g1.log", "g1.log.1", "g1.log.2", "g1.log.3", "g1.log.4"]
        assert (folder / "workers" / "g1.log").stat().st_size == 0
        assert (folder / "workers" / "g1.log.1").read_text().startswith("7")

    def test_empty_log_ships_nothing(self, folder):
        shipper = open_shipper(folder)
        shipper.follow("g1", 5)
        shipper.finish("g1")
        assert shipped(folder) == []


class TestDeploymentLog:
    def test_models_prints_are_in_the_log_with_a_time_on_each_line(self, harness):
        harness.deploy(
            """
            import os

            def init():
                print("from Python")
                os.write(1, b"from native code\\n")

            def run(input_data, params=None):
                return 1
            """
        )
        harness.start_host()
        harness.eventually_is(ProvisioningState.SUCCEEDED)
        log = eventually(lambda: harness.model_log() if "from native code" in harness.model_log() else "")
        assert "from Python" in log
        assert all(re.match(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} ", line) for line in log.splitlines())

    def test_last_output_of_a_worker_that_died_without_a_host_is_in_the_log(self, harness):
        harness.deploy(answering("hello"))
        harness.start_host()
        harness.eventually_is(ProvisioningState.SUCCEEDED)
        harness.kill_host()
        (worker,) = harness.workers()
        with worker.log.open("a") as log:
            log.write("last words")
        os.kill(worker.pid, signal.SIGKILL)
        harness.start_host()
        eventually(lambda: "last words" in harness.model_log())
        eventually(lambda: not worker.log.exists())
