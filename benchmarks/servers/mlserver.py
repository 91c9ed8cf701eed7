"""MLServer with the MLflow runtime and defaults (one inference worker), with or without adaptive batching."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from benchmarks.models import SavedModel
from benchmarks.servers.environments import clean_environ
from benchmarks.servers.server import HOST, Running, shown_command, wait_until_ready
from benchmarks.servers.supervised_process import free_ports, supervised_process

# MLServer's worker does not start with a newer uvloop: get_event_loop no longer creates a loop there.
REQUIREMENTS = ("mlserver==1.7.*", "mlserver-mlflow==1.7.*", "uvloop<0.22")

_LARGEST_BATCH = 64
_LONGEST_WAIT_SECONDS = 0.005
_MODEL = "model"


@dataclass(frozen=True, slots=True)
class MLServer:
    environment: Path
    batches: bool = False

    @property
    def name(self) -> str:
        return "mlserver-batching" if self.batches else "mlserver"

    @contextmanager
    def run(self, model: SavedModel, folder: Path) -> Iterator[Running]:
        port = self._configure(model, folder)
        command: list[str | Path] = [self.environment / "bin" / "mlserver", "start", folder]
        with supervised_process(command, folder / "mlserver.log", clean_environ(), folder) as server:
            url = f"http://{HOST}:{port}/v2/models/{_MODEL}/infer"
            wait_until_ready(url, _ask(model.rows.head(1)), server.is_alive, server.log_tail)
            yield Running(url, _ask, _read, {"server": server.processes()}, {}, shown_command(command))

    def _configure(self, model: SavedModel, folder: Path) -> int:
        http, grpc, metrics = free_ports(3)
        server = {"host": HOST, "http_port": http, "grpc_port": grpc, "metrics_port": metrics, "debug": False}
        runtime: dict[str, Any] = {
            "name": _MODEL,
            "implementation": "mlserver_mlflow.MLflowRuntime",
            "parameters": {"uri": str(model.folder)},
        }
        if self.batches:
            runtime |= {"max_batch_size": _LARGEST_BATCH, "max_batch_time": _LONGEST_WAIT_SECONDS}
        (folder / "settings.json").write_text(json.dumps(server))
        (folder / "model-settings.json").write_text(json.dumps(runtime))
        return http


def _ask(frame: pd.DataFrame) -> bytes:
    return json.dumps({"inputs": [_input(frame[name]) for name in frame.columns]}).encode()


def _input(column: "pd.Series[Any]") -> dict[str, Any]:
    is_number = column.dtype.kind == "f"
    return {
        "name": column.name,
        "shape": [len(column), 1],
        "datatype": "FP64" if is_number else "BYTES",
        "data": column.tolist(),
    }


def _read(answer: Any) -> list[Any]:
    return list(answer["outputs"][0]["data"])
