"""Codes: folders that Azure's SDK uploads to a blob container, finds again by a hash, and names in deployments."""

from datetime import UTC, datetime
from hashlib import sha256
from urllib.parse import parse_qsl, urlsplit
from uuid import uuid4

import pytest
import requests
from azure.core.pipeline.transport import RequestsTransport
from azure.storage.blob import ContainerClient

from control_plane.resources.blob_container import ACCOUNT_SEGMENT, BlobUrl
from control_plane.resources.workspaces.workspace import WorkspacePath
from modelyard.core.domain.caller import SYSTEM_CONTROL_PLANE as ADMIN
from modelyard.core.domain.model_manifest import ModelFile, ModelManifest
from tests.control_plane.control import WORKSPACE, Control, error_of

SHA256 = "0f" * 32
PATH = WorkspacePath.in_id(WORKSPACE, target="")
FILES = {"score.py": b"def run(raw): ...\n", "lib/more.py": b""}


def start_upload(control: Control, name: str) -> tuple[str, str]:
    """The blobUri, and the key of its folder in the object store."""
    body = {"pendingUploadType": "TemporaryBlobReference"}
    answer = control.post(f"/codes/{name}/versions/1/startPendingUpload", body)
    assert (answer["pendingUploadId"], answer["pendingUploadType"]) == (None, "TemporaryBlobReference")
    reference = answer["blobReferenceForConsumption"]
    uri = reference["blobUri"]
    assert reference["credential"]["credentialType"] == "SAS"
    assert reference["credential"]["sasUri"].startswith(f"{uri}?")
    assert uri.startswith(f"{control.url}/{ACCOUNT_SEGMENT}/")
    found = BlobUrl.read(uri)
    assert found is not None
    query = dict(parse_qsl(urlsplit(reference["credential"]["sasUri"]).query))
    granted = control.services.codes._signer.permissions_in(found.container.name, query, now=datetime.now(UTC))
    assert granted >= set("rcw")
    return uri, f"{control.datastores}/{found.container.store}/{found.path}"


def upload(control: Control, name: str, files: dict[str, bytes]) -> str:
    """Returns the codeUri."""
    uri, folder = start_upload(control, name)
    for path, content in files.items():
        control.store.put(f"{folder}/src/{path}", [content])
    return f"{uri}/src"


def body(uri: str, sha256: str = SHA256, version: object = 202208, **more: object) -> dict[str, object]:
    """As Azure's SDK sends a code."""
    properties = {"hash_sha256": sha256, "hash_version": version}
    return {"properties": {"codeUri": uri, "isAnonymous": True, "properties": properties, **more}}


class TestRegistration:
    # The newest SDK and the one of a year before.
    @pytest.mark.parametrize(("version", "more"), [(202208, {}), ("202208", {"isArchived": False})])
    def test_uploaded_folder_is_registered_and_found_by_its_hash_under_every_name(self, control, version, more):
        name = str(uuid4())
        search = {"hash": SHA256, "hashVersion": "202208"}
        assert control.get(f"/codes/{name}/versions", **search)["value"] == []
        uri = upload(control, name, FILES)
        found = control.put(f"/codes/{name}/versions/1", body(uri, version=version, **more))
        assert found["id"] == f"{WORKSPACE}/codes/{name}/versions/1"
        assert (found["name"], found["type"]) == ("1", "Microsoft.MachineLearningServices/workspaces/codes/versions")
        properties = found["properties"]
        assert properties["codeUri"] == uri
        assert properties["properties"] == {"hash_sha256": SHA256, "hash_version": "202208"}
        assert (properties["isAnonymous"], properties["provisioningState"]) == (True, "Succeeded")
        assert control.get(f"/codes/{uuid4()}/versions", **search)["value"] == [found]
        assert control.get(f"/codes/{name}/versions/1") == found
        assert control.get(f"/codes/{uuid4()}/versions", hash=SHA256, hashVersion="1")["value"] == []
        assert control.get(f"/codes/{uuid4()}/versions")["value"] == []
        assert control.get("/codes")["value"] == []

    def test_hash_finds_no_archived_code_and_no_code_of_another_workspace(self, control):
        control.put("/codes/a/versions/1", body(upload(control, "a", FILES)))
        assert control.in_workspace("other").get("/codes/b/versions", hash=SHA256)["value"] == []
        control.put("/codes/a/versions/1", {"properties": {"isArchived": True}}, 200)
        assert control.get("/codes/b/versions", hash=SHA256)["value"] == []

    def test_uploads_of_one_folder_name_do_not_mix(self, control):
        first, second = upload(control, "a", FILES), upload(control, "b", {"score.py": b"other"})
        assert first != second
        control.put("/codes/a/versions/1", body(second))
        error_of(control.ask("PUT", "/codes/a/versions/1", body(first)), 409)

    def test_put_of_the_same_uri_is_200_though_the_files_are_gone(self, control):
        uri = upload(control, "a", FILES)
        found = control.put("/codes/a/versions/1", body(uri))
        for key in list(control.store.list(f"{control.datastores}/")):
            control.store.delete(key)
        assert (
            control.put("/codes/a/versions/1", body(f"{uri}?sv=2023&sig=x"), 200)["properties"] == found["properties"]
        )

    def test_content_of_a_registered_version_cannot_change(self, control):
        control.put("/codes/a/versions/1", body(upload(control, "a", FILES)))
        control.put("/codes/a/versions/1", body(upload(control, "a", FILES)), 200)
        other = body(upload(control, "a", {"score.py": b"other"}))
        assert error_of(control.ask("PUT", "/codes/a/versions/1", other), 409)["code"] == "VersionImmutable"

    def test_place_in_a_datastore_is_registered_by_its_long_uri(self, control):
        control.put("/codes/a/versions/1", body(control.store_files("src", FILES)))
        uri = control.get("/codes/a/versions/1")["properties"]["codeUri"]
        assert uri.startswith("azureml://subscriptions/")
        assert uri.endswith("/workspaces/default/datastores/workspaceblobstore/paths/src")

    def test_code_and_version_are_listed_and_deleted(self, control):
        for version in "12":
            control.put(f"/codes/a/versions/{version}", body(control.store_files("src", FILES), isAnonymous=False))
        assert [code["name"] for code in control.get("/codes")["value"]] == ["a"]
        assert control.get("/codes/azureml:a")["properties"]["nextVersion"] == "3"
        assert control.ask("DELETE", "/codes/a/versions/1").status_code == 200
        assert control.ask("DELETE", "/codes/a/versions/1").status_code == 204
        assert control.ask("DELETE", "/codes/a").status_code == 200
        error_of(control.ask("GET", "/codes/a/versions/2"), 404)


class TestAsAzuresSdkUploads:
    """The SDK takes the blobUri for a container, and all parts of a codeUri but the last for one."""

    def test_files_are_written_to_the_granted_folder_and_read_by_the_uri_of_the_code(self, control):
        answer = control.post("/codes/a/versions/1/startPendingUpload")["blobReferenceForConsumption"]
        session = requests.Session()
        transport = {"transport": RequestsTransport(session=session, session_owner=False), "retry_total": 0}
        with ContainerClient.from_container_url(answer["credential"]["sasUri"], **transport) as folder, session:
            assert not folder.get_blob_client("src/score.py").exists()
            for path, content in FILES.items():
                folder.upload_blob(f"src/{path}", content)
            folder.get_blob_client("src/score.py").set_blob_metadata({"upload_status": "completed"})
            code = control.put("/codes/a/versions/1", body(f"{answer['blobUri']}/src"))
            assert control.services.codes.get_version(ADMIN, PATH, "a", "1").manifest.digest == digest(FILES)

            container, _, name = code["properties"]["codeUri"].rpartition("/")
            url = f"{container}?{answer['credential']['sasUri'].partition('?')[2]}"
            with ContainerClient.from_container_url(url, **transport) as reader:
                found = list(reader.list_blobs(name_starts_with=name, include=["metadata"], results_per_page=1))
                assert [blob.name for blob in found] == ["src/lib/more.py", "src/score.py"]
                assert found[1].metadata == {"upload_status": "completed"}
                assert [reader.download_blob(blob.name).readall() for blob in found] == [b"", FILES["score.py"]]


def digest(files: dict[str, bytes]) -> str:
    entries = (ModelFile(f"src/{path}", sha256(content).hexdigest(), len(content)) for path, content in files.items())
    return ModelManifest.of(entries).digest


class TestRejectedRegistration:
    @pytest.mark.parametrize(
        ("uri", "expected"),
        [
            (None, "codeUri is ''"),
            ("", "startPendingUpload"),
            ("https://elsewhere/src", "startPendingUpload"),
            ("http://[", "startPendingUpload"),
            ("azureml://jobs/x/outputs/y", "training job"),
            ("azureml://datastores/workspaceblobstore/paths/none", "no files at"),
            ("azureml://datastores/workspaceblobstore/paths/a/../../b", "'..'"),
        ],
    )
    def test_unreadable_uri_is_400(self, control, uri, expected):
        answer = control.ask("PUT", "/codes/a/versions/1", {"properties": {"codeUri": uri}})
        assert expected in error_of(answer, 400)["message"]
        assert control.ask("GET", "/codes/a").status_code == 404

    def test_container_of_another_workspace_is_400(self, control):
        uri = upload(control, "a", FILES)
        answer = control.in_workspace("other").ask("PUT", "/codes/a/versions/1", body(uri))
        assert "belongs to another workspace" in error_of(answer, 400)["message"]

    @pytest.mark.parametrize("text", ["x" * 129, "a b", "%", "\0", "ä", "a\n"])
    def test_text_that_is_no_hash_is_400_in_a_query_and_not_found_by_one(self, control, text):
        for query in ({"hash": text}, {"hash": SHA256, "hashVersion": text}):
            error_of(control.ask("GET", "/codes/a/versions", params=query), 400)

    def test_long_hash_is_kept_as_a_property_alone(self, control):
        uri = control.store_files("src", FILES)
        found = control.put("/codes/a/versions/1", body(uri, sha256="a" * 5000, version="b" * 5000))
        assert found["properties"]["properties"]["hash_sha256"] == "a" * 5000
