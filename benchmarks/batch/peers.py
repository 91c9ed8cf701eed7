"""The two that one would use otherwise, in the environment of MLflow's own."""

import json
import os
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks.batch.memory_watch import largest_process
from benchmarks.batch.took import Took
from benchmarks.models import SavedModel
from benchmarks.processes import tree
from benchmarks.servers.environments import clean_environ
from benchmarks.servers.server import ServerFailed

_LOOP = Path(__file__).with_name("pandas_loop.py")


def mlflow_models_predict(environment: Path, model: SavedModel, inputs: Path, folder: Path) -> Took:
    """It takes a single file."""
    (only,) = inputs.iterdir()
    output = folder / "mlflow.json"
    command: list[str | Path] = [environment / "bin" / "mlflow", "models", "predict", "--model-uri", model.folder]
    command += ["--input-path", only, "--output-path", output, "--content-type", "csv", "--env-manager", "local"]
    seconds, megabytes = _run(command, environment, folder)
    predictions = json.loads(output.read_bytes())["predictions"]
    output.unlink()
    return Took(seconds, megabytes, len(predictions), sum(predictions))


def pandas_loop(environment: Path, model: SavedModel, inputs: Path, folder: Path) -> Took:
    output = folder / "loop.csv"
    command = [environment / "bin" / "python", _LOOP, model.folder, inputs, output]
    seconds, megabytes = _run(command, environment, folder)
    took = Took.of_csv(seconds, megabytes, output)
    output.unlink()
    return took


def _run(command: Sequence[str | Path], environment: Path, folder: Path) -> tuple[float, float]:
    """(seconds from its start to its end, the largest of its processes)"""
    environ = {**clean_environ(), "MLFLOW_TRACKING_URI": f"sqlite:///{folder}/mlflow.db"}
    # `mlflow models predict` starts Python by name.
    environ["PATH"] = f"{environment / 'bin'}{os.pathsep}{environ['PATH']}"
    log = folder / "peer.log"
    began = time.perf_counter()
    with log.open("wb") as out, subprocess.Popen(command, stdout=out, stderr=out, env=environ, cwd=folder) as program:
        try:
            with largest_process(lambda: tree(program.pid)) as largest:
                code = program.wait()
        finally:
            program.kill()
    seconds = time.perf_counter() - began
    if code != 0:
        raise ServerFailed(f"{command[0]} ended with {code}:\n{log.read_text(errors='replace')[-2000:]}")
    return seconds, largest.megabytes
