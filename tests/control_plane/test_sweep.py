"""The sweep: lost messages are sent again, and what has reached the end of its retention is removed."""

import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import func, select, update

from control_plane.reconcile.expire import (
    expire_jobs,
    expire_logs,
    expire_operations,
    expire_uploads,
    remove_orphaned_chunks,
    remove_orphaned_parts,
)
from control_plane.reconcile.resend import Resender
from control_plane.reconcile.sweep import PeriodicTask, Sweep, periodic_tasks
from control_plane.workflows.dispatcher import CeleryDispatcher
from modelyard.core.db.leases import claim
from modelyard.core.db.rows import (
    BatchDeploymentRow,
    GenerationRow,
    JobRow,
    MiniBatchRow,
    OnlineDeploymentRow,
    OperationRow,
    UploadRow,
)
from modelyard.core.domain.job_files import parts_prefix
from modelyard.core.domain.lifecycle import GenerationState, MiniBatchState
from modelyard.core.logs import INFERENCE_SERVER, STORAGE_INITIALIZER, batch_log, ship
from modelyard.core.ports.object_store import StoreUnavailable
from modelyard.core.settings import RetentionSettings
from tests.control_plane.control import Control, Outbox, Upload, anonymous

LONG = timedelta(minutes=5)

RETENTION = RetentionSettings()


@pytest.fixture
def queued(control: Control) -> int:
    """The id of a generation whose message was lost five minutes ago."""
    endpoint, model = control.endpoint(), control.register()
    control.put(f"{endpoint}/deployments/blue", {"properties": {"model": model}})
    age(control)
    with control.sessions() as session:
        return session.scalars(select(GenerationRow.id)).one()


def age(control: Control) -> None:
    with control.sessions.begin() as session:
        session.execute(update(GenerationRow).values(modified_at=func.now() - LONG))
        session.execute(update(OperationRow).values(created_at=func.now() - LONG))


class TestResendingBuilds:
    def test_queued_generation_is_sent_again_every_15_seconds(self, control, queued):
        outbox, now = Outbox(), [0.0]
        resender = Resender(control.sessions, outbox, lambda: now[0])
        for now[0] in (0, 5, 10, 15, 20):
            resender.resend()
        assert outbox.builds == [queued, queued]

    def test_generation_that_was_just_queued_is_not_sent_again(self, control):
        endpoint, model = control.endpoint(), control.register()
        control.put(f"{endpoint}/deployments/blue", {"properties": {"model": model}})
        outbox = Outbox()
        Resender(control.sessions, outbox).resend()
        assert outbox.builds == []

    def test_generation_in_a_builder_is_sent_again_once_the_lease_has_expired(self, control, queued):
        with control.sessions.begin() as session:
            assert claim(session, GenerationRow, queued)
            session.get_one(GenerationRow, queued).state = GenerationState.BUILDING
        age(control)
        outbox = Outbox()
        Resender(control.sessions, outbox).resend()
        assert outbox.builds == []
        with control.sessions.begin() as session:
            session.execute(update(GenerationRow).values(lease_until=func.now() - LONG, modified_at=func.now() - LONG))
        Resender(control.sessions, outbox).resend()
        assert outbox.builds == [queued]

    def test_built_generation_is_not_sent_again(self, control, queued):
        control.build()
        age(control)
        outbox = Outbox()
        Resender(control.sessions, outbox).resend()
        assert outbox.builds == []

    def test_unfinished_pruning_is_sent_again(self, control):
        operation = control.operation(control.ask("POST", "/pruneEnvironments"))
        age(control)
        outbox = Outbox()
        Resender(control.sessions, outbox).resend()
        assert outbox.prunings == [UUID(operation["name"])]


class TestResendingJobs:
    @pytest.fixture
    def job(self, control: Control) -> int:
        """The id of a job for two workers whose message was lost five minutes ago."""
        endpoint = control.batch_endpoint()
        control.batch_deployment(endpoint, control.register(), resources={"instanceCount": 2})
        control.submit(endpoint)
        age_jobs(control)
        return control.outbox.jobs[0]

    def test_job_without_a_worker_is_sent_again_in_every_state_before_its_end(self, control, job):
        for state in ("Queued", "Preparing", "Running", "Finalizing", "CancelRequested"):
            age_jobs(control, state=state)
            assert sent_again(control) == [job], state

    def test_ended_job_is_not_sent_again(self, control, job):
        for state in ("Completed", "Failed", "Canceled"):
            age_jobs(control, state=state)
            assert sent_again(control) == [], state

    def test_job_that_was_just_submitted_is_not_sent_again(self, control, job):
        control.submit("/batchEndpoints/be-one")
        assert sent_again(control) == [job]

    def test_job_in_planning_is_sent_again_once_the_lease_has_expired(self, control, job):
        with control.sessions.begin() as session:
            assert claim(session, JobRow, job)
        age_jobs(control, state="Preparing")
        assert sent_again(control) == []
        age_jobs(control, lease_until=func.now() - LONG)
        assert sent_again(control) == [job]

    def test_running_job_is_sent_again_while_it_has_fewer_workers_than_its_concurrency(self, control, job):
        open_mini_batches(control, job, 3)
        assert self._sent_with_workers(control, job, 1) == [job]
        assert self._sent_with_workers(control, job, 2) == []

    def test_running_job_without_an_open_mini_batch_is_not_sent_again(self, control, job):
        open_mini_batches(control, job, 1)
        assert self._sent_with_workers(control, job, 1) == []

    def _sent_with_workers(self, control: Control, job: int, workers: int) -> list[int]:
        with control.sessions.begin() as session:
            session.execute(update(MiniBatchRow).values(lease_token=None, lease_until=None))
            for key in session.scalars(select(MiniBatchRow.id).order_by(MiniBatchRow.number).limit(workers)).all():
                assert claim(session, MiniBatchRow, key)
        age_jobs(control, state="Running")
        return sent_again(control)


def age_jobs(control: Control, **values: object) -> None:
    with control.sessions.begin() as session:
        session.execute(update(JobRow).values(modified_at=func.now() - LONG, **values))


def open_mini_batches(control: Control, job: int, count: int) -> None:
    with control.sessions.begin() as session:
        for number in range(count):
            session.add(MiniBatchRow(job_id=job, number=number, state=MiniBatchState.QUEUED, spans=[], failures=[]))


def sent_again(control: Control) -> list[int]:
    outbox = Outbox()
    Resender(control.sessions, outbox).resend()
    return outbox.jobs


class TestExpiry:
    def test_job_goes_90_days_after_its_end(self, control):
        endpoint = control.batch_endpoint()
        control.batch_deployment(endpoint, control.register())
        names = [control.submit(endpoint)["name"] for _ in range(3)]
        old, ended, _running = control.outbox.jobs
        open_mini_batches(control, old, 2)
        end_job(control, old, days_ago=91)
        end_job(control, ended, days_ago=89)
        expire_jobs(control.sessions, RETENTION)
        assert [job["name"] for job in control.get("/jobs")["value"]] == [names[2], names[1]]

    def test_parts_of_an_output_go_with_the_end_of_their_job(self, control):
        endpoint = control.batch_endpoint()
        control.batch_deployment(endpoint, control.register())
        for _ in range(2):
            control.submit(endpoint)
        ended, running = control.outbox.jobs
        for job in (ended, running, running + 1):
            control.store.put(f"{parts_prefix(job)}0-abc", [b"x"])
        end_job(control, ended, days_ago=0)
        remove_orphaned_parts(control.sessions, control.store)
        assert list(control.store.list("batch/")) == [f"{parts_prefix(running)}0-abc"]

    def test_abandoned_upload_goes_after_a_day_with_its_chunks(self, control):
        left, fresh = control.start_upload(), control.start_upload()
        for upload in (left, fresh):
            anonymous.put(upload.url("model/f"), content=b"x")
        control.store.put("uploads/00000000-0000-0000-0000-000000000000/orphan", [b"x"])
        let_upload_expire(control, left)
        expire_uploads(control.sessions)
        remove_orphaned_chunks(control.sessions, control.store)
        (kept,) = control.store.list("uploads/")
        assert kept.split("/")[1] == upload_id(fresh)
        assert anonymous.put(left.url("model/f"), content=b"x").status_code == 404
        assert anonymous.head(fresh.url("model/f")).status_code == 200

    def test_operation_goes_a_week_after_its_end(self, control):
        old = control.ask("PUT", "/onlineEndpoints/ep-one", {"properties": {"authMode": "key"}})
        control.gateways_apply()
        with control.sessions.begin() as session:
            session.execute(update(OperationRow).values(ended_at=func.now() - timedelta(days=8)))
        running = control.ask("PUT", "/onlineEndpoints/ep-two", {"properties": {"authMode": "key"}})
        expire_operations(control.sessions, RETENTION)
        assert control.http.get(old.headers["Azure-AsyncOperation"]).status_code == 404
        assert control.operation(running)["status"] == "InProgress"
        assert "AzureAsyncOperationUri" not in control.get("/onlineEndpoints/ep-one")["properties"]["properties"]

    def test_log_goes_a_month_after_its_writing_and_a_day_after_it_without_its_deployment(self, control):
        control.deployment(control.endpoint(), control.register())
        with control.sessions() as session:
            living = session.scalars(select(OnlineDeploymentRow.id)).one()
        for deployment in (living, living + 1):
            ship(control.store, deployment, INFERENCE_SERVER, "w", [b"line\n"])
        now, days = time.time(), 86400
        expire_logs(control.sessions, control.store, RETENTION, now=now + days / 2)
        assert len(list(control.store.list("logs/"))) == 2
        expire_logs(control.sessions, control.store, RETENTION, now=now + 2 * days)
        (kept,) = control.store.list("logs/")
        assert kept.startswith(f"logs/{living}/")
        expire_logs(control.sessions, control.store, RETENTION, now=now + 31 * days)
        assert not list(control.store.list("logs/"))

    def test_build_log_of_a_batch_deployment_is_kept_while_the_deployment_exists(self, control):
        control.batch_deployment(control.batch_endpoint(), control.register())
        with control.sessions() as session:
            living = session.scalars(select(BatchDeploymentRow.id)).one()
        for deployment in (living, living + 1):
            ship(control.store, batch_log(deployment), STORAGE_INITIALIZER, "b", [b"line\n"])
        expire_logs(control.sessions, control.store, RETENTION, now=time.time() + 2 * 86400)
        (kept,) = control.store.list("logs/")
        assert kept.startswith(f"logs/{batch_log(living)}/")


def end_job(control: Control, job: int, *, days_ago: int) -> None:
    with control.sessions.begin() as session:
        at = func.now() - timedelta(days=days_ago)
        session.execute(update(JobRow).where(JobRow.id == job).values(state="Completed", ended_at=at))


def upload_id(upload: Upload) -> str:
    return upload.uri.rpartition("/")[2]


def let_upload_expire(control: Control, upload: Upload) -> None:
    with control.sessions.begin() as session:
        key = UUID(upload_id(upload))
        session.execute(update(UploadRow).where(UploadRow.id == key).values(expires_at=func.now() - LONG))


class StoreThatIsAway:
    """An object store that does not answer."""

    def __getattr__(self, method: str) -> Callable[..., Any]:
        def fail(*_: object, **__: object) -> None:
            raise StoreUnavailable(f"{method}: no answer")

        return fail


class TestSweep:
    def test_rows_expire_while_the_object_store_is_away(self, control, caplog):
        left = control.start_upload()
        let_upload_expire(control, left)
        control.ask("PUT", "/onlineEndpoints/ep-one", {"properties": {"authMode": "key"}})
        control.gateways_apply()
        endpoint = control.batch_endpoint()
        control.batch_deployment(endpoint, control.register())
        control.submit(endpoint)
        end_job(control, control.outbox.jobs[0], days_ago=91)
        with control.sessions.begin() as session:
            session.execute(update(OperationRow).values(ended_at=func.now() - timedelta(days=8)))

        Sweep(periodic_tasks(control.sessions, StoreThatIsAway(), Outbox(), RETENTION)).sweep()

        with control.sessions() as session:
            assert session.scalars(select(UploadRow)).all() == []
            assert session.scalars(select(JobRow)).all() == []
            assert session.scalars(select(OperationRow).where(OperationRow.status != "InProgress")).all() == []
        for name in ("removing orphaned chunks of uploads", "removing orphaned parts of outputs", "expiring logs"):
            assert f"{name} failed and will be tried again: list: no answer" in caplog.text

    def test_task_that_fails_holds_up_no_other_task(self):
        ran: list[str] = []
        tasks = (PeriodicTask("failing", lambda: 1 / 0), PeriodicTask("working", lambda: ran.append("working")))
        Sweep(tasks).sweep()
        assert ran == ["working"]

    def test_task_runs_when_its_pause_is_over_and_sooner_after_a_failure(self):
        now, times, failures = [0.0], [], iter([True, True, False, False])

        def run() -> None:
            times.append(now[0])
            if next(failures):
                raise ConnectionError

        task = PeriodicTask("hourly", run, every_seconds=3600, retry_seconds=60)
        sweep = Sweep([task], clock=lambda: now[0])
        for now[0] in range(0, 4000, 5):
            sweep.sweep()
        assert times == [0, 60, 120, 3720]


class TestMessages:
    def test_message_to_a_builder_is_the_task_and_the_id(self, broker_url):
        dispatcher = CeleryDispatcher(broker_url)
        with dispatcher._app.connection_for_read() as connection, connection.SimpleQueue("builder") as queue:
            # Messages of other tests on the shared broker.
            queue.clear()
            dispatcher.build_deployment(7)
            message = queue.get(timeout=10)
            message.ack()
        assert message.headers["task"] == "builder.build_deployment"
        assert message.decode()[0] == [7]

    def test_message_to_a_batch_worker_is_the_task_and_the_id(self, broker_url):
        dispatcher = CeleryDispatcher(broker_url)
        with dispatcher._app.connection_for_read() as connection, connection.SimpleQueue("batch") as queue:
            queue.clear()
            dispatcher.run_job(7)
            message = queue.get(timeout=10)
            message.ack()
        assert message.headers["task"] == "batch.run_job"
        assert message.decode()[0] == [7]

    def test_broker_that_is_away_raises_nothing_and_its_password_stays_out_of_the_log(self, caplog):
        CeleryDispatcher("redis://:secret-password@127.0.0.1:9/0").build_deployment(7)
        assert "will resend it" in caplog.text
        assert "secret-password" not in caplog.text
