"""Each peer's own environment, made by uv once and kept: the peer's newest release and the models' exact packages."""

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


def environment(folder: Path, name: str, requirements: Sequence[str]) -> Path:
    """Its folder below `folder`. Made anew when what it must hold has changed."""
    wanted = [*requirements, *pins()]
    made = folder / f"{name}-{sha256(repr((sys.version, wanted)).encode()).hexdigest()[:12]}"
    if not (made / _COMPLETE).exists():
        shutil.rmtree(made, ignore_errors=True)
        _uv("venv", "--python", sys.executable, made)
        _uv("pip", "install", "--python", made / "bin" / "python", *wanted)
        (made / _COMPLETE).touch()
    return made


def installed(environment: Path) -> dict[str, str]:
    """The version of everything in it."""
    listed = subprocess.run(
        [find_uv_bin(), "pip", "freeze", "--python", environment / "bin" / "python"],
        capture_output=True,
        text=True,
        check=True,
    )
    return dict(line.split("==") for line in listed.stdout.splitlines() if "==" in line)


def clean_environ() -> dict[str, str]:
    """The user's variables without those of this environment or of servers."""
    odd = ("VIRTUAL_ENV", "PYTHON", "MLFLOW_", "MLSERVER_", "AZUREML_", "MODELYARD_", "GUNICORN_", "WORKER_")
    return {name: value for name, value in os.environ.items() if not name.startswith(odd)}


def _uv(*arguments: str | Path) -> None:
    subprocess.run([find_uv_bin(), *arguments, "--quiet"], check=True)
