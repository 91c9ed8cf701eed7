"""A large model folder is registered and deployed while each process keeps its memory small."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import psutil
import pytest

from tests.e2e.memory_watch import Growth
from tests.e2e.models import save_loader
from tests.e2e.platform import Platform, wait_until
from tests.object_stores.servers import StoreServer, azure_server, s3_server

FILES = 4
# moto's server reads the whole object for each part that a client requests.
FILES_ON_S3 = 16
_MB = 1 << 20
# Reads only the last bytes of each file.
LOADER = """
import pathlib

class Model:
    def __init__(self, ends):
        self._ends = ends

    def predict(self, model_input, params=None):
        return self._ends

def _end_of(path):
    with path.open("rb") as file:
        file.seek(-8, 2)
        return file.read().hex()

def _load_pyfunc(path):
    return Model([_end_of(part) for part in sorted(pathlib.Path(path).parent.glob("*.part"))])
"""


def save_large(folder: Path, megabytes: int, files: int = FILES) -> tuple[Path, list[str]]:
    """The model folder, and the answer of the model."""
    save_loader(folder, LOADER)
    random, ends = np.random.default_rng(megabytes), []
    for number in range(files):
        with (folder / f"{number:02}.part").open("wb") as file:
            for _ in range(megabytes // files // 16):
                content = random.bytes(16 * _MB)
                file.write(content)
        ends.append(content[-8:].hex())
    return folder, ends


@contextmanager
def folder_store() -> Iterator[StoreServer]:
    with tempfile.TemporaryDirectory(prefix="my-store-") as folder:
        yield StoreServer(Path(folder).as_uri(), {}, "")


@pytest.fixture(params=[folder_store, s3_server, azure_server], ids=["folder", "s3", "azure"])
def own_platform(request: pytest.FixtureRequest, passable_folder: Path) -> Iterator[Platform]:
    with request.param() as store:
        platform = Platform(passable_folder, MODELYARD_STORAGE_URL=store.url, **store.environment)
        platform.start()
        yield platform
        platform.stop()
        wait_until(lambda: not platform.processes(), 30, "no process is left")


def growth_while_deployed(platform: Platform, model: Path, answer: list[str]) -> dict[str, float]:
    """Growth in megabytes of each process of the platform and of the command line."""
    growth = Growth(lambda: [*platform.processes(), *psutil.Process(os.getpid()).children()])
    with growth.watched():
        platform.cli("deploy", model, "--endpoint-name", "large")
    assert platform.score("large", {"input_data": [1]}).json() == answer
    return growth.megabytes


@pytest.mark.long
def test_model_of_2_gb_costs_each_process_less_than_300_mb(own_platform, tmp_path):
    is_s3 = own_platform.environment["MODELYARD_STORAGE_URL"].startswith("s3:")
    model, answer = save_large(tmp_path / "model", 2048, FILES_ON_S3 if is_s3 else FILES)
    grown = growth_while_deployed(own_platform, model, answer)
    assert [name for name in grown if "control_plane.main" in name or "builder.main" in name or " deploy " in name]
    assert {name: size for name, size in grown.items() if size > 300} == {}


@pytest.mark.long
def test_no_process_holds_a_file_of_the_model(platform, tmp_path):
    """A process that held a file would grow by 64 MB. The installer and the worker hold Python packages."""
    model, answer = save_large(tmp_path / "model", 256)
    grown = growth_while_deployed(platform, model, answer)
    movers = {name: size for name, size in grown.items() if not any(word in name for word in ("/uv ", "environments/"))}
    assert {name: size for name, size in movers.items() if size > 80} == {}
