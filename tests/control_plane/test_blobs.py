"""The Blob routes, driven by azure-storage-blob."""

import base64
import hashlib
import random
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from urllib.parse import quote
from xml.etree import ElementTree

import psutil
import pytest
from azure.core.exceptions import (
    HttpResponseError,
    ResourceExistsError,
    ResourceModifiedError,
    ResourceNotFoundError,
)
from azure.storage.blob import BlobBlock, ContainerClient, ContentSettings
from sqlalchemy import func, select, update

from control_plane.reconcile.expire import expire_blocks, remove_old_blocks
from modelyard.core.db.rows import BlobBlockRow, BlobPropertiesRow
from tests.control_plane.blob_clients import STORE, ask, code_of, container
from tests.control_plane.control import MLMODEL, Control, error_of

KILOBYTE = 1 << 10
NAMES = ["plain", "with blank", "ümläut/é.csv", "100%25 (1)+&=?#;,'.txt", "a/b/c/d", "😀", "~x", "trailing.", "x" * 255]


@pytest.fixture
def blobs(control: Control) -> ContainerClient:
    return container(control)


def content_of(size: int, seed: int = 1) -> bytes:
    return random.Random(seed).randbytes(size)


def block_id(number: int) -> str:
    return base64.b64encode(f"{number:06}".encode()).decode()


def wire_id(number: int) -> str:
    """The id on the wire: the library encodes the id that it is given."""
    return base64.b64encode(block_id(number).encode()).decode()


def keys(control: Control, prefix: str) -> list[str]:
    return list(control.store.list(prefix))


class TestWholeBlobs:
    @pytest.mark.parametrize("name", NAMES)
    def test_name_is_kept_and_the_object_lies_under_the_same_path(self, control, blobs, name):
        blobs.upload_blob(name, b"content")
        assert blobs.download_blob(name).readall() == b"content"
        assert [blob.name for blob in blobs.list_blobs()] == [name]
        assert keys(control, "datastores/") == [f"{control.datastores}/{STORE}/{name}"]

    def test_object_of_a_batch_worker_is_a_blob(self, control, blobs):
        control.store.put(f"{control.datastores}/{STORE}/azureml/j-run/score/p.csv", [b"1\n"])
        found = blobs.get_blob_client("azureml/j-run/score/p.csv").get_blob_properties()
        assert (found.size, found.metadata, found.blob_type) == (2, {}, "BlockBlob")
        assert abs((found.last_modified - datetime.now(UTC)).total_seconds()) < 600

    def test_properties_belong_to_one_version_of_the_object(self, control, blobs):
        blobs.upload_blob("f", b"1", metadata={"a": "b"}, content_settings=ContentSettings(content_type="text/csv"))
        blob = blobs.get_blob_client("f")
        first = blob.get_blob_properties()
        assert (first.metadata, first.content_settings.content_type) == ({"a": "b"}, "text/csv")
        control.store.put(f"{control.datastores}/{STORE}/f", [b"2"])
        second = blob.get_blob_properties()
        assert (second.metadata, second.content_settings.content_type) == ({}, "application/octet-stream")
        assert second.etag != first.etag

    def test_empty_blob_is_uploaded_and_downloaded(self, blobs):
        blobs.upload_blob("empty", b"")
        answer = ask(blobs, "GET", "/empty", headers={"x-ms-range": "bytes=0-33554431"})
        assert code_of(answer, 416) == "InvalidRange"
        assert blobs.download_blob("empty").readall() == b""

    def test_missing_blob_is_404_with_the_code_in_the_header(self, blobs):
        for path in ("/no", "/no/", "/a//b", f"/{'y' * 256}"):
            assert code_of(ask(blobs, "HEAD", path), 404) == "BlobNotFound"
            assert ask(blobs, "HEAD", path).content == b""
            assert code_of(ask(blobs, "GET", path), 404) == "BlobNotFound"
        with pytest.raises(ResourceNotFoundError):
            blobs.delete_blob("no")

    def test_deleted_blob_is_gone_with_its_properties_and_blocks(self, control, blobs):
        blobs.upload_blob("f", b"1", metadata={"a": "b"})
        blob = blobs.get_blob_client("f")
        blob.stage_block(block_id(1), b"x")
        blob.delete_blob()
        assert not blob.exists()
        with control.sessions() as session:
            assert session.scalar(select(func.count()).select_from(BlobPropertiesRow)) == 0
            assert session.scalar(select(func.count()).select_from(BlobBlockRow)) == 0

    def test_md5_is_checked_kept_and_answered(self, blobs):
        md5 = bytearray(hashlib.md5(b"content").digest())
        blobs.upload_blob("f", b"content", validate_content=True)
        assert blobs.get_blob_client("f").get_blob_properties().content_settings.content_md5 == md5
        assert blobs.download_blob("f", validate_content=True).readall() == b"content"
        wrong = {"Content-MD5": base64.b64encode(hashlib.md5(b"other").digest()).decode()}
        for query in ("", f"comp=block&blockid={block_id(1)}"):
            assert code_of(ask(blobs, "PUT", "/g", query, content=b"content", headers=wrong), 400) == "Md5Mismatch"
        assert code_of(ask(blobs, "PUT", "/g", content=b"", headers={"Content-MD5": "!"}), 400) == "InvalidMd5"
        assert not blobs.get_blob_client("g").exists()

    def test_concurrent_creations_have_one_winner(self, blobs):
        outcomes: list[str] = []
        barrier = threading.Barrier(6)

        def create(number: int) -> None:
            barrier.wait()
            try:
                blobs.upload_blob("f", b"%d" % number)
                outcomes.append(f"won {number}")
            except ResourceExistsError as error:
                outcomes.append(str(error.error_code))

        threads = [threading.Thread(target=create, args=(number,)) for number in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        (winner,) = [outcome for outcome in outcomes if outcome.startswith("won")]
        assert sorted(outcomes) == sorted(["BlobAlreadyExists"] * 5 + [winner])
        assert blobs.download_blob("f").readall().decode() == winner.removeprefix("won ")

    def test_copy_has_content_and_properties(self, control, blobs):
        blobs.upload_blob("a b", b"content", metadata={"k": "v"})
        target = blobs.get_blob_client("copies/c")
        done = target.start_copy_from_url(blobs.get_blob_client("a b").url)
        assert done["copy_status"] == "success"
        assert target.download_blob().readall() == b"content"
        assert target.get_blob_properties().metadata == {"k": "v"}
        foreign = container(control.in_workspace("other")).get_blob_client("x").url.partition("?")[0]
        for source, status, code in (
            (f"{blobs.url.partition('?')[0]}/no", 404, "BlobNotFound"),
            ("https://elsewhere/c/b", 400, "InvalidHeaderValue"),
            ("http://[", 400, "InvalidHeaderValue"),
            (foreign, 401, "NoAuthenticationInformation"),
        ):
            answer = ask(blobs, "PUT", "/copies/d", headers={"x-ms-copy-source": source})
            assert code_of(answer, status) == code

    def test_client_ids_come_back(self, blobs):
        headers = {"x-ms-client-request-id": "mine", "x-ms-version": "2026-10-06"}
        for path in ("/no", "?x"):
            answer = ask(blobs, "GET", path if path == "/no" else "", "restype=container&comp=list", headers=headers)
            assert (answer.headers["x-ms-client-request-id"], answer.headers["x-ms-version"]) == ("mine", "2026-10-06")
            assert answer.headers["x-ms-request-id"]


class TestRanges:
    @pytest.mark.parametrize(
        ("asked", "status", "expected", "range_"),
        [
            ("bytes=0-3", 206, b"0123", "bytes 0-3/10"),
            ("bytes=4-", 206, b"456789", "bytes 4-9/10"),
            ("bytes=8-99", 206, b"89", "bytes 8-9/10"),
            ("bytes=9-9", 206, b"9", "bytes 9-9/10"),
            ("bytes=3-1", 200, b"0123456789", None),
            ("lines=1-2", 200, b"0123456789", None),
            ("bytes=10-", 416, None, None),
        ],
    )
    def test_range_is_answered(self, blobs, asked, status, expected, range_):
        blobs.upload_blob("f", b"0123456789")
        for header in ("Range", "x-ms-range"):
            answer = ask(blobs, "GET", "/f", headers={header: asked})
            assert answer.status_code == status
            assert answer.headers.get("content-range") == range_
            if expected is not None:
                assert answer.content == expected
                assert int(answer.headers["content-length"]) == len(expected)

    def test_parallel_ranges_make_the_whole(self, blobs, control):
        content = content_of(3 * KILOBYTE * KILOBYTE)
        blobs.upload_blob("f", content)
        small = container(control, max_single_get_size=64 * KILOBYTE, max_chunk_get_size=64 * KILOBYTE)
        assert small.download_blob("f", max_concurrency=8).readall() == content
        assert small.download_blob("f", offset=100_000, length=200_001).readall() == content[100_000:300_001]

    def test_range_of_a_replaced_blob_is_refused(self, blobs):
        blobs.upload_blob("f", b"0123456789")
        etag = ask(blobs, "GET", "/f", headers={"x-ms-range": "bytes=0-3"}).headers["etag"]
        blobs.upload_blob("f", b"abcdefghij", overwrite=True)
        answer = ask(blobs, "GET", "/f", headers={"x-ms-range": "bytes=4-7", "If-Match": etag})
        assert code_of(answer, 412) == "ConditionNotMet"


class TestConditions:
    def test_etag_conditions(self, blobs):
        blob = blobs.get_blob_client("f")
        etag = blob.upload_blob(b"1")["etag"]
        other = '"0x8D000000000"'
        for headers, get, put in (
            ({"If-Match": etag}, 200, 200),
            ({"If-Match": "*"}, 200, 200),
            ({"If-Match": other}, 412, 412),
            ({"If-None-Match": other}, 200, 200),
        ):
            assert ask(blobs, "GET", "/f", headers=headers).status_code == get
            headers = headers if headers.get("If-Match") != etag else {"If-Match": blob.get_blob_properties().etag}
            assert ask(blobs, "PUT", "/f", "comp=metadata", headers=headers).status_code == put
        current = blob.get_blob_properties().etag
        unchanged = ask(blobs, "GET", "/f", headers={"If-None-Match": current})
        assert (unchanged.status_code, unchanged.content) == (304, b"")
        assert ask(blobs, "HEAD", "/f", headers={"If-None-Match": current}).status_code == 304
        assert code_of(ask(blobs, "PUT", "/f", headers={"If-None-Match": "*"}), 409) == "BlobAlreadyExists"
        assert code_of(ask(blobs, "PUT", "/g", headers={"If-Match": "*"}), 412) == "ConditionNotMet"
        assert code_of(ask(blobs, "DELETE", "/f", headers={"If-Match": other}), 412) == "ConditionNotMet"
        assert blob.download_blob().readall() == b"1"

    def test_date_conditions(self, blobs):
        blob = blobs.get_blob_client("f")
        blob.upload_blob(b"1")
        changed = blob.get_blob_properties().last_modified
        before, after = changed - timedelta(hours=1), changed + timedelta(hours=1)
        assert blob.download_blob(if_modified_since=before).readall() == b"1"
        assert blob.download_blob(if_unmodified_since=after).readall() == b"1"
        with pytest.raises(ResourceModifiedError):
            blob.download_blob(if_unmodified_since=before)
        late = {"If-Modified-Since": changed.strftime("%a, %d %b %Y %H:%M:%S GMT")}
        assert ask(blobs, "GET", "/f", headers=late).status_code == 304
        assert code_of(ask(blobs, "GET", "/f", headers={"If-Modified-Since": "soon"}), 400) == "InvalidHeaderValue"

    def test_of_two_writers_with_one_etag_one_wins(self, blobs):
        blob = blobs.get_blob_client("f")
        etag = blob.upload_blob(b"0")["etag"]
        barrier, statuses = threading.Barrier(4), list[int]()

        def write(number: int) -> None:
            barrier.wait()
            statuses.append(ask(blobs, "PUT", "/f", content=b"%d" % number, headers={"If-Match": etag}).status_code)

        threads = [threading.Thread(target=write, args=(number,)) for number in range(1, 5)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(statuses) == [201, 412, 412, 412]


class TestMetadata:
    def test_metadata_and_headers_are_replaced(self, blobs):
        blob = blobs.get_blob_client("f")
        first = blob.upload_blob(b"1", content_settings=ContentSettings(content_type="a/b"))["etag"]
        changed = blob.set_blob_metadata({"upload_status": "completed", "name": "m", "version": "1"})
        assert changed["etag"] != first
        blob.set_http_headers(ContentSettings(content_type="text/plain", cache_control="no-store"))
        found = blob.get_blob_properties()
        assert found.metadata == {"upload_status": "completed", "name": "m", "version": "1"}
        assert (found.content_settings.content_type, found.content_settings.cache_control) == ("text/plain", "no-store")
        assert found.content_settings.content_md5 is None
        (listed,) = blobs.list_blobs(include=["metadata"])
        assert (listed.metadata, listed.etag) == (found.metadata, found.etag.strip('"'))
        with pytest.raises(ResourceNotFoundError):
            blobs.get_blob_client("no").set_blob_metadata({"a": "b"})

    @pytest.mark.parametrize(
        ("headers", "code"),
        [
            ({f"x-ms-meta-k{number}": "v" * 1000 for number in range(9)}, "MetadataTooLarge"),
            ({"x-ms-meta-no-dash": "v"}, "InvalidMetadata"),
            ({"x-ms-meta-": "v"}, "InvalidMetadata"),
            ({"x-ms-blob-content-type": "v" * 1025}, "InvalidHeaderValue"),
        ],
    )
    def test_impossible_metadata_are_400(self, blobs, headers, code):
        blobs.upload_blob("f", b"1")
        for query in ("comp=metadata", "comp=properties", ""):
            answer = ask(blobs, "PUT", "/f", query, headers=headers)
            is_concerned = query == "" or ("meta" in next(iter(headers))) == (query == "comp=metadata")
            if is_concerned:
                assert code_of(answer, 400) == code
        assert blobs.get_blob_client("f").get_blob_properties().metadata == {}


class TestBlocks:
    def test_parallel_blocks_make_one_blob(self, control):
        blobs = container(control, max_block_size=64 * KILOBYTE, max_single_put_size=64 * KILOBYTE)
        content = content_of(2 * KILOBYTE * KILOBYTE + 17)
        blobs.upload_blob("big", content, max_concurrency=8, metadata={"a": "b"}, validate_content=True)
        assert blobs.download_blob("big").readall() == content
        assert blobs.get_blob_client("big").get_blob_properties().metadata == {"a": "b"}
        with control.sessions() as session:
            assert session.scalar(select(func.count()).select_from(BlobBlockRow)) == 0

    def test_blocks_out_of_order_sent_twice_and_dropped(self, control, blobs):
        blob = blobs.get_blob_client("f")
        for number, text in ((3, b"three"), (1, b"old"), (2, b"two"), (1, b"one"), (9, b"dropped")):
            blob.stage_block(block_id(number), text)
        assert not blob.exists()
        committed, uncommitted = blob.get_block_list("all")
        assert committed == []
        sizes = {1: 3, 2: 3, 3: 5, 9: 7}
        assert {block.id: block.size for block in uncommitted} == {block_id(n): size for n, size in sizes.items()}
        blob.commit_block_list([BlobBlock(block_id(number)) for number in (1, 2, 3)])
        assert blob.download_blob().readall() == b"onetwothree"
        committed, uncommitted = blob.get_block_list("all")
        assert [(block.id, block.size) for block in committed] == [(block_id(1), 3), (block_id(2), 3), (block_id(3), 5)]
        assert uncommitted == []
        control.services.blobs.removed().result()
        assert keys(control, "blocks/") == []

    def test_committed_blocks_are_used_again_and_a_repeated_commit_changes_nothing(self, blobs):
        blob = blobs.get_blob_client("f")
        for number, text in ((1, b"one"), (2, b"two")):
            blob.stage_block(block_id(number), text)
        for _ in range(2):
            blob.commit_block_list([BlobBlock(block_id(1)), BlobBlock(block_id(2))])
            assert blob.download_blob().readall() == b"onetwo"
        blob.stage_block(block_id(2), b"TWO")
        listed = "".join(
            f"<{kind}>{wire_id(number)}</{kind}>"
            for kind, number in (("Latest", 2), ("Committed", 2), ("Uncommitted", 2), ("Latest", 1))
        )
        answer = ask(blobs, "PUT", "/f", "comp=blocklist", content=f"<BlockList>{listed}</BlockList>")
        assert answer.status_code == 201, answer.text
        assert blob.download_blob().readall() == b"TWOtwoTWOone"

    def test_upload_goes_on_after_a_cut(self, control, blobs):
        class Cut(Exception):
            pass

        def half() -> Iterator[bytes]:
            yield b"x" * 1000
            raise Cut

        with pytest.raises(Cut):
            ask(
                blobs,
                "PUT",
                "/f",
                f"comp=block&blockid={block_id(1)}",
                content=half(),
                headers={"Content-Length": "2000"},
            )
        with pytest.raises(Cut):
            ask(blobs, "PUT", "/f", content=half(), headers={"Content-Length": "2000"})
        blob = blobs.get_blob_client("f")
        assert not blob.exists()
        blob.stage_block(block_id(1), b"y" * 2000)
        blob.commit_block_list([BlobBlock(block_id(1))])
        assert blob.download_blob().readall() == b"y" * 2000

    def test_unknown_block_is_400_and_keeps_the_blob(self, blobs):
        blobs.upload_blob("f", b"old")
        with pytest.raises(HttpResponseError) as refused:
            blobs.get_blob_client("f").commit_block_list([BlobBlock(block_id(7))])
        assert refused.value.error_code == "InvalidBlockList"
        assert blobs.download_blob("f").readall() == b"old"

    @pytest.mark.parametrize("crash", ["lost", "cut"])
    def test_block_that_a_crash_has_cut_is_400_and_keeps_the_blob(self, control, blobs, crash):
        blobs.upload_blob("f", b"old")
        blob = blobs.get_blob_client("f")
        blob.stage_block(block_id(1), b"content")
        (key,) = keys(control, "blocks/")
        if crash == "lost":
            control.store.delete(key)
        else:
            control.store.put(key, [b"cont"])
        with pytest.raises(HttpResponseError) as refused:
            blob.commit_block_list([BlobBlock(block_id(1))])
        assert refused.value.error_code == "InvalidBlockList"
        assert blob.download_blob().readall() == b"old"

    @pytest.mark.parametrize("odd", ["", "%21", "YQ", quote(base64.b64encode(b"x" * 65)), "%F0%9F%98%80"])
    def test_impossible_block_id_is_400(self, blobs, odd):
        answer = ask(blobs, "PUT", "/f", f"comp=block&blockid={odd}", content=b"x")
        assert code_of(answer, 400) == "InvalidQueryParameterValue"

    @pytest.mark.parametrize(
        "document",
        [
            b"",
            b"nonsense",
            b"<Blocks/>",
            b"<BlockList><Other>YQ==</Other></BlockList>",
            b"<BlockList><Latest><b/></Latest></BlockList>",
            b"<BlockList><Latest>" + b"Y" * 200 + b"</Latest></BlockList>",
            b'<!DOCTYPE b [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]><BlockList><Latest>&b;</Latest></BlockList>',
            b'<!DOCTYPE b [<!ENTITY x SYSTEM "file:///etc/passwd">]><BlockList><Latest>&x;</Latest></BlockList>',
            b'<?xml version="1.0" encoding="odd"?><BlockList/>',
            b"<BlockList>\xff</BlockList>",
        ],
    )
    def test_unreadable_block_list_is_400(self, blobs, document):
        answer = ask(blobs, "PUT", "/f", "comp=blocklist", content=document)
        assert code_of(answer, 400) == "InvalidXmlDocument"
        assert "root:" not in answer.text

    def test_list_of_100_000_blocks_is_400(self, blobs):
        document = "<BlockList>" + f"<Latest>{block_id(1)}</Latest>" * 100_000 + "</BlockList>"
        assert code_of(ask(blobs, "PUT", "/f", "comp=blocklist", content=document), 400) == "BlockListTooLong"
        assert code_of(ask(blobs, "PUT", "/f", "comp=blocklist", content=document * 4), 413) == "RequestBodyTooLarge"

    def test_blob_with_too_many_uncommitted_blocks_is_409(self, control, blobs, monkeypatch):
        monkeypatch.setattr("control_plane.features.blobs.service._MOST_UNCOMMITTED", 2)
        blob = blobs.get_blob_client("f")
        for number in (1, 2, 1):
            blob.stage_block(block_id(number), b"x")
        with pytest.raises(HttpResponseError) as refused:
            blob.stage_block(block_id(3), b"x")
        assert refused.value.error_code == "BlockCountExceedsLimit"

    def test_uncommitted_blocks_expire_after_a_day(self, control, blobs):
        blobs.get_blob_client("old").stage_block(block_id(1), b"x")
        with control.sessions.begin() as session:
            session.execute(update(BlobBlockRow).values(created_at=func.now() - timedelta(hours=25)))
        blobs.get_blob_client("new").stage_block(block_id(1), b"x")
        expire_blocks(control.sessions)
        with control.sessions() as session:
            assert session.scalars(select(BlobBlockRow.path)).all() == ["new"]
        remove_old_blocks(control.store)
        assert len(keys(control, "blocks/")) == 2
        remove_old_blocks(control.store, now=datetime.now(UTC) + timedelta(hours=26))
        assert keys(control, "blocks/") == []

    @pytest.mark.parametrize("query", ["", f"comp=block&blockid={block_id(2)}"])
    def test_body_over_the_limit_is_413(self, make_control, query):
        blobs = container(make_control(max_upload_bytes=1000))
        blobs.get_blob_client("f").stage_block(block_id(1), b"x" * (600 if query else 1))
        answer = ask(blobs, "PUT", "/f", query, content=b"x" * (401 if query else 1001))
        assert code_of(answer, 413) == "RequestBodyTooLarge"
        chunked = iter([b"x" * 700, b"x" * 700])
        assert code_of(ask(blobs, "PUT", "/f", query, content=chunked), 413) == "RequestBodyTooLarge"


class TestListing:
    TREE = ("a-b", "a/1", "a/2", "a/b/3", "b/1", "c d/é", "z")

    @pytest.fixture
    def tree(self, blobs: ContainerClient) -> ContainerClient:
        for name in self.TREE:
            blobs.upload_blob(name, name.encode())
        return blobs

    @pytest.mark.parametrize("size", [1, 2, 5000])
    def test_pages_have_every_blob_once_in_order(self, tree, size):
        pages = [[blob.name for blob in page] for page in tree.list_blobs(results_per_page=size).by_page()]
        assert [name for page in pages for name in page] == list(self.TREE)
        assert max(len(page) for page in pages) <= size

    @pytest.mark.parametrize("size", [1, 2, 5000])
    @pytest.mark.parametrize("read_over", [1, 1000])
    def test_delimiter_joins_what_lies_below(self, tree, monkeypatch, size, read_over):
        monkeypatch.setattr("control_plane.features.blobs.listing._READ_OVER", read_over)
        for prefix, expected in (
            ("", ["a-b", "a/", "b/", "c d/", "z"]),
            ("a/", ["a/1", "a/2", "a/b/"]),
            ("a", ["a-b", "a/"]),
            ("c", ["c d/"]),
            ("c d/", ["c d/é"]),
            ("no/", []),
        ):
            pages = tree.walk_blobs(name_starts_with=prefix, results_per_page=size).by_page()
            # Of one page, the library gives the blobs before the prefixes.
            assert sorted(entry.name for page in pages for entry in page) == sorted(expected)

    def test_prefix_selects(self, tree):
        assert list(tree.list_blob_names(name_starts_with="a/")) == ["a/1", "a/2", "a/b/3"]

    @pytest.mark.parametrize(
        "prefix", ["../", "../../", "a/../../", "./", "//", "/", "/etc/", "a\\", "\n", "x" * 300 + "/", "y" * 2000]
    )
    def test_prefix_outside_the_container_lists_nothing(self, control, tree, prefix):
        control.store.put("datastores/secret", [b"x"])
        assert list(tree.list_blobs(name_starts_with=prefix)) == []

    def test_odd_parameters_are_400(self, tree):
        for query in ("maxresults=0", "maxresults=x", "marker=%21", "marker=/w=="):
            answer = ask(tree, "GET", "", f"restype=container&comp=list&{query}")
            assert answer.status_code == 400

    def test_document_holds_characters_that_xml_cannot(self, control, blobs):
        name = "not-in-xml-\uffff"
        control.store.put(f"{control.datastores}/{STORE}/{name}", [b"x"])
        assert [blob.name for blob in blobs.list_blobs()] == [name]
        assert blobs.download_blob(name).readall() == b"x"
        text = ask(blobs, "GET", "", f"restype=container&comp=list&prefix={quote(name)}").text
        assert ElementTree.fromstring(text).findtext("NextMarker") == ""

    def test_container_has_properties(self, blobs):
        assert blobs.exists()
        assert blobs.get_container_properties().name.startswith("azureml-")
        with pytest.raises(ResourceExistsError):
            blobs.create_container()


class TestHostileNames:
    @pytest.mark.parametrize(
        "path",
        ["/%2e%2e/x", "/a/%2e%2e/%2e%2e/x", "/a%0ab", "/a%5cb", "/%00", "/a%7f"],
    )
    def test_name_that_leaves_the_container_is_refused(self, control, blobs, path):
        before = keys(control, "")
        for method, query in (("GET", ""), ("PUT", ""), ("PUT", "comp=block&blockid=YQ=="), ("DELETE", "")):
            answer = ask(blobs, method, path, query, content=b"x" if method == "PUT" else None)
            assert answer.status_code in (400, 404), answer.text
            code_of(answer, answer.status_code)
        assert [key for key in keys(control, "") if not key.startswith(("blocks/", "datastores/"))] == before

    @pytest.mark.parametrize("name", ["a//b", "a/", "y" * 256, "/".join("z" * 200 for _ in range(5))])
    def test_name_that_no_store_can_hold_is_400(self, blobs, name):
        assert code_of(ask(blobs, "PUT", f"/{name}", content=b"x"), 400) == "InvalidResourceName"

    def test_file_and_folder_of_one_name_are_409(self, blobs):
        blobs.upload_blob("a/b", b"x")
        blobs.upload_blob("c", b"x")
        assert code_of(ask(blobs, "PUT", "/a", content=b"x"), 409) == "KeyConflict"
        assert code_of(ask(blobs, "PUT", "/c/d", content=b"x"), 409) == "KeyConflict"

    def test_unsupported_calls_are_refused_in_xml(self, blobs):
        for method, query, headers in (
            ("PUT", "comp=appendblock", {}),
            ("PUT", "comp=page", {}),
            ("GET", "comp=tags", {}),
            ("PUT", "", {"x-ms-blob-type": "AppendBlob"}),
            ("PUT", "", {"x-ms-structured-body": "XSM/1.0; properties=crc64"}),
        ):
            code_of(ask(blobs, method, "/f", query, headers=headers), 400)
        assert code_of(ask(blobs, "POST", "/f"), 405) == "UnsupportedHttpVerb"


class TestRegisteredFiles:
    """The URI of a registered version is readable, though the content lies under its hash."""

    FILES = {"MLmodel": MLMODEL, "data/model.pkl": b"weights"}  # noqa: RUF012 - a constant of the tests

    @pytest.fixture
    def place(self, control: Control) -> str:
        """Path of the model's folder in the container."""
        control.register(files=self.FILES)
        uri: str = control.get("/models/m/versions/1")["properties"]["modelUri"]
        assert not keys(control, "uploads/")
        return uri.partition("/paths/")[2]

    def test_model_is_listed_and_read_at_its_uri(self, blobs, place):
        assert [blob.name for blob in blobs.list_blobs(name_starts_with=f"{place}/")] == [
            f"{place}/MLmodel",
            f"{place}/data/model.pkl",
        ]
        assert {entry.name for entry in blobs.walk_blobs(name_starts_with=f"{place}/")} == {
            f"{place}/MLmodel",
            f"{place}/data/",
        }
        pages = blobs.list_blobs(name_starts_with=place, results_per_page=1).by_page()
        assert len([blob for page in pages for blob in page]) == 2
        blob = blobs.get_blob_client(f"{place}/data/model.pkl")
        assert (blob.get_blob_properties().size, blob.download_blob().readall()) == (7, b"weights")
        assert blob.download_blob(offset=2, length=3).readall() == b"igh"

    def test_registered_files_are_read_only(self, blobs, place):
        calls = (("PUT", ""), ("PUT", "comp=metadata"), ("DELETE", ""), ("PUT", f"comp=block&blockid={block_id(1)}"))
        for method, query in calls:
            answer = ask(blobs, method, f"/{place}/MLmodel", query)
            assert code_of(answer, 409) == "BlobImmutableDueToPolicy"
        assert code_of(ask(blobs, "PUT", f"/{place}/new", content=b"x"), 409) == "BlobImmutableDueToPolicy"

    def test_other_workspaces_do_not_see_the_files(self, control, place):
        other = container(control.in_workspace("other"))
        assert list(other.list_blobs(name_starts_with=f"{place}/")) == []
        assert not other.get_blob_client(f"{place}/MLmodel").exists()

    def test_batch_job_reads_data_by_the_uri_of_the_version(self, control):
        uri = control.upload({"b.csv": b"x\n2\n", "deep/a.csv": b"x\n1\n"}, folder="rows")
        properties = {"dataType": "uri_folder", "dataUri": uri}
        path = control.put("/data/d/versions/1", {"properties": properties})["properties"]["dataUri"]
        endpoint = control.batch_endpoint()
        control.batch_deployment(endpoint, control.register())
        whole = control.submit(endpoint, {"inputData": {"in": {"jobInputType": "UriFolder", "uri": f"{path}/"}}})
        one = control.submit(endpoint, {"inputData": {"in": {"jobInputType": "UriFile", "uri": f"{path}/deep/a.csv"}}})
        assert whole["name"] != one["name"]
        missing = {"inputData": {"in": {"jobInputType": "UriFile", "uri": f"{path}/no.csv"}}}
        answer = control.ask("POST", f"//batch/{endpoint.rpartition('/')[2]}/jobs", {"properties": missing})
        assert "there is no file at" in error_of(answer, 400)["message"]


@pytest.mark.long
def test_blob_of_1_gb_in_parallel_blocks_takes_little_memory(make_control):
    """The library itself holds some blocks in this process, beside the server's threads."""
    size, peak, stop = 1 << 30, [0], threading.Event()
    process = psutil.Process()
    idle = process.memory_info().rss

    def watch() -> None:
        while not stop.wait(0.05):
            peak[0] = max(peak[0], process.memory_info().rss)

    watcher = threading.Thread(target=watch)
    watcher.start()
    blobs = container(make_control(max_upload_bytes=2 * size))
    digest = hashlib.sha256()

    class Source:
        left = size

        def read(self, wanted: int = -1) -> bytes:
            piece = min(wanted, self.left)
            self.left -= piece
            content = content_of(piece, self.left)
            digest.update(content)
            return content

    blobs.upload_blob("big", Source(), length=size, max_concurrency=8)
    received = hashlib.sha256()
    for chunk in blobs.download_blob("big", max_concurrency=4).chunks():
        received.update(chunk)
    stop.set()
    watcher.join()
    assert received.digest() == digest.digest()
    assert peak[0] - idle < 300 << 20
