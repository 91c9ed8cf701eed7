"""A platform with many deployments: `python -m benchmarks.many_deployments [--endpoints N] [--running N] [--puts N]`.

Starts a platform, fills its database with N endpoints of one deployment each, and starts it again. Some deployments
run, with model workers that load an empty model; the build of each other deployment has failed. Prints JSON: the time
of `up` with ten endpoints and with all of them, the processor time of every process of the idle platform, the time from
a commit to the routing snapshot and from there to the gateway, the memory of host and gateway, and the outcome of
concurrent PUTs. Run it before and after a change, on the same machine: the figures of one run depend on other load.
"""

import argparse
import asyncio
import hashlib
import json
import os
import platform
import shutil
import signal
import statistics
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import aiohttp
from sqlalchemy import select, update

from benchmarks import processes
from benchmarks.endpoint_rows import DEPLOYMENT, endpoint_name, fill_endpoints
from builder.bundle import publish_bundle
from builder.toolchain import this_platform
from data_plane.replicas.local.worker_process import find_all
from modelyard.client import Platform
from modelyard.core.adapters.folder_store import FolderStore
from modelyard.core.data_dir import DataDir
from modelyard.core.db import lifecycle
from modelyard.core.db.rows import (
    BuiltEnvironmentRow,
    ModelRow,
    ModelVersionRow,
    OnlineDeploymentRow,
    OnlineEndpointRow,
    WorkerRow,
)
from modelyard.core.db.unit_of_work import Sessions, open_database, sessions_of, transaction
from modelyard.core.domain.bundle import Bundle, BundledEnvironment, BundledModel
from modelyard.core.domain.deployment import DeploymentSpec
from modelyard.core.domain.environment_spec import EnvironmentLock
from modelyard.core.domain.lifecycle import GenerationState
from modelyard.core.domain.model_manifest import ModelFile, ModelManifest
from modelyard.core.environments.folder import Attempt
from modelyard.demo.temporary_platform import temporary_folder, temporary_platform
from modelyard.supervisor.postgres import EmbeddedPostgres

_SCRIPT = "def init():\n    pass\n\ndef run(input_data, params=None):\n    return [0.0]\n"
_FEW = 10
_PATIENCE = 300.0
_PUT_SECONDS = 300.0


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--endpoints", type=int, default=10_000)
    parser.add_argument("--running", type=int, default=20)
    parser.add_argument("--seconds", type=float, default=60.0, help="length of the idle window")
    parser.add_argument("--changes", type=int, default=30)
    parser.add_argument("--puts", type=int, default=300, help="concurrent PUTs of endpoints")
    options = parser.parse_args(arguments)
    with temporary_folder() as folder:
        bench = _Bench(folder)
        report: dict[str, Any] = {"kernel": platform.release(), "cores": os.cpu_count(), "load": os.getloadavg()}
        report["up_seconds"] = bench.times_of_up(options.endpoints, options.running)
        with bench.platform() as running:
            bench.await_workers(options.running)
            report["idle_core_percent"] = bench.idle(options.seconds)
            report["change_ms"] = bench.changes(options.changes)
            report["puts"] = asyncio.run(_put_endpoints(running, options.puts))
            report["memory_mb"] = bench.memory()
        report["load_after"] = os.getloadavg()
    print(json.dumps(report, indent=1))


class _Bench:
    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._data = DataDir(folder / "data")
        self._store = FolderStore(self._data.objects)
        self._sessions: Sessions | None = None
        self._generations = 0
        self._root = 0

    @contextmanager
    def platform(self) -> Iterator[Platform]:
        # The interpreter of this program may lie in a folder closed to the accounts of model workers.
        settings = {"MODELYARD_WORKER_UIDS": "none", "MODELYARD_SUPERVISOR_ANSWER_SECONDS": "180"}
        with temporary_platform(self._folder, os.environ, settings) as running:
            self._root = _pid_of_supervisor(self._data)
            yield running
        # The data stay for the next start, which makes a new configuration folder.
        shutil.rmtree(self._folder / "config")
        signal.signal(signal.SIGINT, signal.default_int_handler)

    def times_of_up(self, endpoints: int, running: int) -> Mapping[str, Mapping[str, float]]:
        """Return the seconds until `up` announces its addresses, and until every running worker is routed."""
        found = {}
        with self.platform():
            self._prepare()
            self._fill(0, _FEW, running=_FEW)
            self.await_workers(_FEW)
        found[str(_FEW)] = self._time_of_up(_FEW)
        with self.platform():
            self._fill(_FEW, endpoints, running=running)
            self.await_workers(running)
        found[str(endpoints)] = self._time_of_up(running)
        return found

    def _time_of_up(self, running: int) -> Mapping[str, float]:
        # The snapshot of the run before names workers that have ended.
        started = time.monotonic()
        with self.platform():
            announced = time.monotonic() - started
            self.await_workers(running)
            used = processes.cpu_seconds(processes.tree(self._root))
            return {
                "announced": round(announced, 2),
                "workers_routed": round(time.monotonic() - started, 2),
                "processor": round(used, 2),
            }

    def await_workers(self, count: int) -> None:
        """Wait until `count` workers are ready, and the gateway has applied the newest revision."""
        deadline = time.monotonic() + _PATIENCE
        while time.monotonic() < deadline:
            with self._open()() as session:
                ready = session.scalars(select(WorkerRow.worker_id).where(WorkerRow.state == "Ready")).all()
                waiting = session.scalars(
                    select(OnlineDeploymentRow.id).where(OnlineDeploymentRow.awaits_revision.is_not(None))
                ).all()
            if len(ready) >= count and not waiting:
                return
            time.sleep(0.1)
        raise TimeoutError(f"{len(ready)} of {count} workers are ready after {_PATIENCE:g} s")

    # Rows.

    def _open(self) -> Sessions:
        if self._sessions is None:
            self._sessions = sessions_of(open_database(EmbeddedPostgres(self._data).url()))
        return self._sessions

    def _prepare(self) -> None:
        """Record an environment, which is this program's interpreter, and a model."""
        self._lock = EnvironmentLock("", platform.python_version(), this_platform())
        name = f"{self._lock.digest[:16]}-1"
        folder = self._data.environments / name
        (folder / "bin").mkdir(parents=True)
        (folder / "bin" / "python").symlink_to(sys.executable)
        Attempt(folder).complete(self._lock)
        content = b"weights"
        self._file = ModelFile("model/weights", hashlib.sha256(content).hexdigest(), len(content))
        self._store.put(self._file.key, [content])
        with transaction(self._open()) as work:
            work.session.add(
                BuiltEnvironmentRow(lock_hash=self._lock.digest, folder=name, python_version=self._lock.python)
            )
            version = ModelVersionRow(
                model=ModelRow(workspace_id=1, name="m"),
                version="1",
                model_type="mlflow_model",
                model_uri="",
                folder_name="model",
                manifest=ModelManifest.of([self._file]).to_list(),
                manifest_hash="",
            )
            work.session.add(version)
            work.session.flush()
            self._model_version = version.id

    def _fill(self, first: int, last: int, *, running: int) -> None:
        """Add the endpoints from `first` up to `last`; those below `running` have a built generation, to be started."""
        fill_endpoints(
            self._open(),
            first,
            last,
            lambda number: self._generation(number, is_running=number < running),
            running=running,
        )
        with transaction(self._open()) as work:
            work.session.connection().exec_driver_sql("ANALYZE")

    def _generation(self, number: int, *, is_running: bool) -> dict[str, Any]:
        return {
            "state": GenerationState.BUILT if is_running else GenerationState.FAILED,
            "spec": DeploymentSpec(model_id="m").to_dict(),
            "model_version_id": self._model_version,
            "lock_hash": self._lock.digest if is_running else None,
            "bundle_hash": self._bundle(endpoint_name(number)) if is_running else None,
        }

    def _bundle(self, endpoint: str) -> str:
        bundle = Bundle(
            endpoint=endpoint,
            deployment=DEPLOYMENT,
            generation=1,
            model=BundledModel("m", "1", ModelManifest.of([self._file]), "model"),
            environment=BundledEnvironment("spec", self._lock.digest, self._lock.python, ""),
            flavor="python_function",
            loader_module="own",
            predict_fn="predict",
            mlflow_version=None,
            signature=None,
            type_hints=False,
            environment_variables={},
        )
        return publish_bundle(self._store, bundle, _SCRIPT)

    # Measurements.

    def idle(self, seconds: float) -> Mapping[str, float]:
        """Return the processor time of each kind of process, in percent of a core. Model workers are listed apart."""
        time.sleep(5.0)  # The last reports of the start.
        before = self._usage()
        time.sleep(seconds)
        after = self._usage()
        used: dict[str, float] = defaultdict(float)
        for pid, (name, ticks) in after.items():
            used[name] += ticks - before.get(pid, (name, 0.0))[1]
        percents = {name: round(100 * spent / seconds, 2) for name, spent in sorted(used.items())}
        return {**percents, "all but model workers": round(sum(v for n, v in percents.items() if n != "worker"), 2)}

    def _usage(self) -> dict[int, tuple[str, float]]:
        kinds = {pid: _kind(processes.command_line(pid)) for pid in processes.tree(self._root)}
        # Model workers outlive the host, and are not among the supervisor's descendants.
        kinds |= {worker.pid: "worker" for worker in find_all(self._data.worker_run_files)}
        return {pid: (kind, processes.cpu_seconds([pid])) for pid, kind in kinds.items()}

    def changes(self, count: int) -> Mapping[str, Mapping[str, float]]:
        """Change the traffic of an endpoint `count` times, with pauses in which the platform becomes idle."""
        published, applied = [], []
        for number in range(count):
            time.sleep(0.5 + 0.037 * (number % 10))
            with transaction(self._open()) as work:
                revision = lifecycle.next_routing_revision(work.session)
                work.session.execute(
                    update(OnlineEndpointRow)
                    .where(OnlineEndpointRow.name == endpoint_name(number % _FEW))
                    .values(traffic={DEPLOYMENT: 100 if number % 2 else 0})
                )
            committed_at = time.time()
            snapshot_at, applied_at = self._await_gateway(revision)
            published.append(1e3 * (snapshot_at - committed_at))
            applied.append(1e3 * (applied_at - snapshot_at))
        return {"commit to snapshot": _summary(published), "snapshot to gateway": _summary(applied)}

    def _await_gateway(self, revision: int) -> tuple[float, float]:
        """Return the times of the renames that published the snapshot and the gateway's report."""
        report = self._data.run / "gateway-0.applied"
        deadline = time.monotonic() + _PATIENCE
        while time.monotonic() < deadline:
            if json.loads(report.read_bytes())["revision"] >= revision:
                return self._data.routing_file.stat().st_ctime, report.stat().st_ctime
            time.sleep(0.005)
        raise TimeoutError(f"no gateway has applied revision {revision}")

    def memory(self) -> Mapping[str, float]:
        """Return the peak resident size of each kind of process."""
        found: Counter[str] = Counter()
        for pid in processes.tree(self._root):
            name = _kind(processes.command_line(pid))
            found[name] = max(found[name], round(processes.peak([pid])))
        return dict(sorted(found.items()))


def _kind(command: str) -> str:
    """Return the kind of a process by its command line. Processes of one kind are added up."""
    kinds = {
        "control_plane.main": "control plane",
        "data_plane.host.main": "host",
        "data_plane.gateway.main": "gateway",
        "builder.main": "builder",
        "data_plane.batch.main": "batch",
        "valkey": "valkey",
        "postgres": "postgres",
        "modelyard.cli.main": "supervisor",
    }
    return next((kind for word, kind in kinds.items() if word in command), "other")


def _pid_of_supervisor(data: DataDir) -> int:
    return int(json.loads((data.run / "supervisor.json").read_text())["pid"])


def _summary(milliseconds: list[float]) -> dict[str, float]:
    return {
        "median": round(statistics.median(milliseconds), 1),
        "p90": round(statistics.quantiles(milliseconds, n=10)[-1], 1),
        "max": round(max(milliseconds), 1),
    }


# Concurrent PUTs.


async def _put_endpoints(running: Platform, count: int) -> Mapping[str, Any]:
    """PUT `count` new endpoints at once, as a client that repeats a 429 after the told time does; await the states."""
    headers = {"Authorization": f"Bearer {running.token}"}
    statuses: Counter[str] = Counter()
    started = time.monotonic()
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(headers=headers, connector=connector) as http:
        states = await asyncio.gather(*(_put(http, running, f"put-{n:05d}", statuses) for n in range(count)))
    return {
        "statuses": dict(sorted(statuses.items())),
        "states": dict(Counter(states)),
        "seconds": round(time.monotonic() - started, 1),
    }


async def _put(http: aiohttp.ClientSession, running: Platform, name: str, statuses: Counter[str]) -> str:
    url = f"{running.url}{running.workspace_id}/onlineEndpoints/{name}?api-version=2024-10-01"
    deadline = time.monotonic() + _PUT_SECONDS
    body = {"location": "local", "properties": {"authMode": "Key"}}
    state, method = "none", "PUT"
    while time.monotonic() < deadline and state not in ("Succeeded", "Failed"):
        try:
            async with http.request(method, url, json=body if method == "PUT" else None) as answer:
                statuses[str(answer.status)] += 1
                if answer.status in (200, 201):
                    method, state = "GET", (await answer.json())["properties"]["provisioningState"]
                pause = float(answer.headers.get("Retry-After", 1))
        except aiohttp.ClientError:
            statuses["broken"] += 1
            pause = 1.0
        await asyncio.sleep(pause)
    return state


if __name__ == "__main__":
    main(sys.argv[1:])
