"""One platform for the end-to-end tests of one process, so that each environment is built once."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import temporary_folder
from tests.e2e.models import save_sklearn
from tests.e2e.platform import Platform, wait_until


@pytest.fixture(scope="module")
def module_folder() -> Iterator[Path]:
    """A folder that other users can traverse, for a platform of one module."""
    with temporary_folder() as folder:
        yield folder


@pytest.fixture(scope="session")
def platform() -> Iterator[Platform]:
    with temporary_folder() as folder:
        platform = Platform(folder)
        platform.start()
        yield platform
        platform.stop()
        wait_until(lambda: not platform.processes(), 10, "nothing is left running")


@pytest.fixture(scope="session")
def sklearn_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_sklearn(tmp_path_factory.mktemp("models") / "linear")


@pytest.fixture(scope="session")
def tour(platform: Platform, sklearn_folder: Path) -> str:
    """The endpoint that `modelyard deploy` created from a model folder."""
    platform.cli("deploy", sklearn_folder, "--endpoint-name", "tour")
    return "tour"
