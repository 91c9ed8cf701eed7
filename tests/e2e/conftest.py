"""One platform for the end-to-end tests of one process, so that each environment is built once."""

from collections.abc import Generator, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.conftest import temporary_folder
from tests.e2e.models import answering, save_loader, save_sklearn
from tests.e2e.platform import SHARED_PLATFORM, Platform, wait_until
from tests.scheduling import unit_of

_shared_platform = ExitStack()
_started: list[Platform] = []
"""The shared platform, from its start to the end of its last test."""


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(item: pytest.Item, nextitem: pytest.Item | None) -> Generator[None]:
    """Stop the shared platform after its last test, because an idle platform takes 5 % of a core."""
    yield
    if nextitem is None or unit_of(nextitem.nodeid) != unit_of(item.nodeid):
        _shared_platform.close()


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Start the shared platform again after a test that failed while the platform was stopped."""
    for platform in _started:
        if not platform.is_running:
            platform.start(*SHARED_PLATFORM)


@pytest.fixture(scope="session")
def platform() -> Iterator[Platform]:
    platform = Platform(_shared_platform.enter_context(temporary_folder()))
    platform.start(*SHARED_PLATFORM)
    _started.append(platform)
    _shared_platform.callback(_stop, platform)
    yield platform
    _shared_platform.close()


def _stop(platform: Platform) -> None:
    _started.remove(platform)
    platform.stop()
    wait_until(lambda: not platform.processes(), 30, "no process is left")


@pytest.fixture(scope="module")
def module_folder() -> Iterator[Path]:
    """A folder that other users can traverse, for a platform of one module."""
    with temporary_folder() as folder:
        yield folder


@pytest.fixture(scope="session")
def sklearn_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_sklearn(tmp_path_factory.mktemp("models") / "linear")


@pytest.fixture(scope="session")
def light_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model whose worker starts with a third of the CPU time of scikit-learn's, for tests of many workers."""
    # Unsigned: a matrix arrives as an array.
    return save_loader(tmp_path_factory.mktemp("models") / "light", answering("[float(row[0]) for row in model_input]"))


@pytest.fixture(scope="session")
def tour(platform: Platform, sklearn_folder: Path) -> str:
    """The endpoint that `modelyard deploy` created from a model folder."""
    platform.cli("deploy", sklearn_folder, "--endpoint-name", "tour")
    return "tour"
