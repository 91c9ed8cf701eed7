"""Run files written by other versions of the platform."""

import json
from pathlib import Path
from typing import Any

import pytest

from data_plane.replicas.local.processes import Process
from data_plane.replicas.local.worker_process import WorkerProcess, find_all, read_run_file, write_run_file
from modelyard.core.domain.documents import UnreadableFormat


@pytest.fixture
def worker(tmp_path: Path) -> WorkerProcess:
    worker = WorkerProcess(
        worker_id="abc123",
        endpoint="wines",
        deployment="blue",
        generation=3,
        process=Process(pid=1 << 22, started="long ago"),
        shim=Process(pid=1 << 22, started="long ago"),
        socket=tmp_path / "abc123.sock",
        log=tmp_path / "abc123.log",
        folder=tmp_path / "abc123",
        run_file=tmp_path / "abc123.json",
        started_at=1_000_000.0,
        labels={"environment": "e-1"},
    )
    write_run_file(worker)
    return worker


def change(worker: WorkerProcess, **fields: Any) -> None:
    document = json.loads(worker.run_file.read_text())
    worker.run_file.write_text(json.dumps({**document, **fields}))


def test_run_file_is_read_as_written(worker: WorkerProcess) -> None:
    assert read_run_file(worker.run_file) == worker


def test_run_file_of_a_newer_minor_version_is_read_without_its_new_fields(worker: WorkerProcess) -> None:
    process = {"pid": worker.pid, "started": "long ago", "cgroup": "/new"}
    change(worker, version="1.7", accelerator="gpu", process=process)
    assert find_all(worker.run_file.parent) == [worker]


def test_run_file_that_is_removed_while_the_folder_is_read_is_left_out(worker: WorkerProcess) -> None:
    # A listed name without a file, as after the removal.
    worker.run_file.with_name("removed.json").symlink_to("nowhere")
    assert find_all(worker.run_file.parent) == [worker]


def test_run_file_without_a_version_is_read(worker: WorkerProcess) -> None:
    document = json.loads(worker.run_file.read_text())
    del document["version"]
    worker.run_file.write_text(json.dumps(document))
    assert read_run_file(worker.run_file) == worker


def test_run_file_of_a_newer_major_version_is_left_alone(
    worker: WorkerProcess, caplog: pytest.LogCaptureFixture
) -> None:
    change(worker, version=2)
    with pytest.raises(UnreadableFormat, match="format version 2"):
        read_run_file(worker.run_file)
    assert find_all(worker.run_file.parent) == []
    assert "abc123.json is left alone" in caplog.text
