"""What goes wrong between us and a store: asked again, or failed with the cause named, and nothing by half."""

import logging
import traceback
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from urllib.parse import urlsplit

import pytest

from modelyard.core.adapters.azure_store import azure_store
from modelyard.core.adapters.cloud_store import CloudStore
from modelyard.core.adapters.s3_store import s3_store
from modelyard.core.ports.object_store import ObjectMissing, StoreRefused, StoreUnavailable, check_store
from modelyard.core.settings import ObjectStoreSettings
from tests.object_stores import azurite
from tests.object_stores.fault_proxy import Answer, CutAnswer, CutRequest, FaultProxy, Silence, fault_proxy
from tests.object_stores.servers import StoreServer

# Long limits for a request and its retries: a busy machine is no fault. The number of retries is small.
FEW_RETRIES = ObjectStoreSettings(request_seconds=30, copy_seconds=1, retry_seconds=60, max_retries=2)
S3_SECRET = "the-secret-of-the-tests"
LARGE = [b"%07d" % number * 100_000 for number in range(30)]


@dataclass(frozen=True)
class Faulty:
    store: CloudStore
    proxy: FaultProxy
    server: StoreServer
    is_s3: bool

    def opened(self, settings: ObjectStoreSettings = FEW_RETRIES, **environment: str) -> CloudStore:
        return _opened(self.server, self.proxy.endpoint, settings, environment)


@pytest.fixture(params=["s3", "azure"])
def faulty(request: pytest.FixtureRequest) -> Iterator[Faulty]:
    server: StoreServer = request.getfixturevalue(request.param).another()
    with fault_proxy(server.endpoint) as proxy:
        store = _opened(server, proxy.endpoint, FEW_RETRIES, {})
        yield Faulty(store, proxy, server, request.param == "s3")


def _opened(server: StoreServer, endpoint: str, settings: ObjectStoreSettings, changed: dict[str, str]) -> CloudStore:
    host, _, path = server.url.partition("://")[2].partition("/")
    if server.url.startswith("s3"):
        return s3_store(host, path, {**server.environment, "AWS_ENDPOINT_URL": endpoint, **changed}, settings)
    container, _, prefix = path.partition("/")
    connection = server.environment["AZURE_STORAGE_CONNECTION_STRING"].replace(server.endpoint, endpoint)
    return azure_store(host, container, prefix, {"AZURE_STORAGE_CONNECTION_STRING": connection, **changed}, settings)


def read(store: CloudStore, key: str) -> bytes:
    return b"".join(store.get(key))


def error_of(operation: Callable[[], object]) -> Exception:
    with pytest.raises((StoreRefused, StoreUnavailable)) as raised:
        operation()
    assert "\n" not in str(raised.value)
    return raised.value


def everything_of(store: CloudStore) -> dict[str, Callable[[], object]]:
    return {
        "write": lambda: store.put("k", [b"x"]),
        "write a large one": lambda: store.put("k", LARGE),
        "write if absent": lambda: store.put_if_absent("k", [b"x"]),
        "read": lambda: read(store, "k"),
        "look up": lambda: store.size("k"),
        "exists": lambda: store.exists("k"),
        "copy": lambda: store.copy("k", "l"),
        "list": lambda: list(store.list("k")),
        "delete": lambda: store.delete("k"),
        "check": lambda: check_store(store),
    }


class TestRetried:
    @pytest.mark.parametrize("fault", [Answer(503), Answer(500), CutRequest(), CutAnswer()])
    def test_what_goes_wrong_once_is_done_again(self, faulty, fault):
        faulty.store.put("k", [b"whole"])
        operations = everything_of(faulty.store)
        if fault == CutAnswer():
            # A stream cannot be had twice: whoever has it puts it again.
            del operations["write a large one"]
        for operation in operations.values():
            faulty.proxy.do_wrong(fault, times=1)
            operation()
            faulty.proxy.do_right()
            faulty.store.put("k", [b"whole"])
        assert read(faulty.store, "k") == b"whole"

    def test_a_get_that_is_cut_goes_on_where_it_was(self, faulty):
        faulty.store.put("k", LARGE)
        faulty.proxy.do_wrong(CutAnswer(), method="GET", times=2)
        assert read(faulty.store, "k") == b"".join(LARGE)

    def test_the_parts_behind_one_that_is_cut_come_in_their_order(self, faulty):
        faulty.store.put("k", LARGE)
        reading = faulty.store.get("k")
        first = next(reading)
        faulty.proxy.do_wrong(CutAnswer(), method="GET", times=1)
        assert first + b"".join(reading) == b"".join(LARGE)

    def test_a_slow_answer_is_waited_for(self, faulty):
        patient = faulty.opened(FEW_RETRIES.model_copy(update={"request_seconds": 0.3, "max_retries": 20}))
        patient.put("k", [b"x"])
        faulty.proxy.do_wrong(Silence(), method="GET", times=1)
        assert read(patient, "k") == b"x"


class TestUnavailable:
    @pytest.mark.parametrize(
        ("fault", "cause"),
        [
            (Answer(503), "it answered 503, also when asked again"),
            (CutRequest(), "the connection was cut"),
            (CutAnswer(), "the connection was cut"),
            (Silence(), "it did not answer in time"),
        ],
        ids=["503", "cut-request", "cut-answer", "silence"],
    )
    def test_the_cause_is_named_with_store_and_key(self, faulty, fault, cause):
        faulty.store.put("the/key", [b"x"])
        store = faulty.opened(FEW_RETRIES.model_copy(update={"request_seconds": 0.3, "max_retries": 1}))
        faulty.proxy.do_wrong(fault, method="GET")
        error = error_of(lambda: read(store, "the/key"))
        assert isinstance(error, StoreUnavailable)
        where = "s3://bucket" if faulty.is_s3 else f"az://{azurite.ACCOUNT}/container"
        assert str(error).startswith(f"the object store {where}")
        assert str(error).endswith(f"{urlsplit(faulty.proxy.endpoint).netloc} could not read the/key: {cause}")

    def test_a_server_that_is_not_there(self, faulty):
        gone = _opened(
            faulty.server, "http://127.0.0.1:1/devstoreaccount1", FEW_RETRIES.model_copy(update={"max_retries": 1}), {}
        )
        for operation in everything_of(gone).values():
            error = error_of(operation)
            assert isinstance(error, StoreUnavailable)
            assert str(error).endswith("the connection was refused")

    def test_a_host_that_is_not_there(self, faulty):
        gone = _opened(
            faulty.server, "http://no-such-host.invalid:1", FEW_RETRIES.model_copy(update={"max_retries": 0}), {}
        )
        assert str(error_of(lambda: check_store(gone))).endswith("its host name is not known")


class TestNothingByHalf:
    def test_a_put_whose_connection_breaks_leaves_what_was_there(self, faulty):
        faulty.store.put("k", [b"whole"])
        faulty.proxy.do_wrong(CutRequest(), method="PUT")
        error_of(lambda: faulty.store.put("k", [b"x" * 100_000]))
        error_of(lambda: faulty.store.put("k", LARGE))
        error_of(lambda: faulty.store.put_if_absent("new", LARGE))
        faulty.proxy.do_right()
        assert read(faulty.store, "k") == b"whole"
        assert list(faulty.store.list("")) == ["k"]

    def test_a_large_put_that_cannot_be_ended_is_not_there(self, faulty):
        faulty.proxy.do_wrong(
            Answer(503), method="POST" if faulty.is_s3 else "PUT", path="uploadId" if faulty.is_s3 else "blocklist"
        )
        error_of(lambda: faulty.store.put("k", LARGE))
        faulty.proxy.do_right()
        assert not faulty.store.exists("k")

    @pytest.mark.parametrize("fault", [CutRequest(), Answer(503)])
    def test_a_multipart_upload_that_fails_is_aborted(self, faulty, fault):
        if faulty.is_s3:  # blocks that are not committed go by themselves on Azure
            faulty.proxy.do_wrong(fault, method="PUT", path="partNumber=2")
            error_of(lambda: faulty.store.put("k", LARGE))
            assert "<Upload>" not in _uploads(faulty)

    def test_a_multipart_upload_whose_source_breaks_is_aborted(self, faulty):
        def breaks_off():
            yield from LARGE
            raise LookupError

        with pytest.raises(LookupError):
            faulty.store.put("k", breaks_off())
        if faulty.is_s3:
            assert "<Upload>" not in _uploads(faulty)

    def test_a_get_that_stays_cut_raises_and_is_never_short(self, faulty):
        faulty.store.put("k", LARGE)
        stream = faulty.store.get("k")
        next(stream)
        faulty.proxy.do_wrong(CutAnswer(), method="GET")
        error_of(lambda: b"".join(stream))

    def test_what_is_gone_while_it_is_read_is_missing(self, faulty):
        faulty.store.put("k", LARGE)
        stream = faulty.store.get("k")
        next(stream)
        faulty.store.delete("k")
        with pytest.raises(ObjectMissing):
            b"".join(stream)


def _uploads(faulty: Faulty) -> str:
    bucket = faulty.server.url.split("/")[2]
    with urllib.request.urlopen(f"{faulty.server.endpoint}/{bucket}?uploads", timeout=20) as answer:
        return str(answer.read(), "utf-8")


class TestRefused:
    def test_a_bucket_that_is_not_there(self, faulty):
        url = faulty.server.url.replace("bucket-", "missing-").replace("container-", "missing-")
        store = _opened(replace(faulty.server, url=url), faulty.proxy.endpoint, FEW_RETRIES, {})
        for name in ("write", "write a large one", "read", "list", "check"):
            error = error_of(everything_of(store)[name])
            kind = "bucket" if faulty.is_s3 else "container"
            assert str(error).endswith(f"the {kind} does not exist: make it, or correct the storage URL")

    @pytest.mark.parametrize(
        ("status", "code", "words"),
        [
            (400, "ExpiredToken", "the credentials have expired: set "),
            (403, "AuthenticationFailed", "it does not accept the credentials: correct "),
            (403, "InvalidAccessKeyId", "it does not accept the credentials: correct "),
            (403, "AccessDenied", "the credentials lack the right (AccessDenied): grant it"),
            (403, "RequestTimeTooSkewed", "this machine's clock is wrong"),
            (409, "AccountIsDisabled", "it answered 409 AccountIsDisabled"),
        ],
    )
    def test_says_what_to_change_at_once(self, faulty, status, code, words):
        body = f"<Error><Code>{code}</Code><Message>of {S3_SECRET} and {azurite.KEY}</Message></Error>"
        faulty.proxy.do_wrong(Answer(status, body))
        error = error_of(lambda: faulty.store.put("k", [b"x"]))
        assert isinstance(error, StoreRefused)
        assert " refused to write k: " in str(error)
        assert words in str(error)
        assert len(faulty.proxy.seen) == 1, "a refusal is not asked again"

    def test_a_lookup_names_the_cause_too_although_its_answer_has_no_body(self, faulty):
        faulty.proxy.do_wrong(Answer(400), method="HEAD")
        faulty.proxy.do_wrong(Answer(400, "<Error><Code>ExpiredToken</Code></Error>"), method="GET")
        assert "the credentials have expired" in str(error_of(lambda: faulty.store.size("k")))

    def test_an_expired_signature_of_azure(self, faulty):
        detail = "Signature not valid in the specified time frame: Start [Sat, 21 Nov 2026]"
        faulty.proxy.do_wrong(Answer(403, f"<Error><Code>AuthenticationFailed</Code><Detail>{detail}</Detail></Error>"))
        assert "the credentials have expired" in str(error_of(lambda: faulty.store.put("k", [b"x"])))


class TestSecrets:
    def test_are_in_no_error_log_or_repr(self, faulty, caplog):
        caplog.set_level(logging.DEBUG)
        signature = "c2lnbmF0dXJlLW9mLXRoZS10ZXN0cw"
        secrets = {S3_SECRET, azurite.KEY, signature, "session-of-the-tests"}
        changed = {
            "AWS_SESSION_TOKEN": "session-of-the-tests",
            "AZURE_STORAGE_CONNECTION_STRING": f"AccountName={azurite.ACCOUNT};BlobEndpoint={faulty.proxy.endpoint};"
            f"SharedAccessSignature=sv=2021-12-02&sp=rw&sig={signature}",
        }
        store = faulty.opened(FEW_RETRIES.model_copy(update={"request_seconds": 0.3, "max_retries": 0}), **changed)
        told = [repr(store), str(vars(store))]
        body = f"<Error><Code>Odd</Code><Message>{' '.join(secrets)}</Message></Error>"
        for fault in (Answer(503, body), Answer(403, body), Answer(418, body), CutAnswer(), CutRequest()):
            faulty.proxy.do_wrong(fault)
            for operation in everything_of(store).values():
                try:
                    operation()
                except Exception as error:  # noqa: BLE001 - its text is what is asked for
                    told += [repr(error), *traceback.format_exception(error)]
            faulty.proxy.do_right()
        assert len(told) > 100
        for text in [*told, caplog.text]:
            assert not [secret for secret in secrets if secret in text], text
