"""Deaths and restarts: of the host, of the platform, of the database."""

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import pytest
from sqlalchemy import create_engine, update

from data_plane.replicas.local.spawn import LaunchSettings, spawn
from data_plane.replicas.local.worker_process import BATCH_WORKER_LABEL, WorkerProcess, kill, remove, wait_for_end
from data_plane.replicas.port import ReplicaSpec
from migrations.run import migrate
from modelyard.core.data_dir import DataDir
from modelyard.core.db.leases import claim, finish
from modelyard.core.db.rows import NamedLeaseRow
from modelyard.core.db.unit_of_work import open_database, sessions_of, transaction
from modelyard.core.domain.lifecycle import ProvisioningState
from modelyard.process.program import program_command
from modelyard.supervisor.postgres import DATABASE, EmbeddedPostgres
from tests.conftest import kept, wait_for_database
from tests.data_plane.host.host_harness import HostHarness, answering, routed
from tests.data_plane.replicas.worker_harness import PATIENCE, eventually

SUCCEEDED = ProvisioningState.SUCCEEDED


@pytest.fixture
def serving(harness: HostHarness) -> HostHarness:
    harness.deploy(answering("hello"), instances=2)
    harness.start_host()
    harness.eventually_is(SUCCEEDED)
    return harness


@pytest.fixture
def batch_worker(harness: HostHarness) -> Iterator[WorkerProcess]:
    bundle = harness.data_dir.bundles / "batch"
    bundle.mkdir()
    (bundle / "score.py").write_text("def init(): pass\ndef run(data): return data\n")
    spec = ReplicaSpec(
        endpoint="wines",
        deployment="nightly",
        generation=1,
        python=Path(sys.executable),
        bundle_dir=bundle,
        model_dir=harness.data_dir.models,
        labels={BATCH_WORKER_LABEL: "batch-0", "environment": "environment"},
    )
    worker = spawn(spec, LaunchSettings(harness.data_dir))
    yield worker
    kill(worker, "the test is over")
    assert wait_for_end(worker, PATIENCE)
    remove(worker, keep_log=False)


class TestRestartedHost:
    def test_restarted_host_adopts_running_workers(self, serving):
        before, snapshot = serving.pids(), serving.gateway.snapshot()
        serving.kill_host()
        serving.start_host()
        serving.scale(3)
        serving.eventually_is(SUCCEEDED)
        assert before < serving.routed()
        assert serving.gateway.snapshot().order > snapshot.order
        assert {row.restarts for row in serving.worker_rows()} == {0}

    def test_host_leaves_workers_of_batch_workers_alone(self, harness, batch_worker):
        harness.deploy(answering("hello"))
        harness.start_host()
        harness.eventually_is(SUCCEEDED)
        assert batch_worker.pid in harness.pids() - harness.routed()
        harness.stop_host()
        assert harness.pids() == {batch_worker.pid}

    def test_restarted_host_routes_to_adopted_workers_without_a_gap(self, serving):
        before = serving.routed()
        serving.kill_host()
        # A worker that answers late keeps its route.
        slow = min(before)
        os.kill(slow, signal.SIGSTOP)
        serving.gateway.seen.clear()
        serving.start_host()
        serving.scale(3)
        eventually(lambda: len(serving.routed()) == 3)
        os.kill(slow, signal.SIGCONT)
        assert all(before <= routed(snapshot) for snapshot in serving.gateway.seen)

    def test_worker_that_died_without_a_host_is_replaced(self, serving):
        victim, *others = sorted(serving.pids())
        serving.kill_host()
        os.kill(victim, signal.SIGKILL)
        serving.start_host()
        eventually(lambda: len(serving.routed()) == 2 and victim not in serving.routed())
        assert set(others) < serving.routed()
        reasons = eventually(lambda: [row.last_exit_reason for row in serving.worker_rows() if row.restarts == 1])
        assert "SIGKILL" in reasons[0]

    def test_adopted_worker_of_an_old_generation_is_ended(self, serving):
        before = serving.pids()
        serving.kill_host()
        serving.deploy(answering("new"))
        serving.start_host()
        serving.eventually_is(SUCCEEDED, serving=2)
        eventually(lambda: not serving.pids() & before)
        assert serving.answers() == {"new"}

    def test_restart_count_survives_a_host_restart(self, serving):
        os.kill(min(serving.pids()), signal.SIGKILL)
        eventually(lambda: sorted(row.restarts for row in serving.worker_rows()) == [0, 1])
        eventually(lambda: len(serving.routed()) == 2)
        serving.kill_host()
        serving.start_host()
        serving.scale(1)
        serving.eventually_is(SUCCEEDED)
        serving.scale(2)
        serving.eventually_is(SUCCEEDED)
        assert sum(row.restarts for row in serving.worker_rows()) <= 1

    def test_restarted_host_finishes_a_running_operation(self, harness):
        harness.gateway.is_attentive.clear()
        harness.deploy(answering("hello"))
        harness.start_host()
        eventually(harness.routed)
        before = harness.pids()
        harness.kill_host()
        harness.start_host()
        harness.gateway.is_attentive.set()
        harness.eventually_is(SUCCEEDED, operation="Succeeded")
        assert harness.pids() == before


class TestHostStop:
    def test_stopped_host_leaves_no_worker_and_no_files(self, serving):
        assert serving.stop_host() == 0
        assert not serving.workers()
        assert not serving.routed()
        assert not serving.worker_rows()
        left = [
            path.name for path in (*serving.data_dir.workers.iterdir(), *serving.data_dir.worker_run_files.iterdir())
        ]
        assert left == []

    def test_deployments_serve_again_after_a_stop_and_start(self, serving):
        before = serving.routed()
        serving.stop_host()
        serving.start_host()
        eventually(lambda: len(serving.routed()) == 2 and not serving.routed() & before)
        assert serving.answers() == {"hello"}
        assert serving.deployment().state == SUCCEEDED

    def test_host_and_workers_end_with_the_supervisors_lifeline(self, serving):
        serving.drop_lifeline()
        assert serving.host is not None
        assert serving.host.wait(PATIENCE) == 1
        eventually(lambda: not serving.workers())


class TestSecondHost:
    def test_second_host_waits_for_the_end_of_the_first(self, serving):
        first = serving.host
        second = serving.start_host()
        serving.scale(1)
        serving.eventually_is(SUCCEEDED)
        holder = serving.rows(NamedLeaseRow)[0].lease_token
        first.kill()
        first.wait(PATIENCE)
        serving.scale(2)
        serving.eventually_is(SUCCEEDED)
        assert serving.host.pid == second
        assert serving.rows(NamedLeaseRow)[0].lease_token == holder

    def test_waiting_host_that_is_stopped_touches_no_worker(self, serving):
        before = serving.pids()
        serving.start_host()
        eventually(lambda: "waiting for its end" in serving.log.read_text())
        assert serving.stop_host() == 0
        assert serving.pids() == before


class TestLeaseOfAnotherMachine:
    def test_host_waits_for_the_lease_of_another_machine(self, harness, sessions):
        with transaction(sessions) as work:
            other = claim(work.session, NamedLeaseRow, "host")
        harness.start_host()
        eventually(lambda: "another host holds the lease" in harness.log.read_text())
        assert harness.gateway.snapshot() is None
        with transaction(sessions) as work:
            assert finish(work.session, other)
        eventually(harness.gateway.snapshot)

    def test_host_that_lost_its_lease_ends_and_leaves_its_workers(self, serving, sessions):
        before = serving.pids()
        with transaction(sessions) as work:
            work.session.execute(update(NamedLeaseRow).values(lease_token=uuid4()))
        assert serving.host.wait(PATIENCE) == 1
        assert serving.pids() == before


@contextmanager
def postgres_running(server: EmbeddedPostgres) -> Iterator[None]:
    account = server.account
    user = ["--uid", str(account.pw_uid), "--gid", str(account.pw_gid)] if account else []
    with kept(server.command(), server.log, "--cwd", str(server.cluster), "--stop-signal", "INT", *user):
        wait_for_database(server.url())
        yield


class TestHostWithoutDatabase:
    def test_host_replaces_workers_without_the_database_and_catches_up(self):
        with tempfile.TemporaryDirectory(prefix="my-host-") as folder:
            Path(folder).chmod(0o711)
            own = DataDir(Path(folder) / "postgres")
            own.prepare()
            server = EmbeddedPostgres(own)
            server.prepare()
            url = server.url(DATABASE)
            engine = open_database(url)
            with postgres_running(server):
                migrating = create_engine(url)
                migrate(migrating)
                migrating.dispose()
                harness = HostHarness(Path(folder), sessions_of(engine), url)
                harness.endpoint()
                harness.deploy(answering("hello"))
                harness.start_host()
                harness.eventually_is(SUCCEEDED)
            engine.dispose()
            revision = harness.gateway.snapshot().revision
            (old,) = harness.pids()
            os.kill(old, signal.SIGKILL)
            eventually(lambda: harness.routed() and harness.routed() != {old})
            assert harness.gateway.snapshot().revision == revision
            with postgres_running(server):
                harness.scale(2)
                harness.eventually_is(SUCCEEDED)
                assert len(harness.routed()) == 2
                engine.dispose()
                harness.end()


def test_host_without_settings_names_the_missing_setting():
    done = subprocess.run(program_command("data_plane.host.main"), env={}, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "MODELYARD_DATA_DIR" in done.stderr
