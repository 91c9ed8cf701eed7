"""One platform for all end-to-end tests, so that each environment is built once."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.models import save_sklearn
from tests.e2e.platform import Platform, wait_until


@pytest.fixture(scope="session")
def platform() -> Iterator[Platform]:
    folder = Path(tempfile.mkdtemp(prefix="my-e2e-"))
    folder.chmod(0o711)
    platform = Platform(folder)
    platform.start()
    yield platform
    platform.stop()
    wait_until(lambda: not platform.processes(), 10, "nothing is left running")
    shutil.rmtree(folder)


@pytest.fixture(scope="session")
def sklearn_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_sklearn(tmp_path_factory.mktemp("models") / "linear")


@pytest.fixture(scope="session")
def tour(platform: Platform, sklearn_folder: Path) -> str:
    """The endpoint that `modelyard deploy` made of a model folder."""
    platform.cli("deploy", sklearn_folder, "--endpoint-name", "tour")
    return "tour"
