"""`make demo`, run to the end and stopped in the middle."""

import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import psutil
import pytest

DEMO = [sys.executable, "-m", "modelyard.demo"]


def users_environment(home: Path) -> dict[str, str]:
    return {**os.environ, "XDG_CONFIG_HOME": str(home)}


def processes_with(mark: str) -> list[psutil.Process]:
    return [process for process in psutil.process_iter() if any(mark in word for word in _words(process))]


def _words(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        return []


def demo_folders() -> set[Path]:
    return set(Path(tempfile.gettempdir()).glob("modelyard-demo-*"))


def test_demo_deploys_and_scores_a_model_and_a_folder_of_files(tmp_path):
    done = subprocess.run(DEMO, capture_output=True, text=True, env=users_environment(tmp_path), check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    for step in ("resolving", "installing", "starting workers", "    equal to the last bit", "rejected:", "bmi"):
        assert step in done.stdout
    for step in ("create a batch endpoint", "4 files, 111 rows", "patients-1.csv", "all 111 equal to the last bit"):
        assert step in done.stdout
    assert "The demo succeeded" in done.stdout
    assert not list(tmp_path.iterdir()), "the demo changed the user's configuration"


@pytest.mark.long
def test_demo_stopped_by_a_signal_leaves_no_process_and_no_folder(tmp_path):
    before = demo_folders()
    with subprocess.Popen(DEMO, stdout=subprocess.PIPE, text=True, env=users_environment(tmp_path)) as demo:
        assert demo.stdout is not None
        for line in demo.stdout:
            if "create an endpoint" in line:
                break
        (folder,) = demo_folders() - before
        assert processes_with(str(folder))
        demo.send_signal(signal.SIGTERM)
        assert "interrupted" in demo.stdout.read()
        assert demo.wait(30) == 130
    assert not folder.exists()
    assert not processes_with(str(folder))
