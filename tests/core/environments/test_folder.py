"""The folder of environments: incomplete attempts are removed, used environments stay."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from builder.work_folder import remove_abandoned, work_folder
from modelyard.core.domain.environment_spec import EnvironmentLock
from modelyard.core.environments.folder import Attempt, BuiltEnvironment, Environments

LOCK = EnvironmentLock("numpy==1.23.5\n", "3.10.13", "linux")


@pytest.fixture
def environments(tmp_path: Path) -> Environments:
    return Environments(tmp_path / "environments")


def made(environments: Environments, lock: EnvironmentLock = LOCK) -> str:
    with environments.attempt(lock) as attempt:
        built = complete(attempt, lock)
        attempt.keep()
    return built.folder.name


def complete(attempt: Attempt, lock: EnvironmentLock = LOCK) -> BuiltEnvironment:
    (attempt.folder / "bin").mkdir()
    (attempt.folder / "bin" / "python").touch()
    return attempt.complete(lock)


class TestAttempts:
    def test_attempt_is_built_in_its_final_folder(self, environments):
        with environments.attempt(LOCK) as attempt:
            assert attempt.folder.name == f"{LOCK.digest[:16]}-1"
            complete(attempt)
            attempt.keep()
        found = environments.find(LOCK.digest)
        assert found is not None
        assert found.folder == attempt.folder

    def test_failed_attempt_leaves_no_folder(self, environments, tmp_path):
        with environments.attempt(LOCK) as attempt:
            (attempt.folder / "half").write_text("")
        assert list((tmp_path / "environments").iterdir()) == []

    def test_complete_but_unpublished_attempt_leaves_no_folder(self, environments):
        with environments.attempt(LOCK) as attempt:
            complete(attempt)
        assert environments.find(LOCK.digest) is None

    def test_attempts_at_the_same_lock_have_separate_folders(self, environments):
        with environments.attempt(LOCK) as one, environments.attempt(LOCK) as two:
            assert one.folder != two.folder

    def test_environment_of_another_lock_is_not_found(self, environments):
        made(environments)
        assert environments.find(EnvironmentLock("numpy==1.24\n", "3.10.13", "linux").digest) is None


class TestAbandoned:
    def test_attempts_of_a_dead_builder_are_removed(self, environments, tmp_path):
        killed = (
            "import os, signal, sys\n"
            "from pathlib import Path\n"
            "from modelyard.core.environments.folder import Environments\n"
            "from modelyard.core.domain.environment_spec import EnvironmentLock\n"
            "with Environments(Path(sys.argv[1])).attempt(EnvironmentLock('x==1', '3.10.13', 'linux')) as attempt:\n"
            "    (attempt.folder / 'half').write_text('')\n"
            "    os.kill(os.getpid(), signal.SIGKILL)\n"
        )
        subprocess.run([sys.executable, "-c", killed, tmp_path / "environments"], check=False)
        assert len(list((tmp_path / "environments").iterdir())) == 2
        assert len(environments.remove_abandoned()) == 1
        assert list((tmp_path / "environments").iterdir()) == []

    def test_attempts_of_a_living_builder_stay(self, environments):
        with environments.attempt(LOCK) as attempt:
            assert environments.remove_abandoned() == []
            assert attempt.folder.is_dir()

    def test_complete_environments_stay(self, environments):
        made(environments)
        assert environments.remove_abandoned() == []
        assert environments.find(LOCK.digest) is not None

    def test_old_work_folders_without_an_owner_are_removed(self, tmp_path):
        (tmp_path / "old").mkdir()
        (tmp_path / "young").mkdir()
        long_ago = 1_600_000_000
        with work_folder(tmp_path) as held:
            for folder in (tmp_path / "old", held):
                _set_age(folder, long_ago)
            remove_abandoned(tmp_path)
            assert sorted(folder.name for folder in tmp_path.iterdir()) == sorted(["young", held.name])


class TestFinding:
    def test_environment_is_found_by_the_hash_of_the_lock(self, environments):
        made(environments)
        found = environments.find(LOCK.digest)
        assert found is not None
        assert found.lock == LOCK

    def test_first_of_two_environments_with_the_same_lock_is_found(self, environments):
        names = [made(environments), made(environments)]
        found = environments.find(LOCK.digest)
        assert found is not None
        assert found.name == names[0]

    def test_environment_without_its_interpreter_is_not_found(self, environments):
        made(environments)
        found = environments.find(LOCK.digest)
        assert found is not None
        found.python.unlink()
        assert environments.find(LOCK.digest) is None


class TestRemoval:
    def test_removed_environment_is_gone(self, environments, tmp_path):
        name = made(environments)
        assert [built.name for built in environments.all()] == [name]
        assert environments.remove(name)
        assert list((tmp_path / "environments").iterdir()) == []

    def test_environment_that_becomes_used_at_the_last_moment_stays(self, environments):
        name = made(environments)
        assert not environments.remove(name, unless=lambda: True)
        assert environments.find(LOCK.digest) is not None
        assert environments.remove(name)

    def test_environment_about_to_be_published_stays(self, environments):
        with environments.attempt(LOCK) as attempt:
            complete(attempt)
            assert not environments.remove(attempt.folder.name)
            attempt.keep()
        assert environments.find(LOCK.digest) is not None


def _set_age(folder: Path, when: int) -> None:
    os.utime(folder, (when, when))
