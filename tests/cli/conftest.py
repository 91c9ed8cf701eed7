from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from modelyard.cli.main import run
from tests.client.arm_server import TOKEN, ArmServer
from tests.client.model_folder import write_model


@dataclass(frozen=True)
class Done:
    code: int
    out: str
    err: str


Modelyard = Callable[..., Done]


@pytest.fixture
def server() -> Iterator[ArmServer]:
    server = ArmServer()
    server.answers["POST", "/listKeys"] = (200, {"primaryKey": "first-key", "secondaryKey": "second-key"})
    yield server
    server.close()


@pytest.fixture
def environment(server: ArmServer, tmp_path: Path) -> dict[str, str]:
    return {"HOME": str(tmp_path), "MODELYARD_URL": server.url, "MODELYARD_TOKEN": TOKEN}


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
