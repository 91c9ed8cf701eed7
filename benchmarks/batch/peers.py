"""The alternatives to a batch job, in an environment with MLflow: `mlflow models predict` and a pandas loop."""

import json
import os
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks.batch.batch_run import BatchRun
from benchmarks.batch.memory_watch import largest_process
from benchmarks.models import SavedModel
from benchmarks.processes import tree
from benchmarks.servers.environments import clean_environ
from benchmarks.servers.server import ServerFailed

_LOOP = Path(__file__).with_name("pandas_loop.py")


def mlflow_models_predict(environment: Path, model: SavedModel, inputs: Path, folder: Path) -> BatchRun:
    """Run `mlflow models predict` on a folder with a single file, the only supported input."""
    (only,) = inputs.iterdir()
    output = folder / "mlflow.json"
    command: list[str | Path] = [environment / "bin" / "mlflow", "models", "predict", "--model-uri", model.folder]
    command += ["--input-path", only, "--output-path", output, "--content-type", "csv", "--env-manager", "local"]
    seconds, megabytes = _run(command, environment, folder)
    predictions = json.loads(output.read_bytes())["predictions"]
    output.unlink()
    return BatchRun(seconds, megabytes, len(predictions), sum(predictions))


def pandas_loop(environment: Path, model: SavedModel, inputs: Path, folder: Path) -> BatchRun:
    output = folder / "loop.csv"
    command = [environment / "bin" / "python", _LOOP, model.folder, inputs, output]
    seconds, megabytes = _run(command, environment, folder)
    took = BatchRun.of_csv(seconds, megabytes, output)
    output.unlink()
    return took


def _run(command: Sequence[str | Path], environment: Path, folder: Path) -> tuple[float, float]:
    """Run the command. Returns seconds from start to end, and megabytes of the largest process."""
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
