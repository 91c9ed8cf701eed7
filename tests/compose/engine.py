"""The Docker command lines of this machine, run without a shell."""

import os
import shlex
import subprocess
from collections.abc import Mapping
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
_PATIENCE_SECONDS = 1200


def run(*command: str | Path, check: bool = True, **environment: str) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        list(map(str, command)),
        cwd=ROOT,
        env={**os.environ, **_builder(), **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=_PATIENCE_SECONDS,
    )
    if check:
        assert done.returncode == 0, f"{' '.join(map(str, command))}: {done.stdout}{done.stderr}"
    return done


@cache
def composes() -> tuple[tuple[str, ...], ...]:
    """Every docker-compose command of this machine, of versions 1 and 2."""
    known = (tuple(shlex.split(os.environ.get("COMPOSE", ""))), ("docker-compose",), ("docker", "compose"))
    return tuple(command for command in dict.fromkeys(known) if command and _is_there(command))


def _is_there(command: tuple[str, ...]) -> bool:
    try:
        return subprocess.run([*command, "version"], capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        return False


@cache
def _builder() -> Mapping[str, str]:
    """Turn BuildKit off where Docker has no buildx, as on Debian."""
    return {} if _is_there(("docker", "buildx")) else {"DOCKER_BUILDKIT": "0"}
