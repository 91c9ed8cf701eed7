"""An environment per compared server, created by uv and cached: the server's release and the models' packages."""

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path

from uv import find_uv_bin

from benchmarks.models import pins

_COMPLETE = "complete"
_LONGEST_REASON = 1000
_EXCLUDED = ("VIRTUAL_ENV", "PYTHON", "MLFLOW_", "MLSERVER_", "AZUREML_", "MODELYARD_", "GUNICORN_", "WORKER_")
_EXCLUDED_PEERS = ("MOSEC_", "ROBYN_", "BENTOML_", "RAY_", "PYTRITON_")


class NotInstallable(Exception):
    """uv cannot create the environment. The message has uv's reason."""


def environment(folder: Path, name: str, requirements: Sequence[str], packages: Sequence[str] | None = None) -> Path:
    """Return the environment's folder below `folder`. Changed requirements give a new environment.

    `packages` are requirements for the models' packages, by default all with this environment's versions. Raises
    NotInstallable.
    """
    wanted = [*requirements, *(pins() if packages is None else packages)]
    made = folder / f"{name}-{sha256(repr((sys.version, wanted)).encode()).hexdigest()[:12]}"
    if not (made / _COMPLETE).exists():
        shutil.rmtree(made, ignore_errors=True)
        _uv("venv", "--python", sys.executable, made)
        _uv("pip", "install", "--python", made / "bin" / "python", *wanted)
        (made / _COMPLETE).touch()
    return made


def installed(environment: Path) -> dict[str, str]:
    """Return the version of each installed package."""
    listed = subprocess.run(
        [find_uv_bin(), "pip", "freeze", "--python", environment / "bin" / "python"],
        capture_output=True,
        text=True,
        check=True,
    )
    return dict(line.split("==") for line in listed.stdout.splitlines() if "==" in line)


def clean_environ() -> dict[str, str]:
    """Return the user's environment variables without variables of Python environments and servers."""
    return {name: value for name, value in os.environ.items() if not name.startswith(_EXCLUDED + _EXCLUDED_PEERS)}


def _uv(*arguments: str | Path) -> None:
    done = subprocess.run([find_uv_bin(), *arguments, "--quiet"], stderr=subprocess.PIPE, text=True)
    if done.returncode:
        raise NotInstallable(done.stderr.strip()[-_LONGEST_REASON:])
