"""Claims of several mini-batches: small mini-batches share a transaction and a part of the output."""

from dataclasses import replace

import pytest
from sqlalchemy import select, update

from data_plane.batch import repository
from data_plane.batch.repository import MiniBatchOutcome, PlannedMiniBatches, PlanStep, ScoreStep
from modelyard.core.db.leases import renew_all
from modelyard.core.db.rows import JobRow, MiniBatchRow
from modelyard.core.db.unit_of_work import Sessions
from modelyard.core.domain.batch import BatchSettings, InputKind
from modelyard.core.domain.lifecycle import JobState, MiniBatchState

SCORED = MiniBatchOutcome(None, 1, (), 0.1, has_scored=True)


@pytest.fixture
def job(sessions: Sessions) -> int:
    """A running job of two workers with 24 mini-batches."""
    row = JobRow(
        workspace_id=1,
        name="job-1",
        endpoint="wines",
        deployment="blue",
        bundle_hash="b",
        lock_hash="l",
        settings=replace(BatchSettings(), instance_count=2).to_dict(),
        input_kind=InputKind.URI_FOLDER,
        input_uri="",
        input_key="input",
        output_key="out",
        logs_prefix="logs/",
        state=JobState.QUEUED,
    )
    with sessions.begin() as session:
        session.add(row)
    with sessions.begin() as session:
        step = repository.claim_step(session, row.id, "planner")
        assert isinstance(step, PlanStep)
        assert repository.record_plan(session, step, PlannedMiniBatches([[]] * 24, 24, None, ()))
    return row.id


def claimed(sessions: Sessions, job: int, most: int) -> ScoreStep | None:
    with sessions.begin() as session:
        step = repository.claim_step(session, job, "worker", most)
    assert step is None or isinstance(step, ScoreStep)
    return step


def numbers(step: ScoreStep | None) -> list[int] | None:
    return None if step is None else [each.number for each in step.mini_batches]


def change(sessions: Sessions, job: int, number: int, **values: object) -> None:
    with sessions.begin() as session:
        wanted = MiniBatchRow.job_id == job, MiniBatchRow.number == number
        session.execute(update(MiniBatchRow).where(*wanted).values(**values))


def test_workers_claim_different_adjacent_mini_batches(sessions: Sessions, job: int) -> None:
    assert numbers(claimed(sessions, job, 3)) == [0, 1, 2]
    assert numbers(claimed(sessions, job, 3)) == [3, 4, 5]


def test_claims_count_as_workers_in_the_jobs_concurrency(sessions: Sessions, job: int) -> None:
    for _ in range(2):
        assert claimed(sessions, job, 3)
    assert claimed(sessions, job, 3) is None


def test_claim_leaves_work_for_the_other_workers(sessions: Sessions, job: int) -> None:
    assert numbers(claimed(sessions, job, 100)) == [0, 1, 2, 3, 4, 5]


def test_mini_batch_that_was_attempted_before_is_claimed_alone(sessions: Sessions, job: int) -> None:
    change(sessions, job, 0, attempt=1)
    change(sessions, job, 3, attempt=1)
    assert numbers(claimed(sessions, job, 5)) == [0]
    assert numbers(claimed(sessions, job, 5)) == [1, 2]


def test_claim_ends_before_a_mini_batch_that_another_worker_has(sessions: Sessions, job: int) -> None:
    change(sessions, job, 2, state=MiniBatchState.COMPLETED)
    assert numbers(claimed(sessions, job, 5)) == [0, 1]


def test_no_result_counts_once_one_lease_of_the_claim_is_lost(sessions: Sessions, job: int) -> None:
    step = claimed(sessions, job, 3)
    assert step is not None
    change(sessions, job, 1, lease_token=None, lease_until=None)
    with sessions.begin() as session:
        assert not renew_all(session, step.claims)
        assert not repository.record_outcomes(session, step, [SCORED] * 3)
    with sessions.begin() as session:
        assert set(session.scalars(select(MiniBatchRow.state))) == {MiniBatchState.QUEUED}


def test_results_of_a_claim_are_recorded_each_on_its_mini_batch(sessions: Sessions, job: int) -> None:
    step = claimed(sessions, job, 3)
    assert step is not None
    outcomes = [replace(SCORED, part_key="part"), replace(SCORED, has_scored=False, rows=0), replace(SCORED, rows=7)]
    with sessions.begin() as session:
        assert renew_all(session, step.claims)
        assert repository.record_outcomes(session, step, outcomes)
        rows = session.execute(
            select(MiniBatchRow.state, MiniBatchRow.part_key, MiniBatchRow.rows, MiniBatchRow.lease_token)
            .order_by(MiniBatchRow.number)
            .limit(3)
        ).all()
    assert [tuple(row) for row in rows] == [
        (MiniBatchState.COMPLETED, "part", 1, None),
        (MiniBatchState.FAILED, None, 0, None),
        (MiniBatchState.COMPLETED, None, 7, None),
    ]
