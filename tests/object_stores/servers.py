"""Servers of S3 and Azure Blob on their real protocols, each a process for the length of a block."""

import socket
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path

from tests.conftest import kept
from tests.object_stores import azurite

_PATIENCE_SECONDS = 60
_containers = count(1)


@dataclass(frozen=True)
class StoreServer:
    url: str
    """URL of an empty store, for `open_store` and MODELYARD_STORAGE_URL."""
    environment: dict[str, str]
    """Variables with credentials and endpoint, for `open_store` and `modelyard up`."""
    endpoint: str
    """http://127.0.0.1:port, for Azure with the account's name as the path."""

    def another(self) -> "StoreServer":
        """Create another empty store on the same server."""
        return _s3_store(self.endpoint) if self.url.startswith("s3") else _azure_store(self.endpoint)

    def through(self, endpoint: str) -> dict[str, str]:
        """Return the variables for a client that reaches the server through another address."""
        return {name: value.replace(self.endpoint, endpoint) for name, value in self.environment.items()}


@contextmanager
def s3_server() -> Iterator[StoreServer]:
    """moto's server, which keeps objects in memory and in temporary files."""
    with _folder() as folder:
        port = _free_port()
        program = [sys.executable, str(Path(__file__).with_name("moto_server.py")), str(port)]
        with _serving(program, port, folder):
            yield _s3_store(f"http://127.0.0.1:{port}")


@contextmanager
def azure_server() -> Iterator[StoreServer]:
    with _folder() as folder:
        port = _free_port()
        with _serving(azurite.command(port, folder), port, folder):
            yield _azure_store(f"http://127.0.0.1:{port}/{azurite.ACCOUNT}")


def _s3_store(endpoint: str) -> StoreServer:
    bucket = f"bucket-{next(_containers)}"
    urllib.request.urlopen(urllib.request.Request(f"{endpoint}/{bucket}", method="PUT"), timeout=20).close()
    environment = {
        "AWS_ACCESS_KEY_ID": "AKIATESTSOFMODELYARD",
        "AWS_SECRET_ACCESS_KEY": "the-secret-of-the-tests",
        "AWS_REGION": "us-east-1",
        "AWS_ENDPOINT_URL": endpoint,
    }
    return StoreServer(f"s3://{bucket}/yard", environment, endpoint)


def _azure_store(endpoint: str) -> StoreServer:
    container = f"container-{next(_containers)}"
    azurite.make_container(endpoint, container)
    connection = (
        f"DefaultEndpointsProtocol=http;AccountName={azurite.ACCOUNT};AccountKey={azurite.KEY};BlobEndpoint={endpoint};"
    )
    url = f"az://{azurite.ACCOUNT}/{container}/yard"
    return StoreServer(url, {"AZURE_STORAGE_CONNECTION_STRING": connection}, endpoint)


@contextmanager
def _serving(command: list[str], port: int, folder: Path) -> Iterator[None]:
    log = folder / "server.log"
    with kept(command, log, "--cwd", str(folder), "--grace", "1"):
        _wait_until_it_answers(port, log)
        yield


def _wait_until_it_answers(port: int, log: Path) -> None:
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            if time.monotonic() > deadline:
                raise RuntimeError(f"the server does not listen: {log.read_text()}") from None
            time.sleep(0.05)


@contextmanager
def _folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="my-store-") as name:
        yield Path(name)


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
    return port
