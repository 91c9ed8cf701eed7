"""The servers to compare, with environments and package versions."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.servers import azureml_server, mlflow_serve, mlserver
from benchmarks.servers.azureml_server import AzuremlServer
from benchmarks.servers.environments import environment, installed
from benchmarks.servers.mlflow_serve import MlflowServe
from benchmarks.servers.mlserver import MLServer
from benchmarks.servers.modelyard_gateway import modelyard_gateway, modelyard_gateway_at
from benchmarks.servers.server import Server

SERVERS = ("modelyard", "mlflow", "azureml", "mlserver", "mlserver-batching")

_TOLD = ("mlflow", "azureml-inference-server-http", "mlserver", "mlserver-mlflow", "scikit-learn", "pandas", "numpy")


@dataclass(frozen=True, slots=True)
class LineUp:
    servers: list[Server]
    versions: Mapping[str, Mapping[str, str]]
    """Versions of the relevant packages, by the environment's name."""


@dataclass(frozen=True, slots=True)
class _Peer:
    environment: str
    requirements: Sequence[str]
    make: Callable[[Path], Server]


_PEERS: Mapping[str, _Peer] = {
    "mlflow": _Peer("mlflow", mlflow_serve.REQUIREMENTS, MlflowServe),
    "azureml": _Peer("azureml", azureml_server.REQUIREMENTS, AzuremlServer),
    "mlserver": _Peer("mlserver", mlserver.REQUIREMENTS, MLServer),
    "mlserver-batching": _Peer("mlserver", mlserver.REQUIREMENTS, lambda place: MLServer(place, batches=True)),
}


@contextmanager
def line_up(
    names: Sequence[str], kept: Path, folder: Path, environ: Mapping[str, str], *, before: str | None = None
) -> Iterator[LineUp]:
    """Prepare the named servers, and the platform as of the commit `before` if given.

    Environments and packages stay in `kept` for the next run.
    """
    packages = {"UV_CACHE_DIR": str(kept / "uv")}
    servers: list[Server] = []
    versions: dict[str, Mapping[str, str]] = {}
    with ExitStack() as running:
        for name in names:
            if name in _PEERS:
                peer = _PEERS[name]
                place = environment(kept / "environments", peer.environment, peer.requirements)
                versions[peer.environment] = _told(place)
                servers.append(peer.make(place))
            else:
                servers.append(running.enter_context(modelyard_gateway(folder, {**packages, **environ})))
        if before is not None:
            servers.append(
                running.enter_context(modelyard_gateway_at(before, folder / "before", {**packages, **environ}))
            )
        yield LineUp(servers, versions)


def _told(place: Path) -> dict[str, str]:
    present = installed(place)
    return {package: present[package] for package in _TOLD if package in present}
