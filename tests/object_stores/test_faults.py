"""Faults between the platform and a store: a retry, or an error that names the cause, and never half an object."""

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
from tests.object_stores.fault_proxy import (
    CutRequest,
    CutResponse,
    FaultProxy,
    FixedResponse,
    Silence,
    fault_proxy,
)
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


def operations_on(store: CloudStore) -> dict[str, Callable[[], object]]:
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


class TestRetry:
    @pytest.mark.parametrize("fault", [FixedResponse(503), FixedResponse(500), CutRequest(), CutResponse()])
    def test_operation_that_fails_once_is_retried(self, faulty, fault):
        faulty.store.put("k", [b"whole"])
        operations = operations_on(faulty.store)
        if fault == CutResponse():
            # A stream can be read once: the caller puts it again.
            del operations["write a large one"]
        for operation in operations.values():
            faulty.proxy.inject(fault, times=1)
            operation()
            faulty.proxy.clear()
            faulty.store.put("k", [b"whole"])
        assert read(faulty.store, "k") == b"whole"

    def test_get_whose_response_breaks_twice_continues_at_that_byte(self, faulty):
        faulty.store.put("k", LARGE)
        faulty.proxy.inject(CutResponse(), method="GET", times=2)
        assert read(faulty.store, "k") == b"".join(LARGE)

    def test_parts_after_a_broken_part_keep_their_order(self, faulty):
        faulty.store.put("k", LARGE)
        reading = faulty.store.get("k")
        first = next(reading)
        faulty.proxy.inject(CutResponse(), method="GET", times=1)
        assert first + b"".join(reading) == b"".join(LARGE)

    def test_request_without_a_response_in_time_is_retried(self, faulty):
        patient = faulty.opened(FEW_RETRIES.model_copy(update={"request_seconds": 0.3, "max_retries": 20}))
        patient.put("k", [b"x"])
        faulty.proxy.inject(Silence(), method="GET", times=1)
        assert read(patient, "k") == b"x"


class TestUnavailable:
    @pytest.mark.parametrize(
        ("fault", "cause"),
        [
            (FixedResponse(503), "status 503 in every attempt"),
            (CutRequest(), "the connection was cut"),
            (CutResponse(), "the connection was cut"),
            (Silence(), "no response in time"),
        ],
        ids=["503", "cut-request", "cut-response", "silence"],
    )
    def test_error_names_store_key_and_cause(self, faulty, fault, cause):
        faulty.store.put("the/key", [b"x"])
        store = faulty.opened(FEW_RETRIES.model_copy(update={"request_seconds": 0.3, "max_retries": 1}))
        faulty.proxy.inject(fault, method="GET")
        error = error_of(lambda: read(store, "the/key"))
        assert isinstance(error, StoreUnavailable)
        where = "s3://bucket" if faulty.is_s3 else f"az://{azurite.ACCOUNT}/container"
        assert str(error).startswith(f"the object store {where}")
        assert str(error).endswith(f"{urlsplit(faulty.proxy.endpoint).netloc} could not read the/key: {cause}")

    def test_refused_connection_is_named(self, faulty):
        gone = _opened(
            faulty.server, "http://127.0.0.1:1/devstoreaccount1", FEW_RETRIES.model_copy(update={"max_retries": 1}), {}
        )
        for operation in operations_on(gone).values():
            error = error_of(operation)
            assert isinstance(error, StoreUnavailable)
            assert str(error).endswith("the connection was refused")

    def test_unknown_host_name_is_named(self, faulty):
        gone = _opened(
            faulty.server, "http://no-such-host.invalid:1", FEW_RETRIES.model_copy(update={"max_retries": 0}), {}
        )
        assert str(error_of(lambda: check_store(gone))).endswith("the host name is not known")


class TestAtomicity:
    def test_put_whose_connection_breaks_leaves_the_old_object(self, faulty):
        faulty.store.put("k", [b"whole"])
        faulty.proxy.inject(CutRequest(), method="PUT")
        error_of(lambda: faulty.store.put("k", [b"x" * 100_000]))
        error_of(lambda: faulty.store.put("k", LARGE))
        error_of(lambda: faulty.store.put_if_absent("new", LARGE))
        faulty.proxy.clear()
        assert read(faulty.store, "k") == b"whole"
        assert list(faulty.store.list("")) == ["k"]

    def test_large_put_that_cannot_be_completed_leaves_no_object(self, faulty):
        faulty.proxy.inject(
            FixedResponse(503),
            method="POST" if faulty.is_s3 else "PUT",
            path="uploadId" if faulty.is_s3 else "blocklist",
        )
        error_of(lambda: faulty.store.put("k", LARGE))
        faulty.proxy.clear()
        assert not faulty.store.exists("k")

    @pytest.mark.parametrize("fault", [CutRequest(), FixedResponse(503)])
    def test_multipart_upload_that_fails_is_aborted(self, faulty, fault):
        if faulty.is_s3:  # Azure drops uncommitted blocks
            faulty.proxy.inject(fault, method="PUT", path="partNumber=2")
            error_of(lambda: faulty.store.put("k", LARGE))
            assert "<Upload>" not in _uploads(faulty)

    def test_multipart_upload_whose_stream_raises_is_aborted(self, faulty):
        def breaks_off():
            yield from LARGE
            raise LookupError

        with pytest.raises(LookupError):
            faulty.store.put("k", breaks_off())
        if faulty.is_s3:
            assert "<Upload>" not in _uploads(faulty)

    def test_get_whose_response_breaks_every_time_raises_and_is_never_short(self, faulty):
        faulty.store.put("k", LARGE)
        stream = faulty.store.get("k")
        next(stream)
        faulty.proxy.inject(CutResponse(), method="GET")
        error_of(lambda: b"".join(stream))

    def test_object_deleted_during_a_read_is_missing(self, faulty):
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


class TestRefusal:
    def test_missing_bucket_is_named_with_the_remedy(self, faulty):
        url = faulty.server.url.replace("bucket-", "missing-").replace("container-", "missing-")
        store = _opened(replace(faulty.server, url=url), faulty.proxy.endpoint, FEW_RETRIES, {})
        for name in ("write", "write a large one", "read", "list", "check"):
            error = error_of(operations_on(store)[name])
            kind = "bucket" if faulty.is_s3 else "container"
            assert str(error).endswith(f"the {kind} does not exist: create it, or correct the storage URL")

    @pytest.mark.parametrize(
        ("status", "code", "words"),
        [
            (400, "ExpiredToken", "the credentials have expired: set "),
            (403, "AuthenticationFailed", "the credentials are not accepted: correct "),
            (403, "InvalidAccessKeyId", "the credentials are not accepted: correct "),
            (403, "AccessDenied", "the credentials lack the right (AccessDenied): grant it"),
            (403, "RequestTimeTooSkewed", "the clock of this machine is wrong"),
            (409, "AccountIsDisabled", "status 409 AccountIsDisabled"),
        ],
    )
    def test_refusal_is_not_retried_and_says_what_to_change(self, faulty, status, code, words):
        body = f"<Error><Code>{code}</Code><Message>of {S3_SECRET} and {azurite.KEY}</Message></Error>"
        faulty.proxy.inject(FixedResponse(status, body))
        error = error_of(lambda: faulty.store.put("k", [b"x"]))
        assert isinstance(error, StoreRefused)
        assert " refused to write k: " in str(error)
        assert words in str(error)
        assert len(faulty.proxy.seen) == 1, "a refusal must not be retried"

    def test_lookup_names_the_cause_although_its_response_has_no_body(self, faulty):
        faulty.proxy.inject(FixedResponse(400), method="HEAD")
        faulty.proxy.inject(FixedResponse(400, "<Error><Code>ExpiredToken</Code></Error>"), method="GET")
        assert "the credentials have expired" in str(error_of(lambda: faulty.store.size("k")))

    def test_expired_signature_of_azure_is_named_as_expired_credentials(self, faulty):
        detail = "Signature not valid in the specified time frame: Start [Sat, 21 Nov 2026]"
        faulty.proxy.inject(
            FixedResponse(403, f"<Error><Code>AuthenticationFailed</Code><Detail>{detail}</Detail></Error>")
        )
        assert "the credentials have expired" in str(error_of(lambda: faulty.store.put("k", [b"x"])))


class TestSecrets:
    def test_secrets_are_in_no_error_log_or_repr(self, faulty, caplog):
        caplog.set_level(logging.DEBUG)
        signature = "c2lnbmF0dXJlLW9mLXRoZS10ZXN0cw"
        secrets = {S3_SECRET, azurite.KEY, signature, "session-of-the-tests"}
        changed = {
            "AWS_SESSION_TOKEN": "session-of-the-tests",
            "AZURE_STORAGE_CONNECTION_STRING": f"AccountName={azurite.ACCOUNT};BlobEndpoint={faulty.proxy.endpoint};"
            f"SharedAccessSignature=sv=2021-12-02&sp=rw&sig={signature}",
        }
        store = faulty.opened(FEW_RETRIES.model_copy(update={"request_seconds": 0.3, "max_retries": 0}), **changed)
        texts = [repr(store), str(vars(store))]
        body = f"<Error><Code>Odd</Code><Message>{' '.join(secrets)}</Message></Error>"
        for fault in (
            FixedResponse(503, body),
            FixedResponse(403, body),
            FixedResponse(418, body),
            CutResponse(),
            CutRequest(),
        ):
            faulty.proxy.inject(fault)
            for operation in operations_on(store).values():
                try:
                    operation()
                except Exception as error:  # noqa: BLE001 - the text is under test
                    texts += [repr(error), *traceback.format_exception(error)]
            faulty.proxy.clear()
        assert len(texts) > 100
        for text in [*texts, caplog.text]:
            assert not [secret for secret in secrets if secret in text], text
