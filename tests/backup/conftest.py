from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from itertools import count
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text

from modelyard.supervisor.postgres import EmbeddedPostgres
from tests.backup.platform_state import PlatformState
from tests.conftest import own_database, temporary_folder

_numbers = count(1)
Pair = tuple[PlatformState, PlatformState]


@pytest.fixture(scope="module")
def restored_pair(postgres: EmbeddedPostgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    """A platform, and the restore of its backup."""
    archive = tmp_path_factory.mktemp("backup") / "b.tar.gz"
    with own_database(postgres) as url, temporary_folder() as folder, _places(postgres) as make:
        original = PlatformState(folder, url)
        original.fill()
        with original.engine.begin() as connection:
            connection.execute(text("INSERT INTO admin_tokens (digest) VALUES ('newest')"))
            connection.execute(text("DELETE FROM admin_tokens WHERE digest = 'newest'"))
        restored = make()
        assert original.command("backup", archive, "--with-logs") == 0
        assert restored.command("restore", archive) == 0
        yield original, restored
        original.engine.dispose()


@pytest.fixture
def original(database_url: str, passable_folder: Path) -> Iterator[PlatformState]:
    """A platform with rows, objects and secrets."""
    state = PlatformState(passable_folder, database_url)
    state.fill()
    yield state
    state.engine.dispose()


@pytest.fixture
def another(postgres: EmbeddedPostgres) -> Iterator[Callable[[], PlatformState]]:
    """Make the place of a restore: no folder yet, and a database that does not exist yet."""
    with _places(postgres) as make:
        yield make


@contextmanager
def _places(postgres: EmbeddedPostgres) -> Iterator[Callable[[], PlatformState]]:
    with ExitStack() as at_the_end:

        def make() -> PlatformState:
            name = f"restored_{next(_numbers)}"
            state = PlatformState(at_the_end.enter_context(temporary_folder()), postgres.url(name))
            at_the_end.callback(_drop, postgres, name)
            at_the_end.callback(state.engine.dispose)
            return state

        yield make


def _drop(postgres: EmbeddedPostgres, name: str) -> None:
    server = create_engine(postgres.url("postgres"), isolation_level="AUTOCOMMIT")
    with server.connect() as connection:
        connection.execute(text(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)"))
    server.dispose()


@pytest.fixture
def restored(another: Callable[[], PlatformState]) -> PlatformState:
    return another()
