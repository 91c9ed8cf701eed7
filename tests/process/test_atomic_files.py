"""Atomic files: readers see the old content or the new content, and a failed write leaves nothing behind."""

import os
import stat

import pytest

from modelyard.process.atomic_files import atomic_file, replace_file


def test_replace_file_overwrites_the_content_and_sets_the_mode(tmp_path):
    target = tmp_path / "secret"
    target.write_text("old")
    replace_file(target, "new é", mode=0o600)
    assert target.read_text(encoding="utf-8") == "new é"
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    assert os.listdir(tmp_path) == ["secret"]


def test_replace_file_without_a_mode_follows_the_umask(tmp_path):
    before = os.umask(0o027)
    try:
        replace_file(tmp_path / "file", b"x")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "file").stat().st_mode) == 0o640


def test_reader_sees_the_old_content_until_the_block_ends(tmp_path):
    target = tmp_path / "snapshot"
    target.write_text("old")
    with atomic_file(target) as file:
        file.write(b"new")
        file.flush()
        assert target.read_text() == "old"
    assert target.read_text() == "new"


def test_block_that_raises_leaves_the_old_file_and_no_unfinished_one(tmp_path):
    target = tmp_path / "snapshot"
    target.write_text("old")

    def write_half() -> None:
        with atomic_file(target, mode=0o644, durable=True) as file:
            file.write(b"half of the new")
            raise ValueError("damaged")

    with pytest.raises(ValueError, match="damaged"):
        write_half()
    assert os.listdir(tmp_path) == ["snapshot"]
    assert target.read_text() == "old"


def test_unfinished_file_with_a_mode_is_closed_to_other_accounts(tmp_path):
    with atomic_file(tmp_path / "archive", mode=0o644):
        (unfinished,) = tmp_path.iterdir()
        assert stat.S_IMODE(unfinished.stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "archive").stat().st_mode) == 0o644
