from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine

from tests.control_plane.app_server import AppServer, AppServers
from tests.control_plane.control import Control


@pytest.fixture(scope="session")
def app_servers() -> Iterator[AppServers]:
    servers = AppServers()
    yield servers
    servers.close()


@pytest.fixture
def make_control(engine: Engine, tmp_path: Path, app_servers: AppServers) -> Iterator[Callable[..., Control]]:
    """Creates a control plane with the given settings."""
    with ExitStack() as closing:

        def make(**settings: Any) -> Control:
            control = Control(closing.enter_context(app_servers.lend()), engine, tmp_path, **settings)
            closing.callback(control.close)
            return control

        yield make


@pytest.fixture
def make_server(engine: Engine, tmp_path: Path) -> Iterator[Callable[..., Control]]:
    """Creates a control plane on a server of its own, with the given settings of HTTP."""
    with ExitStack() as closing:

        def make(**settings: Any) -> Control:
            server = AppServer(**settings)
            closing.callback(server.close)
            control = Control(server, engine, tmp_path)
            closing.callback(control.close)
            return control

        yield make


@pytest.fixture
def control(make_control: Callable[..., Control]) -> Control:
    """A control plane with the default settings."""
    return make_control()
