"""Short-lived folders for the input and output of programs; folders of dead builders are removed."""

import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from modelyard.process.file_lock import try_lock

# A folder is unlocked for a moment after its creation, and looks abandoned then.
_YOUNG_SECONDS = 30.0


@contextmanager
def work_folder(root: Path) -> Iterator[Path]:
    root.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=root) as name, _locked(Path(name)):
        yield Path(name)


def remove_abandoned(root: Path) -> None:
    """Remove the folders of dead builders."""
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
