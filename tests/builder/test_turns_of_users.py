"""Builders serve the users in turn. Each build of these tests fails soon: the model folder has no MLmodel file."""

from collections import Counter
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select, update

from builder.generation import BuildContext, build_next_generation
from builder.repository import next_generation
from builder.tasks import BUILD_DEPLOYMENT, create_app, register_tasks
from modelyard.core.adapters.folder_store import FolderStore
from modelyard.core.data_dir import DataDir
from modelyard.core.db.rows import GenerationRow
from modelyard.core.db.unit_of_work import Sessions, transaction
from modelyard.core.domain.lifecycle import GenerationState
from tests.builder.deployments import Deployments


@pytest.fixture
def store(tmp_path: Path) -> FolderStore:
    return FolderStore(tmp_path / "objects")


@pytest.fixture
def deployments(sessions: Sessions, store: FolderStore) -> Deployments:
    return Deployments(sessions, store)


@pytest.fixture
def context(sessions: Sessions, store: FolderStore, toolchain: Any, tmp_path: Path) -> BuildContext:
    (tmp_path / "models").mkdir()
    return BuildContext(sessions, store, tmp_path / "models", toolchain, max_attempts=5)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "model.pkl").write_bytes(b"")
    return folder


def users_in_order(sessions: Sessions) -> list[str]:
    """Users of the started builds, the earliest first."""
    started = select(GenerationRow.created_by).where(GenerationRow.build_started_at.is_not(None))
    with sessions() as session:
        return list(session.scalars(started.order_by(GenerationRow.build_started_at)))


def chosen(sessions: Sessions, told: int = -1) -> int | None:
    with transaction(sessions) as work:
        return next_generation(work.session, told)


def set_row(sessions: Sessions, generation_id: int, **values: Any) -> None:
    with transaction(sessions) as work:
        work.session.execute(update(GenerationRow).where(GenerationRow.id == generation_id).values(**values))


HELD = {
    "state": GenerationState.BUILDING,
    "attempt": 1,
    "lease_until": func.now() + timedelta(hours=1),
    "build_started_at": func.now(),
}
RELEASED = {**HELD, "lease_until": None}


class TestOrderOfBuilds:
    def test_user_with_fifty_waiting_builds_does_not_hold_up_the_build_of_another(
        self, deployments, context, folder, sessions
    ):
        messages = [deployments.create(folder, user="ada") for _ in range(50)]
        messages.append(deployments.create(folder, user="bob"))
        for told in messages[:2]:
            build_next_generation(context, told)
        assert users_in_order(sessions) == ["ada", "bob"]

    def test_twenty_users_take_turns(self, deployments, context, folder, sessions):
        users = [f"user-{number}" for number in range(20)]
        messages = [deployments.create(folder, user=user) for user in users for _ in range(2)]
        for told in messages:
            build_next_generation(context, told)
        order = users_in_order(sessions)
        assert order[:20] == users
        assert Counter(order[20:]) == Counter(users)

    def test_every_waiting_generation_is_built_by_as_many_messages(self, deployments, context, folder):
        messages = [deployments.create(folder, user=user) for user in ("ada", "ada", "bob")]
        for told in messages:
            build_next_generation(context, told)
        assert {deployments.generation(each).state for each in messages} == {GenerationState.FAILED}

    def test_builds_of_one_user_keep_their_order(self, deployments, folder, sessions):
        first, *_ = [deployments.create(folder, user="ada") for _ in range(3)]
        assert chosen(sessions) == first

    def test_message_of_the_broker_builds_the_generation_whose_turn_it_is(
        self, deployments, context, folder, sessions, tmp_path
    ):
        app = create_app("memory://")
        register_tasks(app, context, DataDir(tmp_path / "data"))
        messages = [deployments.create(folder, user=user) for user in ("ada", "ada", "ada", "bob")]
        for told in messages[:2]:
            app.tasks[BUILD_DEPLOYMENT](told)
        assert users_in_order(sessions) == ["ada", "bob"]


class TestChoice:
    def test_user_with_a_build_under_way_comes_after_a_user_without(self, deployments, folder, sessions):
        busy, waiting, other = (deployments.create(folder, user=user) for user in ("ada", "ada", "bob"))
        set_row(sessions, busy, **HELD)
        # Bob's last build began later than Ada's, and has ended.
        ended = deployments.create(folder, user="bob")
        set_row(sessions, ended, state=GenerationState.FAILED, build_started_at=func.now() + timedelta(minutes=1))
        assert chosen(sessions) == other
        set_row(sessions, other, **HELD)
        assert chosen(sessions) == waiting

    def test_user_whose_last_build_began_earlier_comes_first(self, deployments, folder, sessions):
        for user, minutes in (("ada", 1), ("bob", 2)):
            ended = deployments.create(folder, user=user)
            past = func.now() - timedelta(minutes=minutes)
            set_row(sessions, ended, state=GenerationState.BUILT, build_started_at=past)
        _, of_bob = (deployments.create(folder, user=user) for user in ("ada", "bob"))
        assert chosen(sessions) == of_bob

    def test_failed_attempt_is_repeated_by_its_own_message_only(self, deployments, folder, sessions):
        failed = deployments.create(folder)
        set_row(sessions, failed, **RELEASED)
        assert chosen(sessions) is None
        assert chosen(sessions, told=failed) == failed

    def test_generation_of_a_dead_builder_is_taken_over_by_any_message(self, deployments, folder, sessions):
        abandoned = deployments.create(folder)
        set_row(sessions, abandoned, **{**HELD, "lease_until": func.now() - timedelta(seconds=1)})
        assert chosen(sessions) == abandoned

    def test_generation_of_a_living_builder_is_not_chosen(self, deployments, folder, sessions):
        held = deployments.create(folder)
        set_row(sessions, held, **HELD)
        assert chosen(sessions, told=held) is None
