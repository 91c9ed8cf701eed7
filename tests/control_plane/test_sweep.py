"""What was lost is sent again; what is old is removed."""

import time
from datetime import timedelta
from uuid import UUID

import pytest
from sqlalchemy import func, select, update

from control_plane.reconcile.expire import expire_jobs, expire_logs, expire_operations, expire_uploads
from control_plane.reconcile.resend import Resender
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
from tests.control_plane.control import Control, Outbox, anybody

LONG = timedelta(minutes=5)


@pytest.fixture
def queued(control: Control) -> int:
    """A generation whose message was lost a while ago."""
    endpoint, model = control.endpoint(), control.register()
    control.put(f"{endpoint}/deployments/blue", {"properties": {"model": model}})
    age(control)
    with control.sessions() as session:
        return session.scalars(select(GenerationRow.id)).one()


def age(control: Control) -> None:
    with control.sessions.begin() as session:
        session.execute(update(GenerationRow).values(modified_at=func.now() - LONG))
        session.execute(update(OperationRow).values(created_at=func.now() - LONG))


class TestResending:
    def test_a_generation_that_waits_is_sent_again_but_not_each_time(self, control, queued):
        outbox, now = Outbox(), [0.0]
        resender = Resender(control.sessions, outbox, lambda: now[0])
        for now[0] in (0, 5, 10, 15, 20):
            resender.resend()
        assert outbox.builds == [queued, queued]

    def test_one_that_was_just_sent_is_given_its_time(self, control):
        endpoint, model = control.endpoint(), control.register()
        control.put(f"{endpoint}/deployments/blue", {"properties": {"model": model}})
        outbox = Outbox()
        Resender(control.sessions, outbox).resend()
        assert outbox.builds == []

    def test_one_that_a_builder_works_on_is_left_alone_until_its_lease_has_run_out(self, control, queued):
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

    def test_one_that_is_built_is_no_builders_business(self, control, queued):
        control.build()
        age(control)
        outbox = Outbox()
        Resender(control.sessions, outbox).resend()
        assert outbox.builds == []

    def test_a_pruning_that_nobody_ended_is_sent_again(self, control):
        operation = control.operation(control.ask("POST", "/pruneEnvironments"))
        age(control)
        outbox = Outbox()
        Resender(control.sessions, outbox).resend()
        assert outbox.prunings == [UUID(operation["name"])]


class TestResendingJobs:
    @pytest.fixture
    def job(self, control: Control) -> int:
        """A job of two workers whose message was lost a while ago."""
        endpoint = control.batch_endpoint()
        control.batch_deployment(endpoint, control.register(), resources={"instanceCount": 2})
        control.submit(endpoint)
        age_jobs(control)
        return control.outbox.jobs[0]

    def test_one_that_nobody_works_on_is_sent_again_whatever_is_left_to_do(self, control, job):
        for state in ("Queued", "Preparing", "Running", "Finalizing", "CancelRequested"):
            age_jobs(control, state=state)
            assert sent_again(control) == [job], state

    def test_one_that_has_ended_is_not(self, control, job):
        for state in ("Completed", "Failed", "Canceled"):
            age_jobs(control, state=state)
            assert sent_again(control) == [], state

    def test_one_that_was_just_submitted_is_given_its_time(self, control, job):
        control.submit("/batchEndpoints/be-one")
        assert sent_again(control) == [job]

    def test_one_that_is_being_planned_is_left_alone_until_the_lease_has_run_out(self, control, job):
        with control.sessions.begin() as session:
            assert claim(session, JobRow, job)
        age_jobs(control, state="Preparing")
        assert sent_again(control) == []
        age_jobs(control, lease_until=func.now() - LONG)
        assert sent_again(control) == [job]

    def test_a_running_one_is_sent_again_while_more_workers_could_work_on_it(self, control, job):
        open_mini_batches(control, job, 3)
        assert self._sent_with_workers(control, job, 1) == [job]
        assert self._sent_with_workers(control, job, 2) == []

    def test_a_running_one_of_which_all_is_taken_is_left_alone(self, control, job):
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


class TestRemoving:
    def test_jobs_three_months_after_their_end_and_parts_that_nobody_needs(self, control):
        endpoint = control.batch_endpoint()
        control.batch_deployment(endpoint, control.register())
        names = [control.submit(endpoint)["name"] for _ in range(3)]
        old, ended, running = control.outbox.jobs
        for key in (ended, running):
            control.store.put(f"{parts_prefix(key)}0-abc", [b"x"])
        open_mini_batches(control, old, 2)
        with control.sessions.begin() as session:
            for key, days in ((old, 91), (ended, 89)):
                at = func.now() - timedelta(days=days)
                session.execute(update(JobRow).where(JobRow.id == key).values(state="Completed", ended_at=at))
        expire_jobs(control.sessions, control.store)
        assert [job["name"] for job in control.get("/jobs")["value"]] == [names[2], names[1]]
        assert list(control.store.list("batch/")) == [f"{parts_prefix(running)}0-abc"]

    def test_build_logs_of_batch_deployments_are_kept_as_long_as_others(self, control):
        control.batch_deployment(control.batch_endpoint(), control.register())
        with control.sessions() as session:
            living = session.scalars(select(BatchDeploymentRow.id)).one()
        for deployment in (living, living + 1):
            ship(control.store, batch_log(deployment), STORAGE_INITIALIZER, "b", [b"line\n"])
        expire_logs(control.sessions, control.store, now=time.time() + 2 * 86400)
        (kept,) = control.store.list("logs/")
        assert kept.startswith(f"logs/{batch_log(living)}/")

    def test_an_upload_left_for_a_day_and_its_chunks(self, control):
        left, fresh = control.start_upload(), control.start_upload()
        for upload in (left, fresh):
            anybody.put(upload.url("model/f"), content=b"x")
        control.store.put("uploads/00000000-0000-0000-0000-000000000000/orphan", [b"x"])
        with control.sessions.begin() as session:
            key = UUID(left.uri.rpartition("/")[2])
            session.execute(update(UploadRow).where(UploadRow.id == key).values(expires_at=func.now() - LONG))
        expire_uploads(control.sessions, control.store)
        (kept,) = control.store.list("uploads/")
        assert kept.split("/")[1] == fresh.uri.rpartition("/")[2]
        assert anybody.put(left.url("model/f"), content=b"x").status_code == 404
        assert anybody.head(fresh.url("model/f")).status_code == 200

    def test_operations_a_week_after_their_end(self, control):
        old = control.ask("PUT", "/onlineEndpoints/ep-one", {"properties": {"authMode": "key"}})
        control.gateways_apply()
        with control.sessions.begin() as session:
            session.execute(update(OperationRow).values(ended_at=func.now() - timedelta(days=8)))
        running = control.ask("PUT", "/onlineEndpoints/ep-two", {"properties": {"authMode": "key"}})
        expire_operations(control.sessions)
        assert control.http.get(old.headers["Azure-AsyncOperation"]).status_code == 404
        assert control.operation(running)["status"] == "InProgress"
        assert "AzureAsyncOperationUri" not in control.get("/onlineEndpoints/ep-one")["properties"]["properties"]

    def test_logs_a_month_after_they_were_written_and_those_of_the_gone_sooner(self, control):
        control.deployment(control.endpoint(), control.register())
        with control.sessions() as session:
            living = session.scalars(select(OnlineDeploymentRow.id)).one()
        for deployment in (living, living + 1):
            ship(control.store, deployment, INFERENCE_SERVER, "w", [b"line\n"])
        now, days = time.time(), 86400
        expire_logs(control.sessions, control.store, now=now + days / 2)
        assert len(list(control.store.list("logs/"))) == 2
        expire_logs(control.sessions, control.store, now=now + 2 * days)
        (kept,) = control.store.list("logs/")
        assert kept.startswith(f"logs/{living}/")
        expire_logs(control.sessions, control.store, now=now + 31 * days)
        assert not list(control.store.list("logs/"))


class TestTheBroker:
    def test_a_message_is_the_task_and_the_id(self, broker_url):
        dispatcher = CeleryDispatcher(broker_url)
        dispatcher.build_deployment(7)
        with dispatcher._app.connection_for_read() as connection, connection.SimpleQueue("builder") as queue:
            message = queue.get(timeout=10)
            message.ack()
        assert message.headers["task"] == "builder.build_deployment"
        assert message.decode()[0] == [7]

    def test_a_job_goes_to_the_batch_workers(self, broker_url):
        dispatcher = CeleryDispatcher(broker_url)
        dispatcher.run_job(7)
        with dispatcher._app.connection_for_read() as connection, connection.SimpleQueue("batch") as queue:
            message = queue.get(timeout=10)
            message.ack()
        assert message.headers["task"] == "batch.run_job"
        assert message.decode()[0] == [7]

    def test_while_it_is_away_nothing_is_raised(self, caplog):
        CeleryDispatcher("redis://:secret-password@127.0.0.1:9/0").build_deployment(7)
        assert "will be sent again" in caplog.text
        assert "secret-password" not in caplog.text
