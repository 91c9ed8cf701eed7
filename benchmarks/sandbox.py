"""The cost of a model worker's sandbox: `python -m benchmarks.sandbox [--python PATH] [--starts N] [--requests N]`.

Both kinds of worker run side by side, and starts and requests alternate between them: load of the machine meets both. A
start is the time from `spawn` to the ready status of an empty model. The processor time of a start and an end, shim
included, tells more on a busy machine. A request is a predict call by one caller over the worker's socket, with a file
read and an allocation: system calls and page faults pass the sandbox, too.
"""

import argparse
import json
import os
import platform
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from data_plane.replicas.local.blocking_connection import BlockingWorkerConnection
from data_plane.replicas.local.spawn import LaunchSettings, spawn, worker_accounts
from data_plane.replicas.local.worker_process import kill, remove, wait_for_end
from data_plane.replicas.local.worker_sandbox import open_worker_sandbox
from data_plane.replicas.port import ReplicaSpec
from data_plane.scoring.payload.values import JsonPayload
from modelyard.core.data_dir import DataDir
from modelyard.core.settings import Tunables

_BLOCK = 200
_SCRIPT = """
def init():
    pass

def run(input_data, params=None):
    with open("/proc/self/stat") as file:
        file.read()
    return len(bytearray(1 << 18))
"""


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--python", type=Path, default=Path("/usr/bin/python3"))
    parser.add_argument("--starts", type=int, default=30)
    parser.add_argument("--requests", type=int, default=20_000)
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o711)
        bench = _Bench(DataDir(Path(folder) / "data"), options.python)
        (starts, processor), requests = bench.starts(options.starts), bench.requests(options.requests)
        report = {
            "kernel": platform.release(),
            "user": "root" if os.getuid() == 0 else "ordinary",
            "load": os.getloadavg(),
            "protections": bench.protections,
            "start_ms": starts,
            "life_processor_ms": processor,
            "request_us": requests,
        }
    print(json.dumps(report, indent=1))


class _Bench:
    def __init__(self, data_dir: DataDir, python: Path) -> None:
        data_dir.prepare()
        bundle, model = data_dir.bundles / "empty", data_dir.models / "empty"
        bundle.mkdir()
        model.mkdir()
        (bundle / "score.py").write_text(_SCRIPT)
        self._spec = ReplicaSpec("bench", "empty", 1, python=python, bundle_dir=bundle, model_dir=model)
        accounts = worker_accounts(Tunables().worker_numbers, data_dir)
        self._kinds = {
            "without": LaunchSettings(data_dir, accounts),
            "with": LaunchSettings(data_dir, accounts, open_worker_sandbox(Tunables(), data_dir)),
        }
        self.protections: tuple[str, ...] = ()

    def starts(self, count: int) -> tuple[dict[str, dict[str, float]], dict[str, dict[str, float]]]:
        """Return the times of starts, and the processor times of whole lives."""
        times: dict[str, list[float]] = {kind: [] for kind in self._kinds}
        processor: dict[str, list[float]] = {kind: [] for kind in self._kinds}
        for number in range(count + 2):
            for kind in self._kinds:
                used, started = _processor_seconds(), time.perf_counter()
                with self._worker(kind):
                    taken = time.perf_counter() - started
                # The first starts read files from the disk.
                if number >= 2:
                    times[kind].append(taken * 1e3)
                    processor[kind].append((_processor_seconds() - used) * 1e3)
        return _summary(times), _summary(processor)

    def requests(self, count: int) -> dict[str, dict[str, float]]:
        times: dict[str, list[float]] = {kind: [] for kind in self._kinds}
        with self._worker("without") as without, self._worker("with") as confined:
            connections = {"without": without, "with": confined}
            for _ in range(count // _BLOCK):
                for kind, connection in connections.items():
                    started = time.perf_counter()
                    for _ in range(_BLOCK):
                        connection.score(JsonPayload([1.0, 2.0]), timeout=10.0)
                    times[kind].append((time.perf_counter() - started) / _BLOCK * 1e6)
        return _summary(times)

    @contextmanager
    def _worker(self, kind: str) -> Iterator[BlockingWorkerConnection]:
        worker = spawn(self._spec, self._kinds[kind])
        self.protections = self.protections or worker.protections if kind == "with" else self.protections
        try:
            with BlockingWorkerConnection(worker.socket, timeout=30.0) as connection:
                status = connection.wait_until_loaded(30.0)
                assert status.state == "ready", worker.log.read_text()
                yield connection
        finally:
            kill(worker, "the measurement is over")
            wait_for_end(worker, 10.0)
            remove(worker, keep_log=False)


def _processor_seconds() -> float:
    """Of this process, its ended children and theirs."""
    usages = (resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN))
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


def _summary(times: dict[str, list[float]]) -> dict[str, dict[str, float]]:
    """The median and the quickest tenth: on a shared machine the latter shows the cost alone."""
    return {
        kind: {
            "median": round(statistics.median(values), 2),
            "quick": round(statistics.quantiles(values, n=10)[0], 2),
        }
        for kind, values in times.items()
    }


if __name__ == "__main__":
    main(sys.argv[1:])
