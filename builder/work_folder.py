"""Short-lived folders for what a program reads and writes. Those of a builder that died are removed by the next one."""

import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from modelyard.process.file_lock import try_lock

# Between making a folder and locking it lies a moment in which it looks abandoned.
_YOUNG_SECONDS = 30.0


@contextmanager
def work_folder(root: Path) -> Iterator[Path]:
    root.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=root) as name, _locked(Path(name)):
        yield Path(name)


def remove_abandoned(root: Path) -> None:
    """Remove the folders whose makers no longer live."""
    for folder in root.glob("*"):
        try:
            if time.time() - folder.stat().st_mtime > _YOUNG_SECONDS:
                with _locked(folder):
                    shutil.rmtree(folder, ignore_errors=True)
        except (FileNotFoundError, BlockingIOError):
            continue


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Raises BlockingIOError while another process holds the folder."""
    opened = os.open(folder, os.O_RDONLY)
    try:
        if not try_lock(opened):
            raise BlockingIOError(f"another process holds {folder}")
        yield
    finally:
        os.close(opened)
