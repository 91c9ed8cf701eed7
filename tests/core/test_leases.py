"""Claim, renew, finish: the result of exactly one worker counts."""

import pytest
from sqlalchemy import Engine, text
from sqlalchemy.orm import Session

from modelyard.core.db.leases import claim, finish, renew
from modelyard.core.db.rows import EnvironmentBuildRow
from modelyard.core.domain.lifecycle import BuildState

SPEC = "a" * 64


@pytest.fixture
def queued(engine: Engine) -> str:
    with Session(engine) as session, session.begin():
        session.add(EnvironmentBuildRow(spec_hash=SPEC, spec={}, state=BuildState.QUEUED))
    return SPEC


def claim_build(session: Session):
    return claim(session, EnvironmentBuildRow, SPEC, states=(BuildState.QUEUED, BuildState.BUILDING))


def let_the_lease_expire(engine: Engine) -> None:
    with engine.begin() as connection:
        connection.execute(text("UPDATE environment_builds SET lease_until = now() - interval '1 second'"))


class TestClaim:
    def test_only_one_worker_gets_a_build(self, engine, queued):
        with Session(engine) as session, session.begin():
            assert claim_build(session) is not None
        with Session(engine) as session, session.begin():
            assert claim_build(session) is None

    def test_build_of_a_dead_worker_is_claimed_again_as_the_next_attempt(self, engine, queued):
        with Session(engine) as session, session.begin():
            first = claim_build(session)
        let_the_lease_expire(engine)
        with Session(engine) as session, session.begin():
            second = claim_build(session)
        assert (first.attempt, second.attempt) == (1, 2)

    def test_finished_build_is_not_claimed(self, engine, queued):
        with Session(engine) as session, session.begin():
            assert finish(session, claim_build(session), state=BuildState.SUCCEEDED)
        with Session(engine) as session, session.begin():
            assert claim_build(session) is None


class TestFinish:
    def test_result_of_a_worker_that_lost_the_lease_is_dropped(self, engine, queued):
        with Session(engine) as session, session.begin():
            slow = claim_build(session)
        let_the_lease_expire(engine)
        with Session(engine) as session, session.begin():
            quick = claim_build(session)
            assert finish(session, quick, state=BuildState.SUCCEEDED, lock="quick")
        with Session(engine) as session, session.begin():
            assert not finish(session, slow, state=BuildState.SUCCEEDED, lock="slow")
            assert session.get_one(EnvironmentBuildRow, SPEC).lock == "quick"


class TestRenew:
    def test_renewed_lease_excludes_another_worker(self, engine, queued):
        with Session(engine) as session, session.begin():
            held = claim_build(session)
        let_the_lease_expire(engine)
        with Session(engine) as session, session.begin():
            assert renew(session, held)
        with Session(engine) as session, session.begin():
            assert claim_build(session) is None

    def test_lease_that_another_worker_holds_cannot_be_renewed(self, engine, queued):
        with Session(engine) as session, session.begin():
            held = claim_build(session)
        let_the_lease_expire(engine)
        with Session(engine) as session, session.begin():
            claim_build(session)
            assert not renew(session, held)
