"""What every object store promises; the folder is the first that keeps it."""

import os
import time

import pytest

from modelyard.core.adapters.folder_store import FolderStore
from modelyard.core.ports.object_store import ObjectMissing, ObjectStore


@pytest.fixture
def store(tmp_path) -> ObjectStore:
    return FolderStore(tmp_path / "objects")


def read(store: ObjectStore, key: str, **part: int) -> bytes:
    return b"".join(store.get(key, **part))


def test_what_was_put_is_read_back_with_its_size(store):
    assert store.put("a/b", [b"one", b"two"]) == 6
    assert read(store, "a/b") == b"onetwo"
    assert store.size("a/b") == 6


def test_a_range_is_read_alone(store):
    store.put("k", [b"0123456789"])
    assert read(store, "k", start=3, length=4) == b"3456"
    assert read(store, "k", start=8) == b"89"


def test_a_put_that_breaks_off_leaves_the_object_as_it_was(store):
    store.put("k", [b"whole"])

    def breaks_off():
        yield b"half"
        raise ConnectionError

    with pytest.raises(ConnectionError):
        store.put("k", breaks_off())
    assert read(store, "k") == b"whole"
    assert list(store.list("")) == ["k"]


def test_what_is_not_there_is_said_before_the_first_chunk(store):
    with pytest.raises(ObjectMissing):
        store.get("nothing")
    with pytest.raises(ObjectMissing):
        store.size("nothing")
    with pytest.raises(ObjectMissing):
        store.copy("nothing", "k")
    assert not store.exists("nothing")


def test_deleting_twice_is_no_error(store):
    store.put("k", [b""])
    store.delete("k")
    store.delete("k")
    assert not store.exists("k")


def test_keys_are_listed_in_order_by_prefix(store):
    for key in ("logs/2", "logs/10", "logs/1", "other/1"):
        store.put(key, [b"x"])
    assert list(store.list("logs/")) == ["logs/1", "logs/10", "logs/2"]
    assert list(store.list("logs/1")) == ["logs/1", "logs/10"]


@pytest.mark.parametrize("key", ["", "/etc/passwd", "../up", "a/../../up", "nul\0", ".unfinished/x"])
def test_a_key_that_leaves_the_store_is_refused(store, key):
    with pytest.raises(ValueError, match="not an object key"):
        store.put(key, [b"x"])


def test_what_a_process_that_died_left_unfinished_is_removed_once_it_is_old(tmp_path):
    unfinished = tmp_path / "objects" / ".unfinished"
    FolderStore(tmp_path / "objects")
    for name, age in (("old", 2 * 86_400), ("new", 10)):
        (unfinished / name).touch()
        os.utime(unfinished / name, (time.time() - age,) * 2)
    FolderStore(tmp_path / "objects")
    assert [file.name for file in unfinished.iterdir()] == ["new"]


def test_a_copy_stays_what_it_was_when_its_source_is_replaced_or_removed(store):
    store.put("source", [b"one"])
    store.copy("source", "copy")
    store.copy("source", "copy")
    store.put("source", [b"two"])
    assert read(store, "copy") == b"one"
    store.delete("source")
    assert (list(store.list("")), read(store, "copy")) == (["copy"], b"one")
