"""Servers that need a program for each model, as an experienced user writes it: see the folder `programs`.

All get rows of values, load the estimator without MLflow, and pass an array to `predict`; for the text pipeline, which
selects its column by name, a DataFrame. None checks a key or a signature.
"""

import json
import sysconfig
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pandas as pd

from benchmarks.models import PACKAGES, SavedModel, pins
from benchmarks.servers.environments import clean_environ
from benchmarks.servers.server import HOST, Running, shown_command, wait_until_ready
from benchmarks.servers.supervised_process import free_ports, supervised_process

_PROGRAMS = Path(__file__).with_name("programs")
_WITHOUT_MLFLOW = tuple(package for package in PACKAGES if package != "mlflow")
_MAX_BATCH_SIZE = "MAX_BATCH_SIZE"
_LIBPYTHON = sysconfig.get_config_var("LIBDIR")


@dataclass(frozen=True, slots=True)
class Program:
    """How one of the servers is installed, started and asked."""

    name: str
    requirements: Sequence[str]
    command: Sequence[str]
    """Arguments after the environment's `bin/`. {port}, {program} and {folder} are filled in."""
    path: str
    ask: Callable[[pd.DataFrame], bytes]
    read: Callable[[Any], list[Any]] = list
    variables: Mapping[str, str] = field(default_factory=dict)
    """Environment variables, filled in as the command."""
    packages: Sequence[str] = tuple(pins(_WITHOUT_MLFLOW))
    """The model's packages, with versions as far as the server's release allows."""


@dataclass(frozen=True, slots=True)
class ProgramServer:
    environment: Path
    program: Program

    @property
    def name(self) -> str:
        return self.program.name

    @contextmanager
    def run(self, model: SavedModel, folder: Path) -> Iterator[Running]:
        # Ray's and Triton's sockets need a short path.
        with TemporaryDirectory(prefix="bench-") as short:
            port = free_ports(1)[0]
            filled = {"port": str(port), "program": str(_PROGRAMS), "folder": short}
            first, *rest = (part.format(**filled) for part in self.program.command)
            command: list[str | Path] = [self.environment / "bin" / first, *rest]
            variables = {name: text.format(**filled) for name, text in self.program.variables.items()}
            environ = {
                **clean_environ(),
                "PYTHONPATH": str(_PROGRAMS),
                "BENCH_MODEL_FOLDER": str(model.folder),
                **variables,
            }
            environ["PATH"] = f"{self.environment / 'bin'}:{environ['PATH']}"
            with supervised_process(command, folder / f"{self.name}.log", environ, folder) as server:
                url = f"http://{HOST}:{port}{self.program.path}"
                ask, read = self.program.ask, self.program.read
                wait_until_ready(url, ask(model.rows.head(1)), server.is_alive, server.log_tail)
                told = shown_command(command, variables)
                yield Running(url, ask, read, {"server": server.processes()}, {}, told)


def _rows(frame: pd.DataFrame) -> list[list[Any]]:
    rows: list[list[Any]] = frame.to_numpy().tolist()
    return rows


def _plain(frame: pd.DataFrame) -> bytes:
    return json.dumps(_rows(frame)).encode()


def _named(key: str) -> Callable[[pd.DataFrame], bytes]:
    return lambda frame: json.dumps({key: _rows(frame)}).encode()


def _open_inference(frame: pd.DataFrame) -> bytes:
    rows = _rows(frame)
    tensor = {
        "name": "rows",
        "shape": [len(rows), len(rows[0])],
        "datatype": "BYTES" if isinstance(rows[0][0], str) else "FP64",
        "data": [value for row in rows for value in row],
    }
    return json.dumps({"inputs": [tensor]}).encode()


def _mosec(name: str, variables: Mapping[str, str]) -> Program:
    # The path of mosec's socket is chosen by mosec, below the temporary folder.
    command = ("python", "{program}/mosec_server.py", "--address", HOST, "--port", "{port}", "--timeout", "60000")
    requirements = ("mosec==0.9.8", "orjson")
    return Program(name, requirements, command, "/inference", _plain, variables=variables)


def _bentoml(name: str, variables: Mapping[str, str]) -> Program:
    service = ("bentoml", "serve", "bentoml_server:Predictor", "--working-dir", "{program}")
    command = (*service, "--host", HOST, "--port", "{port}")
    variables = {"BENTOML_DO_NOT_TRACK": "True", "BENTOML_HOME": "{folder}", **variables}
    return Program(name, ("bentoml==1.4.40",), command, "/score", _named("rows"), variables=variables)


PROGRAMS = (
    _mosec("mosec", {}),
    _mosec("mosec-batching", {_MAX_BATCH_SIZE: "32", "MAX_WAIT_MILLISECONDS": "2"}),
    Program(
        "robyn",
        ("robyn==0.88.0", "orjson"),
        ("python", "{program}/robyn_server.py", "--disable-openapi", "--log-level", "WARNING"),
        "/score",
        _plain,
        variables={"PORT": "{port}"},
    ),
    Program(
        "kserve",
        ("kserve==0.21.0",),
        (
            "python",
            "{program}/kserve_server.py",
            "--http_port",
            "{port}",
            "--enable_grpc",
            "false",
            "--enable_latency_logging",
            "false",
        ),
        "/v1/models/model:predict",
        _named("instances"),
        read=lambda answer: list(answer["predictions"]),
        # kserve 0.21 requires pandas below 3.
        packages=("pandas", *pins(tuple(package for package in _WITHOUT_MLFLOW if package != "pandas"))),
    ),
    Program(
        "litserve",
        ("litserve==0.2.19",),
        ("python", "{program}/litserve_server.py"),
        "/predict",
        _plain,
        variables={"PORT": "{port}"},
    ),
    _bentoml("bentoml", {}),
    _bentoml("bentoml-batching", {_MAX_BATCH_SIZE: "1000"}),
    Program(
        "ray",
        ("ray[serve]==2.60.0", "orjson"),
        ("python", "{program}/ray_server.py"),
        "/score",
        _plain,
        variables={
            "PORT": "{port}",
            "RAY_FOLDER": "{folder}",
            "RAY_USAGE_STATS_ENABLED": "0",
            "RAY_SERVE_THROUGHPUT_OPTIMIZED": "1",
        },
    ),
    Program(
        "pytriton",
        ("nvidia-pytriton==0.7.0",),
        ("python", "{program}/pytriton_server.py"),
        "/v2/models/model/infer",
        _open_inference,
        read=lambda answer: list(answer["outputs"][0]["data"]),
        # Triton's Python backend loads libpython by name: without the path, another build's.
        variables={"PORT": "{port}", "TRITON_FOLDER": "{folder}/triton", "LD_LIBRARY_PATH": _LIBPYTHON},
        # nvidia-pytriton 0.7 requires numpy below 2, and pandas 3.1 a newer numpy.
        packages=("numpy", "pandas", *pins(("scikit-learn", "scipy", "cloudpickle"))),
    ),
)
