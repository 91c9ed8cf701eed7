"""`mlflow models serve` with defaults: one uvicorn worker."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from benchmarks.models import SavedModel
from benchmarks.servers.environments import clean_environ
from benchmarks.servers.server import HOST, Running, shown_command, split, wait_until_ready
from benchmarks.servers.supervised_process import free_ports, supervised_process

REQUIREMENTS = ("mlflow==3.17.*",)


@dataclass(frozen=True, slots=True)
class MlflowServe:
    environment: Path
    name: str = "mlflow"

    @contextmanager
    def run(self, model: SavedModel, folder: Path) -> Iterator[Running]:
        port = free_ports(1)[0]
        programs = self.environment / "bin"
        command: list[str | Path] = [
            programs / "mlflow",
            "models",
            "serve",
            "--model-uri",
            model.folder,
            "--env-manager",
            "local",
        ]
        command += ["--host", HOST, "--port", str(port)]
        # mlflow starts uvicorn through a shell, by name.
        environ = {**clean_environ(), "MLFLOW_TRACKING_URI": f"sqlite:///{folder}/mlflow.db"}
        environ["PATH"] = f"{programs}:{environ['PATH']}"
        with supervised_process(command, folder / "mlflow.log", environ, folder) as server:
            url = f"http://{HOST}:{port}/invocations"
            wait_until_ready(url, _ask(model.rows.head(1)), server.is_alive, server.log_tail)
            yield Running(
                url,
                _ask,
                lambda answer: list(answer["predictions"]),
                {"server": server.processes()},
                {},
                shown_command(command),
            )


def _ask(frame: pd.DataFrame) -> bytes:
    return json.dumps({"dataframe_split": split(frame)}).encode()
