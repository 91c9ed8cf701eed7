"""A platform in a temporary folder: it finds nothing of the user's own platform, and leaves nothing behind."""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from modelyard.client import Platform
from modelyard.process.shim_command import shim_command

_PASSABLE = 0o711
_START_SECONDS = 60.0
_STOP_SECONDS = 12
_LAST_LINES = 15


class PlatformFailed(Exception):
    """It did not start; the message holds what it printed last."""


@contextmanager
def temporary_folder() -> Iterator[Path]:
    """A folder that the users whom models and Postgres run as can pass."""
    folder = Path(tempfile.mkdtemp(prefix="modelyard-demo-"))
    folder.chmod(_PASSABLE)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def temporary_platform(
    folder: Path, environment: Mapping[str, str], settings: Mapping[str, str] | None = None
) -> Iterator[Platform]:
    """A platform with its data in `folder`, for the length of the block. When this process dies, so does it.

    `settings` are its MODELYARD_ variables; those in `environment` are not heeded.
    """
    data_dir, log = folder / "data", folder / "up.log"
    reader, lifeline = os.pipe()
    options = ("--log", str(log), "--stop-signal", "INT", "--grace", str(_STOP_SECONDS))
    up = [sys.executable, "-m", "modelyard.cli.main", "up", "--data-dir", str(data_dir), "--port", "0"]
    process = subprocess.Popen(
        [*shim_command(reader, *options), "--", *up, "--scoring-port", "0"],
        env={**own_environment(folder, environment), **(settings or {})},
        pass_fds=[reader],
        # Ctrl-C is for the demo, which stops the platform itself.
        start_new_session=True,
    )
    os.close(reader)
    try:
        yield _wait_until_up(process, data_dir, log)
    finally:
        # From here on it is only tidied up, which a second Ctrl-C must not stop.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        os.close(lifeline)
        process.wait(_STOP_SECONDS + 5)


def own_environment(folder: Path, environment: Mapping[str, str]) -> dict[str, str]:
    """The user's, without their settings of Modelyard, and with a configuration folder of the demo's own.

    How pip and uv reach the package registry may be told in the user's, so that much of it is kept.
    """
    config = folder / "config"
    config.mkdir()
    users = Path(environment.get("XDG_CONFIG_HOME") or Path.home() / ".config")
    for tool in ("pip", "uv"):
        if (users / tool).exists():
            (config / tool).symlink_to(users / tool)
    kept = {name: value for name, value in environment.items() if not name.startswith("MODELYARD_")}
    return {**kept, "XDG_CONFIG_HOME": str(config)}


def _wait_until_up(process: subprocess.Popen[bytes], data_dir: Path, log: Path) -> Platform:
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline:
        try:
            facts = json.loads((data_dir / "run" / "supervisor.json").read_text())
            return Platform(facts["url"], (data_dir / "secrets" / "admin.token").read_text().strip())
        except (OSError, ValueError):
            if process.poll() is not None:
                break
        time.sleep(0.05)
    raise PlatformFailed("\n".join(log.read_text().splitlines()[-_LAST_LINES:]) or "it printed nothing")
