"""The cache of environments for the tests' own programs, with a package that is a folder of the test."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests import cached_environments
from tests.builder.packages import make_wheel
from tests.cached_environments import cached_environment


@pytest.fixture
def wheel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setattr(cached_environments, "CACHE", tmp_path / "cache")
    return str(make_wheel(tmp_path, "kept", code="VALUE = 7"))


def imports(python: Path) -> bool:
    return subprocess.run([python, "-c", "import kept"], capture_output=True, check=False).returncode == 0


def test_environment_is_created_once(wheel: str) -> None:
    python = cached_environment(sys.executable, [wheel])
    assert imports(python)
    inode = (python.parent.parent / "pyvenv.cfg").stat().st_ino
    assert cached_environment(sys.executable, [wheel]) == python
    assert (python.parent.parent / "pyvenv.cfg").stat().st_ino == inode


def test_other_requirements_are_another_environment(wheel: str) -> None:
    assert cached_environment(sys.executable, [wheel]) != cached_environment(sys.executable, [wheel, "--no-deps"])


def test_environment_that_lost_a_package_is_created_anew(wheel: str) -> None:
    python = cached_environment(sys.executable, [wheel])
    subprocess.run([sys.executable, "-m", "uv", "-q", "pip", "uninstall", "--python", python, "kept"], check=True)
    assert imports(cached_environment(sys.executable, [wheel]))


def test_environment_without_its_interpreter_is_created_anew(wheel: str) -> None:
    python = cached_environment(sys.executable, [wheel])
    python.unlink()
    python.symlink_to("/nonexistent/python")
    assert imports(cached_environment(sys.executable, [wheel]))


def test_environment_whose_creation_was_cut_is_created_anew(wheel: str) -> None:
    python = cached_environment(sys.executable, [wheel])
    (python.parent.parent / "complete").unlink()
    assert imports(cached_environment(sys.executable, [wheel]))
