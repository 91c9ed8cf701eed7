"""A start on a disk without space: one line that says where to make room."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.supervisor.starts import ended

pytestmark = pytest.mark.skipif(os.getuid() != 0, reason="only root may mount a file system of a few megabytes")


@contextmanager
def small_disk(folder: Path, size: str) -> Iterator[Path]:
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size},mode=711", "tmpfs", folder], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", folder], check=True)


def _fill(file: Path) -> None:
    with file.open("wb", buffering=0) as ballast:
        while True:
            try:
                ballast.write(bytes(4096))
            except OSError:
                return


def test_start_on_a_full_disk_names_the_folder(passable_folder, servers):
    with small_disk(passable_folder / "small", "64k") as disk:
        _fill(disk / "ballast")
        start = ended(disk / "data", "--role", "builder", "--builders", "0", **servers)
    assert start.process.returncode == 1
    assert start.printed == f"error: no space left on device: free space in {disk / 'data'}\n"


def test_start_on_a_disk_too_small_for_postgres_names_the_folder(passable_folder):
    with small_disk(passable_folder / "small", "16m") as disk:
        start = ended(disk / "data", "--role", "control-plane")
    assert start.process.returncode == 1
    assert start.last_line == f"error: no space left on device: free space in {disk / 'data'}"
    assert "Traceback" not in start.printed
