"""The folder store's own behaviour, beside the contract of every store."""

import errno
import os
import time
import tracemalloc

import pytest

from modelyard.core.adapters import folder_store
from modelyard.core.adapters.folder_store import FolderStore
from modelyard.core.ports.object_store import StoreFull, StoreRefused


def test_unfinished_file_of_a_dead_process_is_removed_after_a_day(tmp_path):
    unfinished = tmp_path / "objects" / ".unfinished"
    FolderStore(tmp_path / "objects")
    for name, age in (("old", 2 * 86_400), ("new", 10)):
        (unfinished / name).touch()
        os.utime(unfinished / name, (time.time() - age,) * 2)
    FolderStore(tmp_path / "objects")
    assert [file.name for file in unfinished.iterdir()] == ["new"]


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_write_to_a_full_disk_names_the_folder_and_leaves_no_object(tmp_path, monkeypatch, number):
    store = FolderStore(tmp_path / "objects")
    store.put("before", [b"whole"])

    def full(descriptor):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "fsync", full)
    for write in (store.put, store.put_if_absent):
        with pytest.raises(StoreFull) as refused:
            write("too/large", [b"x" * 100_000])
        assert str(refused.value) == (
            f"no space left on device to write too/large: free space in {tmp_path}/objects, the object store's folder"
        )
    assert list(store.list("")) == ["before"]
    assert list((tmp_path / "objects/.unfinished").iterdir()) == []


def test_full_disk_of_the_callers_stream_is_not_reported_as_the_stores(tmp_path):
    def breaks_off():
        raise OSError(errno.ENOSPC, "No space left on device", "/elsewhere")
        yield b""

    with pytest.raises(OSError, match="/elsewhere"):
        FolderStore(tmp_path).put("k", breaks_off())


def test_file_in_place_of_the_folder_is_refused_in_one_line(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(StoreRefused, match=r"folder .*/file is not a folder"):
        FolderStore(tmp_path / "file")


def test_listing_of_many_keys_holds_one_page_in_memory(tmp_path, monkeypatch):
    monkeypatch.setattr(folder_store, "_PAGE", 250)
    store = FolderStore(tmp_path)
    store.put("many/k", [b""])
    for number in range(5_000):
        os.link(tmp_path / "many/k", tmp_path / f"many/{number:06d}-with-a-name-of-some-length")
    tracemalloc.start()
    try:
        assert sum(1 for _ in store.list("many/")) == 5_001
        assert tracemalloc.get_traced_memory()[1] < 300_000
    finally:
        tracemalloc.stop()


def test_copy_links_the_file_and_keeps_the_content_of_its_time(tmp_path):
    store = FolderStore(tmp_path)
    store.put("source", [b"one"])
    store.copy("source", "copy")
    store.copy("source", "copy")
    assert (tmp_path / "copy").samefile(tmp_path / "source")
    store.put("source", [b"two"])
    assert b"".join(store.get("copy")) == b"one"
    store.delete("source")
    assert list(store.list("")) == ["copy"]
