"""The contract of every object store, on its real protocol."""

import threading
import time
from collections.abc import Iterator

import pytest

from modelyard.core.adapters.folder_store import FolderStore
from modelyard.core.ports.object_store import KeyConflict, ObjectMissing, ObjectStore, StoreUnavailable, check_store

# Larger than the parts of the cloud stores.
LARGE = 20_000_000


def read(store: ObjectStore, key: str, **part: int) -> bytes:
    return b"".join(store.get(key, **part))


def large_content(letter: bytes = b"") -> Iterator[bytes]:
    for number in range(LARGE // 100_000):
        yield (letter or b"%09d" % number).ljust(100_000, b".")


def raising_stream(after: int) -> Iterator[bytes]:
    for _ in range(after // 1_000_000):
        yield b"x" * 1_000_000
    raise LookupError("raised by the caller's stream")


class TestPut:
    def test_put_object_is_read_back_with_its_size(self, store):
        assert store.put("a/b", [b"one", b"", b"two"]) == 6
        assert read(store, "a/b") == b"onetwo"
        assert store.size("a/b") == 6

    def test_large_object_is_read_back_unchanged(self, store):
        assert store.put("large", large_content()) == LARGE
        assert store.size("large") == LARGE
        assert read(store, "large") == b"".join(large_content())

    def test_empty_object_exists(self, store):
        assert store.put("empty", []) == 0
        assert store.exists("empty")
        assert (read(store, "empty"), store.size("empty")) == (b"", 0)

    def test_second_put_replaces_the_object(self, store):
        store.put("k", large_content())
        store.put("k", [b"new"])
        assert read(store, "k") == b"new"

    @pytest.mark.parametrize("after", [0, 1_000_000, LARGE])
    def test_stream_that_raises_leaves_the_object_unchanged(self, store, after):
        store.put("k", [b"whole"])
        with pytest.raises(LookupError, match="raised by the caller's stream"):
            store.put("k", raising_stream(after))
        with pytest.raises(LookupError):
            store.put("new", raising_stream(after))
        assert read(store, "k") == b"whole"
        assert list(store.list("")) == ["k"]

    def test_object_is_readable_through_another_client(self, store, open_again):
        store.put("k", [b"x"])
        assert read(open_again(), "k") == b"x"


class TestPutIfAbsent:
    def test_second_put_if_absent_is_refused(self, store):
        assert store.put_if_absent("k", [b"first"])
        assert not store.put_if_absent("k", [b"second"])
        assert read(store, "k") == b"first"

    def test_second_put_if_absent_of_a_large_object_is_refused(self, store):
        assert store.put_if_absent("k", large_content())
        assert not store.put_if_absent("k", large_content(b"other"))
        assert read(store, "k") == b"".join(large_content())
        assert list(store.list("")) == ["k"]

    @pytest.mark.parametrize("content", [(b"small",), None], ids=["small", "large"])
    def test_one_of_four_concurrent_puts_if_absent_wins(self, open_again, content):
        gate = threading.Barrier(4)
        won: list[bytes] = []

        def race(letter: bytes) -> None:
            store = open_again()
            gate.wait(20)
            if store.put_if_absent("k", [letter] if content else large_content(letter)):
                won.append(letter)

        racers = [threading.Thread(target=race, args=(letter,)) for letter in (b"a", b"b", b"c", b"d")]
        for racer in racers:
            racer.start()
        for racer in racers:
            racer.join()
        assert len(won) == 1
        assert read(open_again(), "k") == (won[0] if content else b"".join(large_content(won[0])))

    def test_put_if_absent_with_a_stream_that_raises_leaves_no_object(self, store):
        for after in (1_000_000, LARGE):
            with pytest.raises(LookupError):
                store.put_if_absent("k", raising_stream(after))
        assert list(store.list("")) == []


class TestGet:
    @pytest.mark.parametrize(
        ("part", "expected"),
        [
            ({"start": 3, "length": 4}, b"3456"),
            ({"start": 8}, b"89"),
            ({"start": 8, "length": 50}, b"89"),
            ({"length": 2}, b"01"),
            ({"start": 4, "length": 0}, b""),
            ({"start": 10}, b""),
            ({"start": 99, "length": 5}, b""),
        ],
    )
    def test_range_is_read(self, store, part, expected):
        store.put("k", [b"0123456789"])
        assert read(store, "k", **part) == expected

    def test_range_spans_parts(self, store):
        store.put("k", large_content())
        whole = b"".join(large_content())
        assert read(store, "k", start=123_456, length=17_000_000) == whole[123_456:17_123_456]

    def test_get_can_be_abandoned(self, store):
        store.put("k", large_content())
        assert next(store.get("k"))[:9] == b"000000000"
        store.delete("k")

    def test_get_during_a_replacement_gives_one_version_or_raises(self, store):
        store.put("k", large_content(b"a"))
        stream = store.get("k")
        content = next(stream)
        store.put("k", large_content(b"b"))
        if isinstance(store, FolderStore):
            assert content + b"".join(stream) == b"".join(large_content(b"a"))
        else:
            with pytest.raises(StoreUnavailable, match="was replaced while it was read"):
                b"".join(stream)


class TestMissing:
    def test_missing_object_is_reported_before_the_first_chunk(self, store):
        for length in (None, 0, 5):
            with pytest.raises(ObjectMissing) as missing:
                store.get("no/such", length=length)
            assert missing.value.args == ("no/such",)

    def test_missing_object_has_no_size_and_no_copy(self, store):
        with pytest.raises(ObjectMissing) as missing:
            store.size("nothing")
        assert missing.value.args == ("nothing",)
        with pytest.raises(ObjectMissing) as missing:
            store.copy("nothing", "k")
        assert missing.value.args == ("nothing",)
        assert not store.exists("nothing")
        assert not store.exists("k")

    def test_folder_is_not_an_object(self, store):
        store.put("folder/k", [b"x"])
        assert not store.exists("folder")
        for operation in (store.get, store.size, lambda key: store.copy(key, "elsewhere")):
            with pytest.raises(ObjectMissing):
                operation("folder")

    def test_second_delete_is_no_error(self, store):
        store.put("k", [b""])
        store.delete("k")
        store.delete("k")
        store.delete("never/was")
        assert not store.exists("k")


class TestCopy:
    def test_copy_has_the_content_and_replaces_the_target(self, store):
        store.put("a", large_content())
        store.put("b", [b"old"])
        store.copy("a", "b")
        store.delete("a")
        assert read(store, "b") == b"".join(large_content())


class TestList:
    def test_list_selects_by_prefix(self, store):
        for key in ("logs/2", "logs/10", "logs/1", "logs-x", "other/1"):
            store.put(key, [b"x"])
        assert list(store.list("logs/")) == ["logs/1", "logs/10", "logs/2"]
        assert list(store.list("logs/1")) == ["logs/1", "logs/10"]
        assert list(store.list("log")) == ["logs-x", "logs/1", "logs/10", "logs/2"]
        assert list(store.list("l/")) == []
        assert len(list(store.list(""))) == 5

    def test_list_is_in_the_order_of_the_keys_utf8_bytes(self, store):
        # '-' and '.' sort before '/'; U+FF21 sorts before U+1F600 in UTF-8 and after U+1F600 in UTF-16.
        keys = [
            "a/b",
            "a-b",
            "a.b",
            "a0",
            "B",
            "ab",
            "é",
            "Ａ/x",
            "😀",
            "p/Ａ",
            "p/😀/y",
            "p/Ａ2",
            "p/é",
            "a b",
            "a%20b",
        ]
        for key in keys:
            store.put(key, [key.encode()])
        listed = list(store.list(""))
        assert listed == sorted(keys, key=str.encode)
        assert [read(store, key).decode() for key in listed] == listed

    def test_list_spans_pages(self, store, monkeypatch):
        monkeypatch.setattr("modelyard.core.adapters.folder_store._PAGE", 7)
        monkeypatch.setattr("modelyard.core.adapters.cloud_store._KEYS_PER_PAGE", 7)
        keys = sorted(f"page/{number % 4}/{number}" for number in range(60))
        for key in keys:
            store.put(key, [b""])
        assert list(store.list("page/")) == keys

    def test_listed_key_may_be_missing_at_the_read(self, store):
        for number in range(3):
            store.put(f"k{number}", [b"x"])
        listed = store.list("k")
        assert next(listed) == "k0"
        store.delete("k0")
        store.delete("k1")
        with pytest.raises(ObjectMissing):
            store.get("k0")
        assert list(listed)[-1] == "k2"


@pytest.mark.parametrize(
    "key",
    ["", "/etc/passwd", "../up", "a/../../up", "nul\0", "a\\b", "a//b", "a/", "a/./b", ".unfinished/x", "k" * 901],
)
def test_key_that_some_store_cannot_hold_is_refused_by_all(store, key):
    for operation in (store.get, store.size, store.delete, lambda key: store.put(key, [b"x"])):
        with pytest.raises(ValueError, match="not an object key"):
            operation(key)


def test_check_store_leaves_no_object(store):
    check_store(store)
    assert list(store.list("")) == []


class TestStoredObjects:
    def test_head_and_listing_agree_on_size_etag_and_time(self, store):
        store.put("a/b", [b"one"])
        head = store.head("a/b")
        assert (head.key, head.size) == ("a/b", 3)
        assert head.etag.strip('"') == head.etag
        assert abs(head.modified_at.timestamp() - time.time()) < 600
        (listed,) = store.list_objects("a/")
        assert (listed.key, listed.size, listed.etag) == (head.key, head.size, head.etag)
        with pytest.raises(ObjectMissing):
            store.head("a")

    def test_etag_changes_with_the_content_and_pins_a_read(self, store):
        store.put("k", [b"one"])
        first = store.head("k").etag
        assert read(store, "k", etag=first) == b"one"
        store.put("k", [b"two"])
        assert store.head("k").etag != first
        assert read(store, "k", etag=store.head("k").etag) == b"two"
        with pytest.raises(StoreUnavailable, match="was replaced while it was read"):
            read(store, "k", etag=first)

    def test_listing_continues_behind_a_key(self, store):
        keys = sorted(["a/b/c", "a/b/d", "a/b-c", "a/c", "a0", "b/é", "b/😀"], key=str.encode)
        for key in keys:
            store.put(key, [b"x"])
        for at, key in enumerate(keys):
            assert [found.key for found in store.list_objects("", after=key)] == keys[at + 1 :]
        assert [found.key for found in store.list_objects("a/", after="a/b/\U0010ffff")] == ["a/c"]
        assert [found.key for found in store.list_objects("b/", after="a/c")] == ["b/é", "b/😀"]


def test_file_and_folder_of_one_name_exclude_each_other(tmp_path):
    store = FolderStore(tmp_path)
    store.put("a/b", [b"x"])
    store.put("c", [b"x"])
    for write in (store.put, store.put_if_absent):
        with pytest.raises(KeyConflict, match="c/d cannot be written"):
            write("c/d", [b"y"])
    with pytest.raises(KeyConflict):
        store.put("a", [b"y"])
    assert sorted(store.list("")) == ["a/b", "c"]
