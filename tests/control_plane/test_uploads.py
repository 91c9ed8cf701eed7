"""Uploads by signed URLs: streaming, hashes, interruption and continuation."""

import hashlib
import http.client
import socket
import time
from collections.abc import Callable
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote, urlsplit

import httpx2
import pytest
from cryptography.fernet import Fernet

from control_plane.signed_urls import Grant, Permission, UrlSigner
from modelyard.core.domain.model_manifest import ModelFile
from modelyard.core.errors import UploadUrlExpired
from tests.control_plane.control import MLMODEL, TOKEN, WORKSPACE, Control, Upload, anonymous, error_of

# Half of the content is more than a store buffers before the first write.
CONTENT = bytes(range(256)) * 16384
HALF = len(CONTENT) // 2
ALL = str(len(CONTENT))
SHA256 = hashlib.sha256(CONTENT).hexdigest()


def interrupt(control: Control, upload: Upload, path: str, content: bytes, **headers: str) -> int:
    """Send a part of the announced body, and hang up once some bytes have arrived. Returns the stored bytes."""
    parts = urlsplit(upload.url(path))
    before = received(upload, path) or 0
    connection = http.client.HTTPConnection(str(parts.hostname), parts.port)
    connection.putrequest("PUT", f"{parts.path}?{parts.query}")
    for name, value in headers.items():
        connection.putheader(name.replace("_", "-"), value)
    connection.endheaders()
    connection.send(content)
    connection.close()
    # The server detects the closed connection.
    return until(lambda: (received(upload, path) or 0) > before and received(upload, path))


def until(condition: Callable[[], Any]) -> Any:
    while not (found := condition()):
        time.sleep(0.005)
    return found


def received(upload: Upload, path: str, sha256: str = "", token: str = "") -> int | None:
    headers = {"x-modelyard-sha256": sha256} if sha256 else {}
    if token:
        headers["Authorization"] = f"Bearer {token}"
    answer = anonymous.head(upload.url(path), headers=headers)
    if answer.status_code == 404:
        return None
    assert answer.status_code == 200
    return int(answer.headers["x-modelyard-received"])


def put(url: str, content: bytes, **headers: str) -> httpx2.Response:
    return anonymous.put(url, content=content, headers={name.replace("_", "-"): v for name, v in headers.items()})


def range_header(start: int) -> str:
    return f"bytes {start}-{len(CONTENT) - 1}/{len(CONTENT)}"


class TestUpload:
    def test_response_has_azures_shape(self, control):
        reply = control.post("/models/m/versions/1/startPendingUpload", {"PendingUploadType": "temporaryBlobReference"})
        blob = reply["blobReferenceForConsumption"]
        assert set(reply) == {"blobReferenceForConsumption", "pendingUploadId", "pendingUploadType"}
        assert blob["credential"]["credentialType"] == "SAS"
        assert blob["credential"]["sasUri"].startswith(blob["blobUri"] + "?sv=")
        assert blob["storageAccountArmId"] == ""

    def test_sent_bytes_are_the_stored_bytes(self, control):
        upload = control.start_upload()
        answer = put(upload.url("model/a%20b.bin"), CONTENT)
        assert (answer.status_code, answer.headers["x-modelyard-received"]) == (201, str(len(CONTENT)))
        assert received(upload, "model/a%20b.bin") == len(CONTENT)
        assert anonymous.get(upload.url("model/a%20b.bin")).content == CONTENT

    def test_file_may_be_empty_or_of_unknown_length(self, control):
        upload = control.start_upload()
        assert put(upload.url("model/empty"), b"").status_code == 201
        assert received(upload, "model/empty") == 0
        pieces = (CONTENT[at : at + 1000] for at in range(0, len(CONTENT), 1000))
        assert anonymous.put(upload.url("model/chunked"), content=pieces).status_code == 201
        assert received(upload, "model/chunked") == len(CONTENT)

    def test_second_put_replaces_the_file_and_its_chunks(self, control):
        upload = control.start_upload()
        for content in (b"first", CONTENT, b"last"):
            put(upload.url("model/f"), content)
        assert anonymous.get(upload.url("model/f")).content == b"last"
        assert len(list(control.store.list("uploads/"))) == 1

    def test_missing_file_is_404(self, control):
        upload = control.start_upload()
        assert received(upload, "model/f") is None
        error_of(anonymous.get(upload.url("model/f")), 404)

    @pytest.mark.parametrize("path", ["../f", "a/../../f", "/etc/passwd", "a//b", "a/./b", "a\\b", "a\tb"])
    def test_path_outside_the_upload_is_400(self, control, path):
        upload = control.start_upload()
        raw = f"{urlsplit(upload.uri).path}/{quote(path)}?{upload.query}"
        connection = http.client.HTTPConnection(urlsplit(control.url).netloc)
        connection.request("PUT", raw, body=b"x")
        answer = connection.getresponse()
        assert answer.status == 400
        assert b"InvalidModel" in answer.read()
        connection.close()
        assert not list(control.store.list("uploads/"))

    def test_block_blob_requests_are_400(self, control):
        upload = control.start_upload()
        put(upload.url("model/f"), b"content")
        error_of(put(upload.url("model/f") + "&comp=metadata", b""), 400)
        assert anonymous.get(upload.url("model/f")).content == b"content"

    def test_body_with_another_hash_than_announced_is_400(self, control):
        upload = control.start_upload()
        assert "SHA-256" in error_of(put(upload.url("m/f"), b"other", x_modelyard_sha256=SHA256), 400)["message"]
        assert received(upload, "m/f") is None
        assert not list(control.store.list("uploads/"))


class TestInterruption:
    def test_interrupted_file_is_continued_after_the_received_bytes(self, control):
        upload = control.start_upload()
        here = interrupt(control, upload, "m/f", CONTENT[:HALF], Content_Length=ALL, x_modelyard_sha256=SHA256)
        answer = put(upload.url("m/f"), CONTENT[here:], Content_Range=range_header(here), x_modelyard_sha256=SHA256)
        assert answer.status_code == 201
        assert anonymous.get(upload.url("m/f")).content == CONTENT

    def test_file_of_many_parts_is_registered_complete(self, control):
        upload = control.start_upload()
        put(upload.url("model/MLmodel"), MLMODEL)
        first = interrupt(control, upload, "model/f", CONTENT[:HALF], Content_Length=ALL)
        headers = {"Content_Length": str(len(CONTENT) - first), "Content_Range": range_header(first)}
        second = interrupt(control, upload, "model/f", CONTENT[first : first + HALF // 2], **headers)
        assert put(upload.url("model/f"), CONTENT[second:], Content_Range=range_header(second)).status_code == 201
        body = {"properties": {"modelType": "mlflow_model", "modelUri": f"{upload.uri}/model"}}
        control.put("/models/m/versions/1", body)
        files = {file["path"]: file for file in control.get("/models/m/versions/1/files")["value"]}
        assert files["model/f"]["sha256"] == SHA256
        assert b"".join(control.store.get(ModelFile("f", SHA256, 0).key)) == CONTENT
        assert not list(control.store.list("uploads/"))

    def test_joined_parts_with_another_hash_are_not_registered(self, control):
        upload = control.start_upload()
        put(upload.url("model/MLmodel"), MLMODEL)
        here = interrupt(control, upload, "model/f", CONTENT[:HALF], Content_Length=ALL, x_modelyard_sha256=SHA256)
        rest = bytes(len(CONTENT) - here)
        put(upload.url("model/f"), rest, Content_Range=range_header(here), x_modelyard_sha256=SHA256)
        body = {"properties": {"modelType": "mlflow_model", "modelUri": f"{upload.uri}/model"}}
        assert error_of(control.ask("PUT", "/models/m/versions/1", body), 400)["code"] == "UploadIncomplete"

    def test_part_may_be_sent_again_from_its_start(self, control):
        upload = control.start_upload()
        first = interrupt(control, upload, "m/f", CONTENT[:HALF], Content_Length=ALL)
        headers = {"Content_Length": str(len(CONTENT) - first), "Content_Range": range_header(first)}
        interrupt(control, upload, "m/f", CONTENT[first : first + HALF // 2], **headers)
        # The sender asked for the received size before the server detected the second interruption.
        assert put(upload.url("m/f"), CONTENT[first:], Content_Range=range_header(first)).status_code == 201
        assert anonymous.get(upload.url("m/f")).content == CONTENT
        assert len(list(control.store.list("uploads/"))) == 2

    def test_part_after_a_gap_is_409_with_the_received_size(self, control):
        upload = control.start_upload()
        here = interrupt(control, upload, "m/f", CONTENT[:HALF], Content_Length=ALL)
        answer = put(upload.url("m/f"), CONTENT[here + 1 :], Content_Range=range_header(here + 1))
        assert f"{here} bytes" in error_of(answer, 409)["message"]

    @pytest.mark.parametrize("text", ["bytes 0-1/3", "bytes 1-0/1", "items 0-9/10", "bytes 5-9/10", "bytes */10"])
    def test_content_range_that_contradicts_the_body_is_400(self, control, text):
        upload = control.start_upload()
        error_of(put(upload.url("m/f"), b"12345678", Content_Range=text), 400)

    def test_file_with_another_hash_is_not_continued(self, control):
        upload = control.start_upload()
        here = interrupt(control, upload, "m/f", CONTENT[:HALF], Content_Length=ALL, x_modelyard_sha256=SHA256)
        assert received(upload, "m/f", hashlib.sha256(b"changed").hexdigest()) is None
        assert received(upload, "m/f", SHA256) == here

    def test_interrupted_chunked_body_is_not_a_complete_file(self, control):
        upload = control.start_upload()
        chunk = b"%x\r\n%s\r\n" % (HALF, CONTENT[:HALF])
        interrupt(control, upload, "model/MLmodel", chunk, Transfer_Encoding="chunked")
        body = {"properties": {"modelType": "mlflow_model", "modelUri": f"{upload.uri}/model"}}
        error = error_of(control.ask("PUT", "/models/m/versions/1", body), 400)
        assert error["code"] == "UploadIncomplete"
        assert "model/MLmodel" in error["message"]


class TestKnownContent:
    def test_holder_of_an_upload_url_learns_nothing_by_a_hash(self, control):
        control.register(files={"MLmodel": MLMODEL, "f": CONTENT})
        upload = control.start_upload()
        assert received(upload, "model/g", SHA256) is None
        error_of(anonymous.get(upload.url("model/g")), 404)

    def test_content_of_another_workspace_is_unknown(self, control):
        control.register(files={"MLmodel": MLMODEL, "f": CONTENT})
        other = f"/{WORKSPACE.replace('/workspaces/default', '/workspaces/other')}"
        control.put(other, {"location": "local"})
        foreign = control.post(f"{other}/models/m/versions/1/startPendingUpload")
        assert received(Upload(foreign["blobReferenceForConsumption"]), "model/g", SHA256, TOKEN) is None

    def test_content_of_an_upload_that_is_not_registered_is_unknown(self, control):
        first, second = control.start_upload(), control.start_upload()
        put(first.url("model/f"), CONTENT, x_modelyard_sha256=SHA256)
        assert received(second, "model/f", SHA256, TOKEN) is None

    def test_wrong_token_beside_a_signature_is_401(self, control):
        upload = control.start_upload()
        assert anonymous.head(upload.url("m/f"), headers={"Authorization": "Bearer wrong"}).status_code == 401

    def test_content_that_a_reader_may_read_need_not_be_sent(self, control):
        control.register(files={"MLmodel": MLMODEL, "f": CONTENT})
        upload = control.start_upload()
        assert received(upload, "model/g", SHA256, TOKEN) == len(CONTENT)
        put(upload.url("model/MLmodel"), MLMODEL, x_modelyard_sha256=hashlib.sha256(MLMODEL).hexdigest())
        body = {"properties": {"modelType": "mlflow_model", "modelUri": f"{upload.uri}/model"}}
        control.put("/models/m/versions/2", body)
        assert not list(control.store.list("uploads/"))
        assert b"".join(control.store.get(ModelFile("g", SHA256, 0).key)) == CONTENT

    def test_body_is_checked_against_the_hash_of_stored_content(self, control):
        control.register(files={"MLmodel": MLMODEL, "f": CONTENT})
        upload = control.start_upload()
        error_of(put(upload.url("model/g"), b"something else", x_modelyard_sha256=SHA256), 400)
        assert b"".join(control.store.get(ModelFile("g", SHA256, 0).key)) == CONTENT

    def test_malformed_hash_is_400(self, control):
        error_of(put(control.start_upload().url("m/g"), b"x", x_modelyard_sha256="../../secrets"), 400)


class TestSlowUploads:
    def begin(self, url: str) -> socket.socket:
        """Send the head and a byte of a body."""
        parts = urlsplit(url)
        connection = socket.create_connection((parts.hostname or "", parts.port or 0), timeout=30)
        head = f"PUT {parts.path}?{parts.query} HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n"
        connection.sendall(head.encode() + b"x")
        return connection

    def test_many_slow_uploads_delay_no_other_upload(self, control):
        uploads = [control.start_upload() for _ in range(5)]
        urls = [upload.url(f"m/{number}") for upload in uploads for number in range(8)]
        with ExitStack() as held:
            for url in urls:
                held.enter_context(self.begin(url))
            began = time.monotonic()
            assert put(control.start_upload().url("m/f"), CONTENT).status_code == 201
            # With a thread for each sender, another upload waited for as long as 34 slow ones were there.
            assert time.monotonic() - began < 15
        for upload in uploads:
            for number in range(8):
                assert until(lambda: received(upload, f"m/{number}")) == 1  # noqa: B023 - called at once

    def test_slow_uploads_by_one_url_are_limited_and_other_urls_go_on(self, control):
        upload = control.start_upload()

        def another() -> httpx2.Response:
            return put(upload.url("m/f"), b"x")

        with ExitStack() as held:
            for number in range(15):
                held.enter_context(self.begin(upload.url(f"m/{number}")))
            # The other request may come first and take the last place for a moment.
            until(lambda: held.enter_context(self.begin(upload.url("m/15"))) and another().status_code == 429)
            refused = another()
            assert error_of(refused, 429)["code"] == "TooManyUploads"
            assert refused.headers["retry-after"] == "1"
            assert put(control.start_upload().url("m/f"), b"x").status_code == 201
        until(lambda: another().status_code == 201)

    def test_rest_of_an_upload_below_the_least_rate_can_be_sent_later(self, make_server):
        server: Control = make_server(body_seconds=0.5, min_body_bytes_per_second=1_000_000)
        upload = server.start_upload()
        with self.begin(upload.url("m/f")) as connection:
            assert connection.recv(1 << 16).startswith(b"HTTP/1.1 408")
        assert until(lambda: received(upload, "m/f")) == 1
        assert put(upload.url("m/f"), b"y" * 999, Content_Range="bytes 1-999/1000").status_code == 201
        assert anonymous.get(upload.url("m/f")).content == b"x" + b"y" * 999


class TestSizeLimit:
    def test_announced_size_over_the_limit_is_413_before_the_body(self, make_control):
        control: Control = make_control(max_upload_bytes=1000)
        upload = control.start_upload()
        put(upload.url("m/a"), b"x" * 600)
        assert error_of(put(upload.url("m/b"), b"x" * 401), 413)["code"] == "PayloadTooLarge"
        assert put(upload.url("m/a"), b"x" * 1000).status_code == 201

    def test_chunked_body_over_the_limit_is_413_and_not_stored(self, make_control):
        control: Control = make_control(max_upload_bytes=1000)
        upload = control.start_upload()
        answer = anonymous.put(upload.url("m/a"), content=iter([b"x" * 600, b"x" * 600]))
        error_of(answer, 413)
        assert received(upload, "m/a") is None
        assert not list(control.store.list("uploads/"))


class TestSignatures:
    def test_missing_or_foreign_signature_is_403(self, control):
        mine, other = control.start_upload(), control.start_upload()
        tampered = mine.query.replace("sig=", "sig=A")
        later = mine.query.replace("se=2", "se=3")
        for query in ("", other.query, tampered, later, "sig=%00&se=x", "sig=é"):
            answer = put(f"{mine.uri}/model/f?{query}", b"x")
            assert error_of(answer, 403)["code"] == "AuthenticationFailed"
        assert received(mine, "model/f") is None

    def test_admin_token_does_not_replace_a_signature(self, control):
        error_of(control.http.put(f"{control.start_upload().uri}/model/f", content=b"x"), 403)

    def test_download_url_opens_its_own_content_only(self, control):
        control.register()
        first, second = control.get("/models/m/versions/1/files")["value"]
        assert anonymous.get(first["url"]).content == MLMODEL
        exchanged = first["url"].replace(first["sha256"], second["sha256"])
        error_of(anonymous.get(exchanged), 403)
        error_of(anonymous.get(first["url"].partition("?")[0]), 403)

    def test_signature_expires_after_an_hour(self):
        signer, grant = UrlSigner(Fernet.generate_key().decode()), Grant(Permission.UPLOAD, "u")
        now = datetime(2026, 1, 1, tzinfo=UTC)
        query = dict(pair.split("=", 1) for pair in signer.query(grant, now=now).replace("%3A", ":").split("&"))
        signer.check(grant, query, now=now + timedelta(minutes=59))
        with pytest.raises(UploadUrlExpired, match="2026-01-01T01:00:00Z"):
            signer.check(grant, query, now=now + timedelta(minutes=61))
        with pytest.raises(UploadUrlExpired):
            signer.check(Grant(Permission.DOWNLOAD_BLOB, "u"), query, now=now)

    def test_signature_outlives_the_rotation_of_the_master_key(self):
        old, new = Fernet.generate_key().decode(), Fernet.generate_key().decode()
        now, grant = datetime(2026, 1, 1, tzinfo=UTC), Grant(Permission.UPLOAD, "u")
        query = dict(pair.split("=", 1) for pair in UrlSigner(old).query(grant, now=now).replace("%3A", ":").split("&"))
        UrlSigner(f"{new},{old}").check(grant, query, now=now)
        with pytest.raises(UploadUrlExpired):
            UrlSigner(new).check(grant, query, now=now)
