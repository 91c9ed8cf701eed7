"""Pruning one machine: what is published stays, and what a worker runs in."""

import json
from pathlib import Path

import pytest

from modelyard.core.db.rows import BuiltEnvironmentRow
from modelyard.core.db.unit_of_work import Sessions, transaction
from modelyard.core.domain.environment_spec import EnvironmentLock
from modelyard.core.environments.folder import BuiltEnvironment, Environments
from modelyard.core.environments.prune import remove_unpublished


@pytest.fixture
def environments(tmp_path: Path) -> Environments:
    return Environments(tmp_path / "environments")


@pytest.fixture
def workers(tmp_path: Path) -> Path:
    (tmp_path / "workers").mkdir()
    return tmp_path / "workers"


def made(environments: Environments, text: str) -> BuiltEnvironment:
    lock = EnvironmentLock(text, "3.11.7", "linux")
    with environments.attempt(lock) as attempt:
        (attempt.folder / "bin").mkdir()
        (attempt.folder / "bin" / "python").touch()
        attempt.keep()
        return attempt.complete(lock)


def publish(sessions: Sessions, lock_hash: str) -> None:
    """From another machine, where its folder has another name."""
    with transaction(sessions) as work:
        work.session.add(BuiltEnvironmentRow(lock_hash=lock_hash, folder="elsewhere-7", python_version="3.11.7"))


def test_what_is_published_stays_whatever_its_folder_is_called_elsewhere(sessions, environments, workers):
    kept, removed = made(environments, "a==1"), made(environments, "a==2")
    publish(sessions, kept.lock.digest)
    assert remove_unpublished(sessions, environments, workers) == [removed.name]
    assert environments.all() == [kept]


def test_of_two_with_one_lock_the_one_that_nobody_finds_goes(sessions, environments, workers):
    first, second = made(environments, "a==1"), made(environments, "a==1")
    publish(sessions, first.lock.digest)
    assert remove_unpublished(sessions, environments, workers) == [second.name]


def test_what_a_worker_runs_in_stays(sessions, environments, workers):
    built = made(environments, "a==1")
    (workers / "abc.json").write_text(json.dumps({"labels": {"environment": built.name}}))
    assert remove_unpublished(sessions, environments, workers) == []
    (workers / "abc.json").unlink()
    assert remove_unpublished(sessions, environments, workers) == [built.name]


def test_what_is_being_made_stays(sessions, environments, workers):
    lock = EnvironmentLock("a==1", "3.11.7", "linux")
    with environments.attempt(lock) as attempt:
        attempt.complete(lock)
        assert remove_unpublished(sessions, environments, workers) == []
