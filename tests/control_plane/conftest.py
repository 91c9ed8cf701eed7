from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine

from tests.control_plane.control import Control


@pytest.fixture
def control(engine: Engine, tmp_path: Path) -> Iterator[Control]:
    control = Control(engine, tmp_path)
    yield control
    control.close()


@pytest.fixture
def make_control(engine: Engine, tmp_path: Path) -> Iterator[Callable[..., Control]]:
    """A control plane with other settings."""
    made: list[Control] = []

    def make(**settings: Any) -> Control:
        made.append(Control(engine, tmp_path, **settings))
        return made[-1]

    yield make
    for control in made:
        control.close()
