"""Measure upload and download of a large model folder, compared with `cp -r` and with obstore alone.

In: registration through a running platform's REST interface. Out: download by the function that builder, host and
batch worker call. Each round has new content, so that no upload is skipped, and ends with `sync`.
"""

import os
import shutil
import statistics
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from obstore.store import AzureStore, S3Store

from benchmarks.stores.own_clients import own_client
from modelyard.client import Client
from modelyard.client.documents.assets import LocalModel
from modelyard.client.folder import read_folder
from modelyard.core.adapters.object_stores import open_store
from modelyard.core.domain.model_manifest import ModelManifest
from modelyard.core.model_files import materialise
from modelyard.demo.temporary_platform import temporary_folder, temporary_platform
from tests.object_stores.servers import StoreServer, azure_server, s3_server

FOLDER, S3, AZURE = "folder", "S3 (moto's server)", "Azure Blob (Azurite)"
OURS, COPY, OWN_CLIENT = "modelyard", "cp -r", "obstore alone"
IN, OUT = "in", "out"
_FILES = 16
_MB = 1 << 20
_PIECE = 16 * _MB
_MLMODEL = "flavors: {python_function: {loader_module: nothing}}\n"

Moves = Callable[[], float]
"""Move the folder and return the seconds."""


@dataclass(slots=True)
class Moved:
    store: str
    program: str
    direction: str
    megabytes: int
    seconds: list[float] = field(default_factory=list)

    @property
    def per_second(self) -> float:
        """Megabytes per second, by the median."""
        return self.megabytes / statistics.median(self.seconds)


@contextmanager
def _folder_store() -> Iterator[StoreServer]:
    with temporary_folder() as folder:
        yield StoreServer((folder / "objects").as_uri(), {}, "")


STORES = {FOLDER: _folder_store, S3: s3_server, AZURE: azure_server}


def measure(megabytes: int, rounds: int, say: Callable[[str], None]) -> list[Moved]:
    """Measure each store; the programs alternate within each round."""
    found: list[Moved] = []
    for name, store in STORES.items():
        with store() as server, temporary_folder() as folder:
            moved = _measure_one(name, server, folder, megabytes, rounds)
        found += moved
        say(f"{name}: " + "; ".join(f"{one.program} {one.direction} {one.per_second:.0f} MB/s" for one in moved))
    return found


def _measure_one(name: str, server: StoreServer, folder: Path, megabytes: int, rounds: int) -> list[Moved]:
    model = _model(folder / "model", megabytes)
    environment = {**os.environ, **server.environment}
    with (
        temporary_platform(folder, environment, {"MODELYARD_STORAGE_URL": server.url}) as platform,
        Client(platform) as client,
    ):
        results: dict[tuple[str, str], Moved] = {}
        for number in range(rounds):
            manifest = _changed(model, number)
            for (program, direction), move in _moves(name, server, client, model, manifest, folder).items():
                moved = results.setdefault((program, direction), Moved(name, program, direction, megabytes))
                moved.seconds.append(move())
    return list(results.values())


def _moves(
    name: str, server: StoreServer, client: Client, model: Path, manifest: ModelManifest, folder: Path
) -> Mapping[tuple[str, str], Moves]:
    target = folder / "moved"
    ours = {
        (OURS, IN): lambda: _timed(lambda: client.models.register(LocalModel(model, name=f"m-{manifest.digest[:8]}"))),
        (OURS, OUT): lambda: _to_disk(target, lambda: _materialised(server, manifest, target)),
    }
    copies = {(COPY, "to another folder"): lambda: _to_disk(target, lambda: _copied(model, target))}
    if name == FOLDER:
        return {**ours, **copies}
    store = own_client(server)
    theirs = {
        (OWN_CLIENT, IN): lambda: _timed(lambda: _put(store, model)),
        (OWN_CLIENT, OUT): lambda: _to_disk(target, lambda: _got(store, model, target)),
    }
    return {**ours, **theirs, **copies}


def _model(folder: Path, megabytes: int) -> Path:
    folder.mkdir()
    (folder / "MLmodel").write_text(_MLMODEL)
    random = np.random.default_rng(megabytes)
    for number in range(_FILES):
        with (folder / f"{number:02}.part").open("wb") as file:
            for _ in range(megabytes * _MB // _FILES // _PIECE):
                file.write(random.bytes(_PIECE))
    return folder


def _changed(model: Path, number: int) -> ModelManifest:
    """Change each file, sync, and return the new manifest."""
    for part in model.glob("*.part"):
        with part.open("r+b") as file:
            file.write(number.to_bytes(8, "big"))
    os.sync()
    return read_folder(model).manifest


def _timed(move: Callable[[], object]) -> float:
    began = time.perf_counter()
    move()
    return time.perf_counter() - began


def _to_disk(target: Path, move: Callable[[], object]) -> float:
    target.mkdir()

    def moved() -> None:
        move()
        os.sync()

    seconds = _timed(moved)
    shutil.rmtree(target)
    return seconds


def _materialised(server: StoreServer, manifest: ModelManifest, target: Path) -> None:
    materialise(open_store(server.url, server.environment), manifest, target)


def _copied(model: Path, target: Path) -> None:
    subprocess.run(["cp", "-r", model, target], check=True)


def _put(store: S3Store | AzureStore, model: Path) -> None:
    for file in sorted(model.iterdir()):
        store.put(f"own/{file.name}", file)


def _got(store: S3Store | AzureStore, model: Path, target: Path) -> None:
    for file in sorted(model.iterdir()):
        with (target / file.name).open("wb") as out:
            for chunk in store.get(f"own/{file.name}").stream(_MB):
                out.write(chunk)
