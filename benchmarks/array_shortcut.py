"""The array shortcut's gain: `python -m benchmarks.array_shortcut [--python PATH] [--calls N] [--models NAMES]`.

Two model workers of each model run side by side, one with MODELYARD_FAST_PATH=off, and calls alternate between them in
blocks: load of the machine meets both. Times are those of a predict call over the worker's socket, without HTTP: p50 as
a caller sees it, and the worker's processor time (user and system) per call. The time of the proof at load is measured
in this process, from the loaded script to the ready shortcut, in processor and real time. Models of XGBoost, LightGBM
and CatBoost need an environment that has them (`--python`), with this environment's MLflow for saving.
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from builder.scoring_script.generate import ScriptSubject, generate_scoring_script
from data_plane.replicas.local.blocking_connection import BlockingWorkerConnection
from data_plane.replicas.local.spawn import LaunchSettings, spawn
from data_plane.replicas.local.worker_process import WorkerProcess, kill, remove, wait_for_end
from data_plane.replicas.port import ReplicaSpec
from data_plane.scoring.payload.values import BlockPayload
from modelyard.core.data_dir import DataDir
from modelyard.core.domain.mlmodel import parse_mlmodel

_NAMES = tuple(f"feature_{number:03d}" for number in range(10))
_ROWS = (1, 16, 1000)
_BLOCKS = 10
_TRIALS = 20
# One thread, as a worker has on a machine with as many workers as cores.
_THREADS = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
_MADE_BY = {
    "elasticnet": """
from sklearn.linear_model import ElasticNet
model = ElasticNet(alpha=0.05).fit(X, y)""",
    "logistic regression": """
from sklearn.linear_model import LogisticRegression
model = LogisticRegression().fit(X, c)""",
    "scaler and regression": """
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
model = make_pipeline(StandardScaler(), LinearRegression()).fit(X, y)""",
    "gradient boosting": """
from sklearn.ensemble import GradientBoostingRegressor
model = GradientBoostingRegressor().fit(X, y)""",
    "histogram boosting": """
from sklearn.ensemble import HistGradientBoostingRegressor
model = HistGradientBoostingRegressor().fit(X, y)""",
    "forest of 100 trees": """
from sklearn.ensemble import RandomForestRegressor
model = RandomForestRegressor().fit(X, y)""",
    "xgboost": """
from xgboost import XGBRegressor
flavor, model = "xgboost", XGBRegressor(n_estimators=50).fit(X, y)""",
    "xgboost, native": """
from xgboost import XGBRegressor
flavor, model = "xgboost", XGBRegressor(n_estimators=50).fit(X, y).get_booster()""",
    "lightgbm, native": """
from lightgbm import LGBMRegressor
flavor, model = "lightgbm", LGBMRegressor(n_estimators=50, verbose=-1).fit(X, y).booster_""",
    "catboost": """
from catboost import CatBoostRegressor
flavor, model = "catboost", CatBoostRegressor(n_estimators=50, verbose=False, allow_writing_files=False).fit(X, y)""",
}
_SKLEARN = tuple(list(_MADE_BY)[:6])
# Runs in the models' environment.
_SAVE = """
import importlib, logging, sys, warnings
warnings.simplefilter("ignore")
logging.disable(logging.CRITICAL)
import numpy as np, pandas as pd
from mlflow.models import infer_signature
random = np.random.default_rng(20)
X = pd.DataFrame(random.normal(size=(400, 10)), columns=["feature_%03d" % number for number in range(10)])
y = X.to_numpy() @ random.normal(size=10)
c = (y > 0).astype(int)
flavor = "sklearn"
exec(sys.argv[2])
more = {"serialization_format": "cloudpickle"} if flavor == "sklearn" else {}
importlib.import_module("mlflow." + flavor).save_model(
    model, sys.argv[1], signature=infer_signature(X), input_example=X.head(2), pip_requirements=["mlflow"], **more)
"""


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--python", type=Path, default=Path(sys.executable))
    parser.add_argument("--calls", type=int, default=1000)
    parser.add_argument("--models", default="|".join(_SKLEARN), help=f"separated by |, of: {' | '.join(_MADE_BY)}")
    options = parser.parse_args(arguments)
    report: dict[str, Any] = {"load": os.getloadavg(), "kernel": platform.release(), "models": {}}
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o711)
        data_dir = DataDir(Path(folder) / "data")
        data_dir.prepare()
        for name in options.models.split("|"):
            report["models"][name] = _measure(name, data_dir, options.python, options.calls)
            print(name, json.dumps(report["models"][name]), file=sys.stderr, flush=True)
    print(json.dumps(report, indent=1))


def _measure(name: str, data_dir: DataDir, python: Path, calls: int) -> dict[str, Any]:
    spec = _saved(name, data_dir, python)
    with _worker(spec, data_dir, "off") as off, _worker(spec, data_dir, "on") as on:
        workers = {"DataFrame": off, "array": on}
        measured: dict[str, Any] = {f"{rows} rows": _compare(workers, rows, calls) for rows in _ROWS}
        return {"log": _shortcut_lines(on[0]), **measured}


def _compare(
    workers: dict[str, tuple[WorkerProcess, BlockingWorkerConnection]], rows: int, calls: int
) -> dict[str, dict[str, float]]:
    payload = BlockPayload(_NAMES, "double", np.random.default_rng(rows).normal(size=(10, rows)))
    times: dict[str, list[float]] = {kind: [] for kind in workers}
    processor: dict[str, float] = dict.fromkeys(workers, 0.0)
    for _, connection in workers.values():
        for _ in range(_TRIALS):
            connection.score(payload, timeout=60.0)
    each = max(1, calls // _BLOCKS)
    for _ in range(_BLOCKS):
        for kind, (worker, connection) in workers.items():
            used = _processor_seconds(worker)
            for _ in range(each):
                started = time.perf_counter()
                connection.score(payload, timeout=60.0)
                times[kind].append(time.perf_counter() - started)
            processor[kind] += _processor_seconds(worker) - used
    return {
        kind: {
            "p50_ms": round(statistics.median(times[kind]) * 1e3, 3),
            "cpu_ms": round(processor[kind] / len(times[kind]) * 1e3, 3),
        }
        for kind in workers
    }


def _saved(name: str, data_dir: DataDir, python: Path) -> ReplicaSpec:
    label = name.replace(" ", "-").replace(",", "")
    bundle, model_dir = data_dir.bundles / label, data_dir.models / label
    bundle.mkdir()
    model_dir.mkdir()
    subprocess.run([python, "-c", _SAVE, model_dir / "model", _MADE_BY[name]], check=True, env=os.environ | _THREADS)
    mlmodel = parse_mlmodel((model_dir / "model" / "MLmodel").read_bytes())
    (bundle / "score.py").write_text(generate_scoring_script(ScriptSubject(name, "1", "model", mlmodel)))
    return ReplicaSpec("bench", label, 1, python=python, bundle_dir=bundle, model_dir=model_dir)


@contextmanager
def _worker(
    spec: ReplicaSpec, data_dir: DataDir, setting: str
) -> Iterator[tuple[WorkerProcess, BlockingWorkerConnection]]:
    variables = {**_THREADS, "MODELYARD_FAST_PATH": setting}
    made = ReplicaSpec(
        spec.endpoint,
        f"{spec.deployment}-{setting}",
        1,
        python=spec.python,
        bundle_dir=spec.bundle_dir,
        model_dir=spec.model_dir,
        environment_variables=variables,
    )
    worker = spawn(made, LaunchSettings(data_dir))
    try:
        with BlockingWorkerConnection(worker.socket, timeout=60.0) as connection:
            status = connection.wait_until_loaded(120.0)
            assert status.state == "ready", worker.log.read_text()
            yield worker, connection
    finally:
        kill(worker, "the measurement is over")
        wait_for_end(worker, 10.0)
        remove(worker, keep_log=False)


def _processor_seconds(worker: WorkerProcess) -> float:
    times = psutil.Process(worker.pid).cpu_times()
    return times.user + times.system


def _shortcut_lines(worker: WorkerProcess) -> list[str]:
    """The time of the proof, or the reason for no shortcut."""
    lines = worker.log.read_text().splitlines()
    return [line.partition(" - ")[2] for line in lines if "Array shortcut" in line]


if __name__ == "__main__":
    main(sys.argv[1:])
