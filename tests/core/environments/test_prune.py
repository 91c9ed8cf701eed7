"""Pruning a machine: published environments stay, and environments with running workers."""

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
    """Publish from another machine, where the folder has another name."""
    with transaction(sessions) as work:
        work.session.add(BuiltEnvironmentRow(lock_hash=lock_hash, folder="elsewhere-7", python_version="3.11.7"))


def test_published_environment_stays_under_any_folder_name(sessions, environments, workers):
    kept, removed = made(environments, "a==1"), made(environments, "a==2")
    publish(sessions, kept.lock.digest)
    assert remove_unpublished(sessions, environments, workers) == [removed.name]
    assert environments.all() == [kept]


def test_duplicate_environment_of_the_same_lock_is_removed(sessions, environments, workers):
    first, second = made(environments, "a==1"), made(environments, "a==1")
    publish(sessions, first.lock.digest)
    assert remove_unpublished(sessions, environments, workers) == [second.name]


def test_environment_of_a_running_worker_stays(sessions, environments, workers):
    built = made(environments, "a==1")
    (workers / "abc.json").write_text(json.dumps({"labels": {"environment": built.name}}))
    assert remove_unpublished(sessions, environments, workers) == []
    (workers / "abc.json").unlink()
    assert remove_unpublished(sessions, environments, workers) == [built.name]


def test_environment_in_a_build_stays(sessions, environments, workers):
    lock = EnvironmentLock("a==1", "3.11.7", "linux")
    with environments.attempt(lock) as attempt:
        attempt.complete(lock)
        assert remove_unpublished(sessions, environments, workers) == []
