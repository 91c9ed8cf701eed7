"""`azureml-inference-server-http` with the script of Azure's no-code deployment and defaults: one gunicorn worker."""

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from benchmarks.models import SavedModel
from benchmarks.servers.environments import clean_environ
from benchmarks.servers.server import HOST, Running, shown_command, split, wait_until_ready
from benchmarks.servers.supervised_process import free_ports, supervised_process

REQUIREMENTS = ("azureml-inference-server-http==1.5.*", "inference-schema[pandas-support]>=1.8")

_SCRIPT = Path(__file__).with_name("azure_score.py.template")
# The entry point of azmlinfsrv with the loopback address: the default listens on all addresses.
_ON_LOOPBACK = f"import azureml_inference_server_http.amlserver as server; server.DEFAULT_HOST = {HOST!r}; server.run()"


@dataclass(frozen=True, slots=True)
class AzuremlServer:
    environment: Path
    name: str = "azureml"

    @contextmanager
    def run(self, model: SavedModel, folder: Path) -> Iterator[Running]:
        port = free_ports(1)[0]
        script = folder / "score.py"
        shutil.copyfile(_SCRIPT, script)
        command: list[str | Path] = [self.environment / "bin" / "python", "-c", _ON_LOOPBACK, "--entry_script", script]
        command += ["--model_dir", model.folder, "--port", str(port)]
        with supervised_process(command, folder / "azureml.log", clean_environ(), folder) as server:
            url = f"http://{HOST}:{port}/score"
            wait_until_ready(url, _ask(model.rows.head(1)), server.is_alive, server.log_tail)
            yield Running(url, _ask, list, {"server": server.processes()}, {}, shown_command(command))


def _ask(frame: pd.DataFrame) -> bytes:
    return json.dumps({"input_data": split(frame)}).encode()
