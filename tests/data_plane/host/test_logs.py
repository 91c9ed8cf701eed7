"""The output of workers on the way to getLogs."""

import os
import re
import signal
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from data_plane.host.log_shipping import LogShipper, stamped, whole_lines
from modelyard.core.adapters.folder_store import FolderStore
from modelyard.core.domain.lifecycle import ProvisioningState
from modelyard.core.logs import INFERENCE_SERVER, read_log
from modelyard.core.ports.object_store import ObjectStore
from tests.data_plane.host.host_harness import answering
from tests.data_plane.replicas.worker_harness import PATIENCE, eventually

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


def open_shipper(folder: Path, store: ObjectStore | None = None) -> LogShipper:
    return LogShipper(store or FolderStore(folder / "objects"), folder / "workers", folder / "shipped.json")


def written(folder: Path, text: str) -> None:
    with (folder / "workers" / "g1.log").open("a") as log:
        log.write(text)


def shipped(folder: Path) -> list[str]:
    text = read_log(FolderStore(folder / "objects"), 5, INFERENCE_SERVER, None)
    return [line.partition(" I ")[2] for line in text.splitlines()]


class HangingStore(FolderStore):
    """A store that answers late."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.is_called, self.answers = threading.Event(), threading.Event()

    def put(self, *arguments: Any, **keywords: Any) -> Any:
        self.is_called.set()
        assert self.answers.wait(PATIENCE)
        return super().put(*arguments, **keywords)


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
        shipper.ship_new()
        assert shipped(folder) == ["one", "last words"]
        assert list((folder / "workers").iterdir()) == []

    def test_log_without_a_worker_is_shipped(self, folder):
        first = open_shipper(folder)
        first.follow("g1", 5)
        written(folder, "one\n")
        first.ship_new()
        written(folder, "two\n")
        next_host = open_shipper(folder)
        next_host.finish_all_but(set())
        next_host.ship_new()
        assert shipped(folder) == ["one", "two"]

    def test_rotated_files_are_shipped_in_order_and_once(self, folder):
        shipper = open_shipper(folder)
        shipper.follow("g1", 5)
        log = folder / "workers" / "g1.log"
        written(folder, "one\n")
        shipper.ship_new()
        written(folder, "two\n")
        log.rename(folder / "workers" / "g1.log.2")
        written(folder, "three\n")
        log.rename(folder / "workers" / "g1.log.1")
        written(folder, "four\n")
        for _ in range(3):
            shipper.ship_new()
        assert shipped(folder) == ["one", "two", "three", "four"]
        shipper.finish("g1")
        shipper.ship_new()
        assert list((folder / "workers").iterdir()) == []

    def test_chunk_shipped_twice_after_a_killed_host_is_read_once(self, folder):
        first = open_shipper(folder)
        first.follow("g1", 5)
        written(folder, "one\n")
        first.ship_new()
        positions = (folder / "shipped.json").read_text()
        written(folder, "two\n")
        first.ship_new()
        (folder / "shipped.json").write_text(positions)
        written(folder, "three\n")
        open_shipper(folder).ship_new()
        assert shipped(folder) == ["one", "two", "three"]

    def test_round_ships_at_most_a_megabyte_for_a_worker(self, folder):
        shipper = open_shipper(folder)
        shipper.follow("g1", 5)
        written(folder, ("x" * 99 + "\n") * 50_000)
        shipper.ship_new()
        assert 900_000 < sum(map(len, shipped(folder))) < 1_100_000
        for _ in range(5):
            shipper.ship_new()
        assert len(shipped(folder)) == 50_000

    def test_sparse_log_costs_a_megabyte_a_round(self, folder):
        shipper = open_shipper(folder)
        shipper.follow("g1", 5)
        written(folder, "one\n")
        os.truncate(folder / "workers" / "g1.log", 40 << 30)
        shipper.ship_new()
        objects = [path.stat().st_size for path in (folder / "objects").rglob("*") if path.is_file()]
        assert sum(objects) < 2_000_000

    def test_link_in_place_of_the_log_is_not_followed(self, folder):
        secret = folder / "secret"
        secret.write_text("the master key\n")
        (folder / "workers" / "g1.log").symlink_to(secret)
        shipper = open_shipper(folder)
        shipper.follow("g1", 5)
        shipper.finish("g1")
        shipper.ship_new()
        assert shipped(folder) == []
        assert secret.exists()

    def test_follow_and_finish_do_not_wait_for_a_store_that_hangs(self, folder):
        store = HangingStore(folder / "objects")
        shipper = open_shipper(folder, store)
        shipper.follow("g1", 5)
        written(folder, "one\n")
        shipper.start()
        assert store.is_called.wait(PATIENCE)
        started = time.monotonic()
        shipper.follow("g2", 6)
        shipper.finish("g1")
        assert time.monotonic() - started < 1.0
        store.answers.set()
        eventually(lambda: not (folder / "workers" / "g1.log").exists())
        shipper.close()

    def test_empty_log_ships_nothing(self, folder):
        shipper = open_shipper(folder)
        shipper.follow("g1", 5)
        shipper.finish("g1")
        shipper.ship_new()
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
