"""The servers to compare, with environments and package versions."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from benchmarks.models import PACKAGES, pins
from benchmarks.servers import azureml_server, mlflow_serve, mlserver
from benchmarks.servers.azureml_server import AzuremlServer
from benchmarks.servers.environments import NotInstallable, environment, installed
from benchmarks.servers.mlflow_serve import MlflowServe
from benchmarks.servers.mlserver import MLServer
from benchmarks.servers.modelyard_gateway import modelyard_gateway, modelyard_gateway_at
from benchmarks.servers.programs import PROGRAMS, ProgramServer
from benchmarks.servers.server import Server

_NOTHING_ELSE = "no key, no signature: an array goes straight into `predict`"


@dataclass(frozen=True, slots=True)
class _Peer:
    environment: str
    requirements: Sequence[str]
    make: Callable[[Path], Server]
    lacks: str
    """The work of Modelyard's gateway that the server does not do."""
    packages: Sequence[str] = tuple(pins())


_PEERS: Mapping[str, _Peer] = {
    "mlflow": _Peer("mlflow", mlflow_serve.REQUIREMENTS, MlflowServe, "no key"),
    "azureml": _Peer(
        "azureml", azureml_server.REQUIREMENTS, AzuremlServer, "no key; inference-schema converts by the example"
    ),
    "mlserver": _Peer("mlserver", mlserver.REQUIREMENTS, MLServer, "no key"),
    "mlserver-batching": _Peer(
        "mlserver", mlserver.REQUIREMENTS, lambda place: MLServer(place, batches=True), "no key"
    ),
    **{
        program.name: _Peer(
            program.name.removesuffix("-batching"),
            program.requirements,
            partial(ProgramServer, program=program),
            _NOTHING_ELSE,
            program.packages,
        )
        for program in PROGRAMS
    },
}
SERVERS = ("modelyard", *_PEERS)


@dataclass(frozen=True, slots=True)
class LineUp:
    servers: list[Server]
    versions: Mapping[str, Mapping[str, str]]
    """Versions of the relevant packages, by the environment's name."""
    not_installable: Mapping[str, str]
    """The reason, by the server's name."""


def lacks(name: str) -> str:
    """Return the work of Modelyard's gateway that a server does not do."""
    return _PEERS[name].lacks if name in _PEERS else "–"


@contextmanager
def line_up(
    names: Sequence[str], kept: Path, folder: Path, environ: Mapping[str, str], *, before: str | None = None
) -> Iterator[LineUp]:
    """Prepare the named servers, and the platform as of the commit `before` if given.

    Environments and packages stay in `kept` for the next run.
    """
    packages = {"UV_CACHE_DIR": str(kept / "uv")}
    found = LineUp([], versions := {}, not_installable := {})
    with ExitStack() as running:
        for name in names:
            if name in _PEERS:
                peer = _PEERS[name]
                try:
                    place = environment(kept / "environments", peer.environment, peer.requirements, peer.packages)
                except NotInstallable as reason:
                    not_installable[name] = f"the installation failed: {reason}"
                    continue
                versions[peer.environment] = _told(place, peer)
                found.servers.append(peer.make(place))
            else:
                found.servers.append(running.enter_context(modelyard_gateway(folder, {**packages, **environ})))
        if before is not None:
            found.servers.append(
                running.enter_context(modelyard_gateway_at(before, folder / "before", {**packages, **environ}))
            )
        yield found


def _told(place: Path, peer: _Peer) -> dict[str, str]:
    """Return the versions of the server's packages and of the models' packages."""
    present = installed(place)
    of_the_server = [requirement.partition("=")[0].partition("[")[0].rstrip("><") for requirement in peer.requirements]
    return {package: present[package] for package in (*of_the_server, *PACKAGES) if package in present}
