"""A platform in a temporary folder, isolated from the user's platform and removed at the end."""

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
_START_SECONDS = 180.0
_STOP_SECONDS = 12
_LAST_LINES = 15


class PlatformFailed(Exception):
    """The platform did not start. The message holds the last lines of the log."""


@contextmanager
def temporary_folder() -> Iterator[Path]:
    """Yield a folder that the accounts of Postgres and of model workers can traverse."""
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
    """Run a platform with its data in `folder` during the block. The platform ends when this process dies.

    `settings` are the MODELYARD_ variables of the platform; MODELYARD_ variables in `environment` are ignored.
    """
    data_dir, log = folder / "data", folder / "up.log"
    reader, lifeline = os.pipe()
    options = ("--log", str(log), "--stop-signal", "INT", "--grace", str(_STOP_SECONDS))
    up = [sys.executable, "-m", "modelyard.cli.main", "up", "--data-dir", str(data_dir), "--port", "0"]
    process = subprocess.Popen(
        [*shim_command(reader, *options), "--", *up, "--scoring-port", "0"],
        env={**demo_environment(folder, environment), **(settings or {})},
        pass_fds=[reader],
        # Ctrl-C goes to the demo only, which stops the platform.
        start_new_session=True,
    )
    os.close(reader)
    try:
        yield _wait_until_up(process, data_dir, log)
    finally:
        # A second Ctrl-C must not interrupt the cleanup.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        os.close(lifeline)
        process.wait(_STOP_SECONDS + 5)


def demo_environment(folder: Path, environment: Mapping[str, str]) -> dict[str, str]:
    """Return the user's environment without MODELYARD_ variables and with a separate configuration folder.

    The user's configuration of pip and uv stays, because it may name the package registry.
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
    raise PlatformFailed("\n".join(log.read_text().splitlines()[-_LAST_LINES:]) or "the log is empty")
