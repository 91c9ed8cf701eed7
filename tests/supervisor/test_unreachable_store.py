"""A start whose object store refuses, is missing or does not answer: its own sentence, once, and exit code 1."""

from collections.abc import Iterator

import pytest

from tests.object_stores.servers import StoreServer, s3_server
from tests.supervisor.starts import ended, started
from tests.supervisor.test_unreachable_servers import NOBODY, SOON, closed_port, refusal


@pytest.fixture(scope="module")
def s3() -> Iterator[StoreServer]:
    with s3_server() as server:
        yield server


def test_a_store_that_is_there_is_used(passable_folder, servers, s3):
    variables = {**servers, **s3.environment, "MODELYARD_STORAGE_URL": s3.url}
    with started(passable_folder / "data", *NOBODY, **variables) as start:
        start.becomes_healthy()


def test_a_bucket_that_is_missing_is_named(passable_folder, servers, s3):
    variables = {**servers, **s3.environment, "MODELYARD_STORAGE_URL": "s3://nobodys-bucket/yard"}
    start = ended(passable_folder / "data", *NOBODY, **variables)
    assert "nobodys-bucket" in refusal(start)


def test_without_credentials_it_says_which_variables(passable_folder, servers, s3):
    variables = {**servers, "AWS_ENDPOINT_URL": s3.environment["AWS_ENDPOINT_URL"], "MODELYARD_STORAGE_URL": s3.url}
    start = ended(passable_folder / "data", *NOBODY, **variables)
    assert "AWS_ACCESS_KEY_ID" in refusal(start)


def test_an_endpoint_where_nobody_listens_is_waited_for(passable_folder, servers, s3):
    with closed_port() as place:
        variables = {**servers, **s3.environment, "AWS_ENDPOINT_URL": f"http://{place}"}
        start = ended(passable_folder / "data", *NOBODY, **{**variables, "MODELYARD_STORAGE_URL": s3.url}, **SOON)
    assert "the object store does not answer: " in refusal(start)
    assert s3.environment["AWS_SECRET_ACCESS_KEY"] not in start.printed


def test_a_url_with_a_typo_is_exit_code_2_before_anybody_is_asked(passable_folder, servers):
    wrong = {"MODELYARD_STORAGE_URL": "s3://Bucket_/prefix", "MODELYARD_DATABASE_URL": "postgresql://127.0.0.1:1/none"}
    start = ended(passable_folder / "data", *NOBODY, **{**servers, **wrong})
    assert "waiting" not in start.printed
    assert "MODELYARD_STORAGE_URL" in refusal(start, code=2)


def test_a_folder_that_cannot_be_written_to_is_named(passable_folder, servers):
    (passable_folder / "file").touch()
    url = (passable_folder / "file" / "objects").as_uri()
    start = ended(passable_folder / "data", *NOBODY, **{**servers, "MODELYARD_STORAGE_URL": url})
    assert str(passable_folder / "file") in refusal(start)
