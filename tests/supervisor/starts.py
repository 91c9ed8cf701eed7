"""`modelyard up` and `modelyard migrate` as processes, from the start to the last line."""

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

MODELYARD = Path(sys.executable).with_name("modelyard")
_PATIENCE_SECONDS = 60.0


def wait_until(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < deadline, f"condition did not come true: {what}"
        time.sleep(0.02)


def environment(folder: Path, **more: str) -> dict[str, str]:
    own = {name: value for name, value in os.environ.items() if not name.startswith(("MODELYARD_", "AWS_", "AZURE_"))}
    return {**own, "XDG_CONFIG_HOME": str(folder / "config"), **more}


class Start:
    """One run of `modelyard up` in a data dir."""

    def __init__(self, data_dir: Path, *options: str, prefix: tuple[str, ...] = (), **variables: str) -> None:
        self.data_dir = data_dir
        ports = ("--port", "0", "--scoring-port", "0")
        # Not beside the data dir, whose disk may be full.
        with tempfile.NamedTemporaryFile(prefix="my-start-", delete=False) as log:
            self._log = Path(log.name)
            self.process = subprocess.Popen(
                [*prefix, MODELYARD, "up", "--data-dir", data_dir, *ports, *options],
                env=environment(data_dir.parent, **variables),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    @property
    def printed(self) -> str:
        return self._log.read_text()

    @property
    def last_line(self) -> str:
        return self.printed.splitlines()[-1]

    @property
    def healthy(self) -> Path:
        return self.data_dir / "run" / "healthy"

    def says(self, text: str) -> None:
        def said() -> bool:
            assert self.process.poll() is None or text in self.printed, f"the start ended: {self.printed}"
            return text in self.printed

        wait_until(said, f"the start prints {text!r}")

    def ends(self) -> int:
        return self.process.wait(_PATIENCE_SECONDS)

    def is_healthy(self) -> bool:
        assert self.process.poll() is None, f"the start ended: {self.printed}"
        return self.healthy.exists()

    def becomes_healthy(self) -> None:
        wait_until(self.is_healthy, f"{self.data_dir} is healthy")

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.ends()


@contextmanager
def started(data_dir: Path, *options: str, **more: str) -> Iterator[Start]:
    start = Start(data_dir, *options, **more)
    try:
        yield start
    finally:
        if start.process.poll() is None:
            start.stop()


def ended(data_dir: Path, *options: str, **variables: str) -> Start:
    """Run a start to its end."""
    start = Start(data_dir, *options, **variables)
    try:
        start.ends()
    finally:
        if start.process.poll() is None:
            start.process.kill()
            start.process.wait()
    return start


def migrated(folder: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [MODELYARD, "migrate"],
        env=environment(folder, **variables),
        capture_output=True,
        text=True,
        check=False,
        timeout=_PATIENCE_SECONDS,
    )
