"""What every object store promises, on its real protocol."""

import threading
from collections.abc import Iterator

import pytest

from modelyard.core.adapters.folder_store import FolderStore
from modelyard.core.ports.object_store import ObjectMissing, ObjectStore, StoreUnavailable, check_store

# Above the parts in which the cloud stores send and fetch.
LARGE = 20_000_000


def read(store: ObjectStore, key: str, **part: int) -> bytes:
    return b"".join(store.get(key, **part))


def large_content(letter: bytes = b"") -> Iterator[bytes]:
    for number in range(LARGE // 100_000):
        yield (letter or b"%09d" % number).ljust(100_000, b".")


def breaks_off(after: int) -> Iterator[bytes]:
    for _ in range(after // 1_000_000):
        yield b"x" * 1_000_000
    raise LookupError("the caller's own trouble")


class TestPut:
    def test_what_was_put_is_read_back_with_its_size(self, store):
        assert store.put("a/b", [b"one", b"", b"two"]) == 6
        assert read(store, "a/b") == b"onetwo"
        assert store.size("a/b") == 6

    def test_a_large_object_comes_back_as_it_was(self, store):
        assert store.put("large", large_content()) == LARGE
        assert store.size("large") == LARGE
        assert read(store, "large") == b"".join(large_content())

    def test_an_empty_object_is_one(self, store):
        assert store.put("empty", []) == 0
        assert store.exists("empty")
        assert (read(store, "empty"), store.size("empty")) == (b"", 0)

    def test_the_last_put_counts(self, store):
        store.put("k", large_content())
        store.put("k", [b"new"])
        assert read(store, "k") == b"new"

    @pytest.mark.parametrize("after", [0, 1_000_000, LARGE])
    def test_a_stream_that_breaks_off_leaves_the_object_as_it_was(self, store, after):
        store.put("k", [b"whole"])
        with pytest.raises(LookupError, match="the caller's own trouble"):
            store.put("k", breaks_off(after))
        with pytest.raises(LookupError):
            store.put("new", breaks_off(after))
        assert read(store, "k") == b"whole"
        assert list(store.list("")) == ["k"]

    def test_another_process_reads_it(self, store, open_again):
        store.put("k", [b"x"])
        assert read(open_again(), "k") == b"x"


class TestPutIfAbsent:
    def test_the_first_counts(self, store):
        assert store.put_if_absent("k", [b"first"])
        assert not store.put_if_absent("k", [b"second"])
        assert read(store, "k") == b"first"

    def test_a_large_one_too(self, store):
        assert store.put_if_absent("k", large_content())
        assert not store.put_if_absent("k", large_content(b"other"))
        assert read(store, "k") == b"".join(large_content())
        assert list(store.list("")) == ["k"]

    @pytest.mark.parametrize("content", [(b"small",), None], ids=["small", "large"])
    def test_of_many_at_once_one_wins(self, open_again, content):
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

    def test_a_stream_that_breaks_off_leaves_nothing(self, store):
        for after in (1_000_000, LARGE):
            with pytest.raises(LookupError):
                store.put_if_absent("k", breaks_off(after))
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
    def test_a_range_is_read_alone(self, store, part, expected):
        store.put("k", [b"0123456789"])
        assert read(store, "k", **part) == expected

    def test_a_range_goes_over_parts(self, store):
        store.put("k", large_content())
        whole = b"".join(large_content())
        assert read(store, "k", start=123_456, length=17_000_000) == whole[123_456:17_123_456]

    def test_a_stream_may_be_left(self, store):
        store.put("k", large_content())
        assert next(store.get("k"))[:9] == b"000000000"
        store.delete("k")

    def test_a_stream_is_of_one_version_or_fails(self, store):
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
    def test_is_said_before_the_first_chunk(self, store):
        for length in (None, 0, 5):
            with pytest.raises(ObjectMissing) as missing:
                store.get("no/such", length=length)
            assert missing.value.args == ("no/such",)

    def test_has_no_size_and_no_copy(self, store):
        with pytest.raises(ObjectMissing) as missing:
            store.size("nothing")
        assert missing.value.args == ("nothing",)
        with pytest.raises(ObjectMissing) as missing:
            store.copy("nothing", "k")
        assert missing.value.args == ("nothing",)
        assert not store.exists("nothing")
        assert not store.exists("k")

    def test_a_folder_is_no_object(self, store):
        store.put("folder/k", [b"x"])
        assert not store.exists("folder")
        for operation in (store.get, store.size, lambda key: store.copy(key, "elsewhere")):
            with pytest.raises(ObjectMissing):
                operation("folder")

    def test_deleting_twice_is_no_error(self, store):
        store.put("k", [b""])
        store.delete("k")
        store.delete("k")
        store.delete("never/was")
        assert not store.exists("k")


class TestCopy:
    def test_has_the_content_and_replaces(self, store):
        store.put("a", large_content())
        store.put("b", [b"old"])
        store.copy("a", "b")
        store.delete("a")
        assert read(store, "b") == b"".join(large_content())


class TestList:
    def test_is_by_prefix(self, store):
        for key in ("logs/2", "logs/10", "logs/1", "logs-x", "other/1"):
            store.put(key, [b"x"])
        assert list(store.list("logs/")) == ["logs/1", "logs/10", "logs/2"]
        assert list(store.list("logs/1")) == ["logs/1", "logs/10"]
        assert list(store.list("log")) == ["logs-x", "logs/1", "logs/10", "logs/2"]
        assert list(store.list("l/")) == []
        assert len(list(store.list(""))) == 5

    def test_is_in_the_order_of_the_whole_keys_bytes(self, store):
        # '-' and '.' are before '/'; U+FF21 is before U+1F600 in UTF-8 and after it in UTF-16.
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

    def test_goes_over_pages(self, store, monkeypatch):
        monkeypatch.setattr("modelyard.core.adapters.folder_store._PAGE", 7)
        monkeypatch.setattr("modelyard.core.adapters.cloud_store._KEYS_AT_ONCE", 7)
        keys = sorted(f"page/{number % 4}/{number}" for number in range(60))
        for key in keys:
            store.put(key, [b""])
        assert list(store.list("page/")) == keys

    def test_a_listed_key_may_be_gone_when_it_is_read(self, store):
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
def test_what_some_store_could_not_hold_is_no_key(store, key):
    for operation in (store.get, store.size, store.delete, lambda key: store.put(key, [b"x"])):
        with pytest.raises(ValueError, match="not an object key"):
            operation(key)


def test_a_start_checks_that_the_store_can_be_used_and_leaves_nothing_there(store):
    check_store(store)
    assert list(store.list("")) == []
