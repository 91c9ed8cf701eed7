from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from modelyard.cli.main import run
from tests.client.model_folder import write_model
from tests.client.platform_proxy import PlatformProxy, platform, shared_platform

__all__ = ["platform", "shared_platform"]


@dataclass(frozen=True)
class Done:
    code: int
    out: str
    err: str


Modelyard = Callable[..., Done]


@pytest.fixture
def environment(platform: PlatformProxy, tmp_path: Path) -> dict[str, str]:
    return {"HOME": str(tmp_path), "MODELYARD_URL": platform.url, "MODELYARD_TOKEN": platform.address.token}


@pytest.fixture
def modelyard(environment: dict[str, str], capsys: pytest.CaptureFixture[str]) -> Modelyard:
    """The command line, in this process."""

    def call(*arguments: object) -> Done:
        capsys.readouterr()
        code = run([str(argument) for argument in arguments], environment)
        captured = capsys.readouterr()
        return Done(code, captured.out, captured.err)

    return call


@pytest.fixture
def model_folder(tmp_path: Path) -> Path:
    return write_model(tmp_path / "model")
