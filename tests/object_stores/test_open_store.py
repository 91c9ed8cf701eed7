"""Storage URLs: every accepted form, and one readable line for each typo."""

import pytest

from modelyard.core.adapters.cloud_store import CloudStore
from modelyard.core.adapters.folder_store import FolderStore
from modelyard.core.adapters.object_stores import open_store
from modelyard.core.errors import InvalidRequest

S3 = {"AWS_ACCESS_KEY_ID": "A", "AWS_SECRET_ACCESS_KEY": "the-secret", "AWS_REGION": "eu-west-1"}
AZURE = {"AZURE_STORAGE_ACCOUNT_KEY": "dGhlLXNlY3JldA=="}


def refusal_of(url: str, environment: dict[str, str] | None = None) -> str:
    with pytest.raises(InvalidRequest) as refused:
        open_store(url, {} if environment is None else environment)
    assert "\n" not in str(refused.value)
    return str(refused.value)


class TestAcceptedUrls:
    def test_file_url_opens_and_creates_the_folder(self, tmp_path):
        assert isinstance(open_store(f"file://{tmp_path}/a%20b", {}), FolderStore)
        assert (tmp_path / "a b").is_dir()

    @pytest.mark.parametrize(
        ("url", "environment", "name"),
        [
            ("s3://bucket", S3, "s3://bucket"),
            ("s3://my.bucket-1/some/prefix/", S3, "s3://my.bucket-1"),
            ("s3://bucket/p", S3 | {"AWS_ENDPOINT_URL": "http://minio:9000"}, "s3://bucket at minio:9000"),
            ("s3://bucket/p", S3 | {"AWS_ENDPOINT_URL_S3": "https://s3.local/x"}, "s3://bucket at s3.local"),
            ("az://account/container", AZURE, "az://account/container at account.blob.core.windows.net"),
            ("az://account/container/some/prefix", AZURE, "az://account/container at account.blob.core.windows.net"),
            (
                "https://account.blob.core.windows.net/container/prefix",
                AZURE,
                "az://account/container at account.blob.core.windows.net",
            ),
            (
                "az://account/container",
                {"AZURE_STORAGE_CONNECTION_STRING": "AccountName=account;AccountKey=eA==;EndpointSuffix=core.local"},
                "az://account/container at account.blob.core.local",
            ),
        ],
    )
    def test_cloud_url_opens_the_store_of_that_name(self, url, environment, name):
        store = open_store(url, environment)
        assert isinstance(store, CloudStore)
        assert repr(store) == f"CloudStore({name})"


class TestTypos:
    @pytest.mark.parametrize(
        ("url", "words"),
        [
            ("", "the scheme before '://' is missing"),
            ("/var/objects", "the scheme before '://' is missing"),
            ("s3:/bucket", "'' is not a bucket name"),
            ("s4://bucket", "the scheme 's4' is unknown"),
            ("s3://", "'' is not a bucket name"),
            ("s3://Bucket", "'Bucket' is not a bucket name"),
            ("s3://bucket:9000/x", "'bucket:9000' is not a bucket name"),
            ("s3://bucket:port", "its host or port is malformed"),
            ("s3://bucket/a/../b", "the path has an empty part"),
            ("s3://bucket/a//b", "the path has an empty part"),
            ("file://objects", "a folder has no host; write three slashes: file:///objects"),
            ("file:///", "the absolute path of a folder is missing"),
            ("file:objects", "the absolute path of a folder is missing"),
            ("az://account", "'' is not a container name"),
            ("az://account/Container", "'Container' is not a container name"),
            ("az://my_account/container", "'my_account' is not the name of a storage account"),
            ("https://example.org/container", "'example.org' is not a host of Azure Blob Storage"),
            ("http://account.blob.core.windows.net/container", "the scheme 'http' is unknown"),
            ("s3://[bucket", "its host or port is malformed"),
        ],
    )
    def test_typo_is_named_with_the_url_and_the_accepted_forms(self, url, words):
        message = refusal_of(url)
        assert message.startswith(f"MODELYARD_STORAGE_URL {url!r} is not supported: {words}")
        assert message.endswith("or https://account.blob.core.windows.net/container/prefix")

    @pytest.mark.parametrize(
        "url",
        [
            "s3://key:the-secret@bucket/x",
            "https://a.blob.core.windows.net/c?sig=the-secret",
            "az://account/c#the-secret",
        ],
    )
    def test_credentials_in_the_url_are_refused_and_not_repeated(self, url):
        message = refusal_of(url)
        assert "must not have credentials" in message
        assert "the-secret" not in message

    @pytest.mark.parametrize(
        "endpoint", ["minio:9000", "http://key:the-secret@minio", "http://minio:port", "ftp://minio"]
    )
    def test_malformed_endpoint_is_named_by_its_variable(self, endpoint):
        for url, name in (("s3://bucket", "AWS_ENDPOINT_URL"), ("az://account/container", "AZURE_STORAGE_ENDPOINT")):
            message = refusal_of(url, {name: endpoint})
            assert message == f"{name} is not a URL such as https://host:port: correct the variable"

    @pytest.mark.parametrize(
        ("connection", "words"),
        [
            ("the-secret", "has neither AccountKey nor SharedAccessSignature: copy the whole string"),
            (
                "AccountName=other;AccountKey=the-secret",
                "names the account 'other', and MODELYARD_STORAGE_URL 'account'",
            ),
            (
                "AccountKey=the-secret",
                "AZURE_STORAGE_ACCOUNT_KEY is not in the form that the store issues",
            ),
            (
                "AccountKey=eA==;BlobEndpoint=the-secret",
                "AZURE_STORAGE_CONNECTION_STRING's BlobEndpoint is not a URL",
            ),
        ],
    )
    def test_error_about_a_connection_string_does_not_repeat_it(self, connection, words):
        message = refusal_of("az://account/container", {"AZURE_STORAGE_CONNECTION_STRING": connection})
        assert words in message
        assert "the-secret" not in message
