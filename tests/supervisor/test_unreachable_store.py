"""A start whose object store refuses, is missing or does not answer: one line of the store, and exit code 1."""

from collections.abc import Iterator

import pytest

from tests.object_stores.servers import StoreServer, s3_server
from tests.supervisor.starts import ended, started
from tests.supervisor.test_unreachable_servers import NO_PROCESSES, SOON, closed_port, refusal


@pytest.fixture(scope="module")
def s3() -> Iterator[StoreServer]:
    with s3_server() as server:
        yield server


def test_start_with_an_s3_bucket_becomes_healthy(passable_folder, servers, s3):
    variables = {**servers, **s3.environment, "MODELYARD_STORAGE_URL": s3.url}
    with started(passable_folder / "data", *NO_PROCESSES, **variables) as start:
        start.becomes_healthy()


def test_missing_bucket_is_named(passable_folder, servers, s3):
    variables = {**servers, **s3.environment, "MODELYARD_STORAGE_URL": "s3://nobodys-bucket/yard"}
    start = ended(passable_folder / "data", *NO_PROCESSES, **variables)
    assert "nobodys-bucket" in refusal(start)


def test_missing_credentials_are_named_by_their_variables(passable_folder, servers, s3):
    variables = {**servers, "AWS_ENDPOINT_URL": s3.environment["AWS_ENDPOINT_URL"], "MODELYARD_STORAGE_URL": s3.url}
    start = ended(passable_folder / "data", *NO_PROCESSES, **variables)
    assert "AWS_ACCESS_KEY_ID" in refusal(start)


def test_start_waits_for_an_endpoint_that_does_not_listen(passable_folder, servers, s3):
    with closed_port() as place:
        variables = {**servers, **s3.environment, "AWS_ENDPOINT_URL": f"http://{place}"}
        start = ended(passable_folder / "data", *NO_PROCESSES, **{**variables, "MODELYARD_STORAGE_URL": s3.url}, **SOON)
    assert "the object store does not answer: " in refusal(start)
    assert s3.environment["AWS_SECRET_ACCESS_KEY"] not in start.printed


def test_malformed_url_is_exit_code_2_before_any_server_is_asked(passable_folder, servers):
    wrong = {"MODELYARD_STORAGE_URL": "s3://Bucket_/prefix", "MODELYARD_DATABASE_URL": "postgresql://127.0.0.1:1/none"}
    start = ended(passable_folder / "data", *NO_PROCESSES, **{**servers, **wrong})
    assert "waiting" not in start.printed
    assert "MODELYARD_STORAGE_URL" in refusal(start, code=2)


def test_folder_that_cannot_be_created_is_named(passable_folder, servers):
    (passable_folder / "file").touch()
    url = (passable_folder / "file" / "objects").as_uri()
    start = ended(passable_folder / "data", *NO_PROCESSES, **{**servers, "MODELYARD_STORAGE_URL": url})
    assert str(passable_folder / "file") in refusal(start)
