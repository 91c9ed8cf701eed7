import os
import stat
import subprocess
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from modelyard.process import accounts
from modelyard.process.accounts import AccountPool, NoAccountFree, hand_to_group, numbers_in_use, withdraw_all

# Beside the default range: platforms of other tests use that one.
NUMBERS = range(64000, 64003)
needs_root = pytest.mark.skipif(os.getuid() != 0, reason="only root can give a file or a process to another user")


@pytest.fixture
def pool(tmp_path: Path) -> AccountPool:
    (tmp_path / "models").mkdir()
    return AccountPool(NUMBERS, str(tmp_path), (tmp_path / "models",), tmp_path / "registry")


@pytest.fixture
def started_long_ago(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(accounts, "_START_SECONDS", -1.0)


@contextmanager
def process_of(**identity):
    with subprocess.Popen(["/bin/cat"], stdin=subprocess.PIPE, cwd="/", **identity) as process:
        try:
            yield process
        finally:
            process.kill()


def test_each_holder_keeps_a_number_of_its_own(pool: AccountPool) -> None:
    first, second = pool.claim("a"), pool.claim("b")
    assert first != second
    assert {first, second} <= set(NUMBERS)
    assert (pool.claim("a"), pool.claim("b")) == (first, second)
    assert pool.held() == {first, second}


def test_holders_of_the_same_name_on_two_platforms_have_different_numbers(pool: AccountPool) -> None:
    other = AccountPool(NUMBERS, "/elsewhere", (), pool.registry)
    assert pool.claim("a") != other.claim("a")


def test_holders_that_claim_at_the_same_time_have_different_numbers(pool: AccountPool) -> None:
    with ThreadPoolExecutor(3) as threads:
        assert sorted(threads.map(pool.claim, "abc")) == list(NUMBERS)


def test_full_range_is_refused_while_its_holders_may_be_starting(pool: AccountPool) -> None:
    for holder in "abc":
        pool.claim(holder)
    with pytest.raises(NoAccountFree, match="all 3 accounts from 64000 to 64002 are in use: set MODELYARD_WORKER_UIDS"):
        pool.claim("d")


def test_full_range_gives_the_number_that_was_claimed_the_longest_ago(
    pool: AccountPool, started_long_ago: None
) -> None:
    numbers = {holder: pool.claim(holder) for holder in "abca"}
    assert pool.claim("d") == numbers["b"]


@needs_root
@pytest.mark.parametrize("kind", ["user", "group", "extra_groups"])
def test_number_passes_to_no_other_holder_while_a_process_has_the_number(
    pool: AccountPool, started_long_ago: None, kind: str
) -> None:
    numbers = {holder: pool.claim(holder) for holder in "abc"}
    with process_of(**{kind: [numbers["a"]] if kind == "extra_groups" else numbers["a"]}):
        assert numbers["a"] in numbers_in_use()
        assert pool.claim("d") == numbers["b"]
    assert pool.claim("e") == numbers["a"]


@needs_root
def test_folder_of_an_earlier_holder_is_closed_to_the_next(pool: AccountPool, started_long_ago: None) -> None:
    folder = pool.folders[0] / "secret"
    folder.mkdir()
    for holder in ("folder", "b", "c"):
        pool.claim(holder)
    hand_to_group(folder, pool.claim("folder"))
    assert (folder.stat().st_gid, stat.S_IMODE(folder.stat().st_mode)) == (NUMBERS[0], 0o750)
    assert AccountPool(NUMBERS, "/elsewhere", (), pool.registry).claim("other platform") == NUMBERS[1]
    assert AccountPool(NUMBERS, "/elsewhere", (), pool.registry).claim("second") == NUMBERS[2]
    assert AccountPool(NUMBERS, "/elsewhere", (), pool.registry).claim("third") == NUMBERS[0]
    assert (folder.stat().st_gid, stat.S_IMODE(folder.stat().st_mode)) == (0, 0o700)


@needs_root
def test_start_closes_all_folders_of_the_last_start(pool: AccountPool) -> None:
    folder = pool.folders[0] / "secret"
    folder.mkdir(mode=0o755)
    link = pool.folders[0] / "link"
    link.symlink_to("/etc/passwd")
    withdraw_all(pool.folders)
    assert (folder.stat().st_gid, stat.S_IMODE(folder.stat().st_mode)) == (0, 0o700)
    assert stat.S_IMODE(Path("/etc/passwd").stat().st_mode) == 0o644


def test_registry_of_another_account_is_refused(pool: AccountPool, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    pool.registry.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(PermissionError, match="belongs to another account"):
        pool.claim("a")
