"""Folders of one account: planted links and folders of other accounts are refused."""

import os
import stat

import pytest

from modelyard.process.owned_folder import ensure_owned_folder, is_own_folder


def test_missing_folder_is_created_closed_to_other_accounts(tmp_path):
    ensure_owned_folder(tmp_path / "new")
    assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == 0o700


def test_open_permissions_of_an_own_folder_are_closed(tmp_path):
    (tmp_path / "open").mkdir(mode=0o777)
    ensure_owned_folder(tmp_path / "open")
    assert stat.S_IMODE((tmp_path / "open").stat().st_mode) == 0o700


def test_planted_link_is_refused_and_its_target_stays_unchanged(tmp_path):
    victim = tmp_path / "victim"
    victim.mkdir(mode=0o755)
    (tmp_path / "planted").symlink_to(victim)
    with pytest.raises(PermissionError, match="is a link"):
        ensure_owned_folder(tmp_path / "planted", owner=(64042, 64042))
    assert stat.S_IMODE(victim.stat().st_mode) == 0o755
    assert victim.stat().st_uid == os.getuid()
    assert not is_own_folder(tmp_path / "planted")


@pytest.mark.skipif(os.getuid() != 0, reason="needs root, to own a folder by another account")
def test_folder_of_another_account_is_refused(tmp_path):
    (tmp_path / "planted").mkdir()
    os.chown(tmp_path / "planted", 64042, 64042)
    with pytest.raises(PermissionError, match="belongs to another account \\(user id 64042\\)"):
        ensure_owned_folder(tmp_path / "planted")
    assert not is_own_folder(tmp_path / "planted")


@pytest.mark.skipif(os.getuid() != 0, reason="needs root, to give a folder to another account")
def test_folder_is_given_to_its_owner(tmp_path):
    for _ in range(2):
        ensure_owned_folder(tmp_path / "given", owner=(64042, 64042))
    assert (tmp_path / "given").stat().st_uid == 64042
