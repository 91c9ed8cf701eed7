"""Any process may die at any moment: the output has the same bytes as without deaths."""

import os
import random
import signal
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import psutil
import pytest
from sqlalchemy import create_engine

from migrations.run import migrate
from modelyard.core.data_dir import DataDir
from modelyard.core.db.unit_of_work import open_database, sessions_of
from modelyard.supervisor.postgres import DATABASE, EmbeddedPostgres
from modelyard.supervisor.valkey import EmbeddedValkey
from tests.conftest import kept, wait_for_database
from tests.data_plane.batch.batch_harness import BatchHarness, csv, predicted
from tests.data_plane.replicas.worker_harness import eventually

# Slow enough for kills in between.
SLOW = """
    import os, time

    def init():
        pass

    def run(data, params=None):
        time.sleep(float(os.environ["SECONDS"]))
        return data["x"].to_numpy() * 2
"""

GATED = """
    import os, time

    def init():
        pass

    def run(data, params=None):
        while (data["id"] >= 20).any() and not os.path.exists(os.environ["GATE"]):
            time.sleep(0.01)
        return data["x"].to_numpy() * 2
"""


class TestDeaths:
    def test_job_continues_after_its_batch_worker_is_killed(self, harness: BatchHarness) -> None:
        harness.start_worker()
        gate = harness.data_dir.root / "gate"
        files = {f"{n}.csv": csv(10 * n, 3) for n in range(4)}
        job = harness.submit(files, GATED, variables={"GATE": str(gate)})
        eventually(lambda: [each.attempt for each in harness.mini_batches(job)] == [1, 1, 1, 0], within=60)
        (orphan,) = harness.workers()
        harness.kill_worker()
        eventually(lambda: not orphan.is_running())
        gate.touch()
        harness.start_worker()
        with harness.sweeping(job):
            assert harness.completed(job) == b"".join(predicted(f"{n}.csv", 10 * n, 3) for n in range(4))
        # Finished mini-batches were not repeated.
        assert [each.attempt for each in harness.mini_batches(job)] == [1, 1, 2, 1]
        assert not orphan.run_file.exists()

    def test_stopped_batch_worker_releases_its_mini_batch_at_once(self, harness: BatchHarness) -> None:
        harness.start_worker()
        gate = harness.data_dir.root / "gate"
        job = harness.submit({"2.csv": csv(20, 3)}, GATED, variables={"GATE": str(gate)})
        eventually(lambda: any(each.lease_token for each in harness.mini_batches(job)) and harness.workers(), within=60)
        assert harness.stop_worker() == 0
        assert [each.lease_token for each in harness.mini_batches(job)] == [None]
        assert not harness.workers()


class Servers:
    """A Postgres and a Valkey for the test, restarted after each kill."""

    def __init__(self, folder: Path) -> None:
        data_dir = DataDir(folder / "servers")
        data_dir.prepare()
        self.postgres = EmbeddedPostgres(data_dir)
        self.postgres.prepare()
        self._valkey = EmbeddedValkey(data_dir)
        self._valkey.prepare()
        self.broker_url = self._valkey.url
        self._running = {"postgres": ExitStack(), "valkey": ExitStack()}
        self._start_postgres()
        self._start_valkey()
        server = create_engine(self.postgres.url("postgres"), isolation_level="AUTOCOMMIT")
        with server.connect() as connection:
            connection.exec_driver_sql(f"CREATE DATABASE {DATABASE}")
        server.dispose()
        migrate(engine := create_engine(self.postgres.url()))
        engine.dispose()

    def kill(self, name: str) -> None:
        """Kill and restart a server."""
        processes = psutil.Process(self._shims[name]).children(recursive=True)
        os.kill(self._shims[name], signal.SIGKILL)
        self._running[name].close()
        # A new Postgres ends at once beside the lock file of one that still stops.
        _, alive = psutil.wait_procs(processes, timeout=60)
        assert not alive
        self._start_postgres() if name == "postgres" else self._start_valkey()

    def _start_postgres(self) -> None:
        account = self.postgres.account
        user = ["--uid", str(account.pw_uid), "--gid", str(account.pw_gid)] if account else []
        options = ["--cwd", str(self.postgres.cluster), "--stop-signal", "INT", "--death-signal", "QUIT", *user]
        self._start("postgres", self.postgres.command(), self.postgres.log, options)
        wait_for_database(self.postgres.url("postgres"))

    def _start_valkey(self) -> None:
        folder = str(self._valkey.data_dir.valkey)
        self._start("valkey", self._valkey.command(), self._valkey.log, ["--cwd", folder])

    def _start(self, name: str, command: list[str], log: Path, options: list[str]) -> None:
        shims = getattr(self, "_shims", {})
        shims[name] = self._running[name].enter_context(kept(command, log, *options))
        self._shims: dict[str, int] = shims

    def end(self) -> None:
        for running in self._running.values():
            running.close()


@pytest.fixture
def servers() -> Iterator[Servers]:
    with tempfile.TemporaryDirectory(prefix="my-servers-") as folder:
        Path(folder).chmod(0o711)
        servers = Servers(Path(folder))
        yield servers
        servers.end()


@pytest.fixture
def own_harness(servers: Servers) -> Iterator[BatchHarness]:
    with tempfile.TemporaryDirectory(prefix="my-batch-") as folder:
        Path(folder).chmod(0o711)
        engine = open_database(servers.postgres.url())
        harness = BatchHarness(Path(folder), sessions_of(engine), servers.postgres.url(), servers.broker_url)
        yield harness
        harness.end()
        engine.dispose()


def kill_something(chance: random.Random, harness: BatchHarness, servers: Servers) -> str:
    victim = chance.choice(["batch worker", "batch worker", "model worker", "model worker", "postgres", "valkey"])
    match victim:
        case "batch worker":
            index = chance.randrange(2)
            harness.kill_worker(index)
            harness.start_worker(index, workers=2)
        case "model worker":
            model_workers = harness.workers()
            if model_workers:
                os.kill(chance.choice(model_workers).pid, signal.SIGKILL)
        case _:
            servers.kill(victim)
    return victim


def survives_kills(harness: BatchHarness, servers: Servers, *, mini_batches: int, kills: int, pause: float) -> None:
    seed = int(os.environ.get("CHAOS_SEED", "0")) or random.SystemRandom().randrange(1, 1 << 30)
    print(f"CHAOS_SEED={seed}")
    chance = random.Random(seed)
    names = [f"{n:04}.csv" for n in range(2 * mini_batches)]
    files = {name: csv(50 * n, 50) for n, name in enumerate(names)}
    for index in range(2):
        harness.start_worker(index, workers=2)
    began = time.monotonic()
    # Each death of a model worker is a failed try of a span.
    settings = {"mini_batch_size": 2, "max_concurrency_per_instance": 2, "max_retries": kills}
    job = harness.submit(files, SLOW, variables={"SECONDS": "0.1"}, **settings)
    killed = []
    with harness.sweeping(job):
        for _ in range(kills):
            time.sleep(chance.uniform(0.2, pause))
            killed.append(kill_something(chance, harness, servers))
        output = harness.completed(job, within=600)
    print(f"{killed} in {time.monotonic() - began:.0f} s")
    assert output == b"".join(predicted(name, 50 * n, 50) for n, name in enumerate(names))
    assert harness.row(job).mini_batches == mini_batches
    ids = [float(line.split(b",")[1]) for line in output.splitlines()]
    assert sorted(ids) == [float(i) for i in range(100 * mini_batches)]


class TestChaos:
    def test_forty_mini_batches_survive_random_kills(self, own_harness: BatchHarness, servers: Servers) -> None:
        survives_kills(own_harness, servers, mini_batches=40, kills=5, pause=2.0)

    @pytest.mark.long
    @pytest.mark.timeout(1200)
    def test_two_hundred_mini_batches_survive_random_kills(self, own_harness: BatchHarness, servers: Servers) -> None:
        survives_kills(own_harness, servers, mini_batches=200, kills=30, pause=3.0)
