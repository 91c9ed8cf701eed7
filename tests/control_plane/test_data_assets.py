"""Data assets (uploaded files, or paths in a datastore) and computes."""

import os

import pytest
from sqlalchemy import select

from modelyard.core.db.rows import DataVersionRow
from tests.control_plane.control import WORKSPACE, Control, anonymous, error_of

PLACE = "azureml://datastores/workspaceblobstore/paths/some/rows"


def body(uri: str | None, data_type: str = "uri_folder", **properties: object) -> dict[str, object]:
    return {"properties": {"dataType": data_type, "dataUri": uri, **properties}}


def upload(control: Control, files: dict[str, bytes]) -> str:
    """Returns the URI of the upload."""
    started = control.start_upload("/data/d/versions/1")
    for path, content in files.items():
        assert anonymous.put(started.url(path), content=content).status_code == 201
    return started.uri


def manifest(control: Control) -> list[tuple[str, int, bytes]]:
    with control.sessions() as session:
        row = session.scalars(select(DataVersionRow)).one()
    return [(e["path"], e["size"], b"".join(control.store.get(e["key"]))) for e in row.manifest or ()]


class TestRegistration:
    def test_folder_manifest_has_paths_relative_to_the_folder(self, control):
        uri = upload(control, {"rows/b.csv": b"b\n", "rows/deep/a.csv": b"a,1\n"})
        found = control.put("/data/d/versions/1", body(f"{uri}/rows", tags={"k": "v"}))
        assert found["id"] == f"{WORKSPACE}/data/d/versions/1"
        properties = found["properties"]
        assert (properties["dataType"], properties["tags"]) == ("uri_folder", {"k": "v"})
        assert properties["dataUri"].startswith("azureml://")
        assert properties["dataUri"].endswith("/rows")
        assert manifest(control) == [("b.csv", 2, b"b\n"), ("deep/a.csv", 4, b"a,1\n")]
        assert not list(control.store.list("uploads/"))
        assert control.get("/data/d/versions/1") == found

    def test_single_file_is_registered_as_uri_file(self, control):
        uri = upload(control, {"rows.csv": b"1\n"})
        control.put("/data/d/versions/1", body(f"{uri}/rows.csv", "UriFile"))
        assert manifest(control) == [("rows.csv", 2, b"1\n")]

    @pytest.mark.parametrize(
        ("path", "data_type", "right"), [("rows.csv", "uri_folder", "uri_file"), ("rows", "uri_file", "uri_folder")]
    )
    def test_wrong_data_type_is_400_and_the_message_names_the_right_type(self, control, path, data_type, right):
        uri = upload(control, {"rows.csv": b"1\n", "rows/a.csv": b"1\n"})
        error = error_of(control.ask("PUT", "/data/d/versions/1", body(f"{uri}/{path}", data_type)), 400)
        assert f"as {right}" in error["message"]
        assert control.get("/data")["value"] == []

    def test_datastore_path_is_registered_without_a_manifest(self, control):
        found = control.put("/data/d/versions/1", body(f"{PLACE}/"))
        assert found["properties"]["dataUri"] == PLACE
        long = PLACE.replace("azureml://", f"azureml:/{WORKSPACE}/")
        control.put("/data/d/versions/1", body(long), 200)

    @pytest.mark.parametrize("account", ["modelyard.blob.core.windows.net/", ""])
    def test_blob_url_is_registered_as_the_path_in_the_datastore(self, control, account):
        key = control.get("")["properties"]["workspaceId"]
        url = f"{control.url}/{account}azureml-{key}-workspaceblobstore/some/r%6fws/"
        assert control.put("/data/d/versions/1", body(url))["properties"]["dataUri"] == PLACE

    def test_blob_url_of_another_workspace_is_400(self, control):
        key = control.in_workspace("other").get("")["properties"]["workspaceId"]
        url = f"{control.url}/modelyard.blob.core.windows.net/azureml-{key}-workspaceblobstore/rows"
        error = error_of(control.ask("PUT", "/data/d/versions/1", body(url)), 400)
        assert error["code"] == "ReferencedResourceNotFound"

    @pytest.mark.parametrize("uri", ["file:///etc/passwd", "./rows", "", None])
    def test_unsupported_uri_is_400_and_the_message_explains_uploads(self, control, uri):
        assert "startPendingUpload" in error_of(control.ask("PUT", "/data/d/versions/1", body(uri)), 400)["message"]

    @pytest.mark.parametrize("path", ["../other", "a/../../b", "a\\b", "a\nb"])
    def test_datastore_path_with_parent_segments_is_400(self, control, path):
        uri = f"azureml://datastores/workspaceblobstore/paths/{path}"
        error_of(control.ask("PUT", "/data/d/versions/1", body(uri)), 400)

    def test_unknown_type_is_400(self, control):
        error = error_of(control.ask("PUT", "/data/d/versions/1", body(PLACE, "table")), 400)
        assert error["target"] == "properties.dataType"
        assert "uri_file, uri_folder, mltable" in error["message"]

    @pytest.mark.parametrize("spelled", ["mltable", "MLTable"])
    def test_mltable_is_registered_and_refused_as_the_input_of_a_job(self, control, spelled):
        uri = upload(control, {"table/MLTable": b"paths: []\n", "table/a.csv": b"1\n"})
        data = control.put("/data/d/versions/1", body(f"{uri}/table", spelled))
        assert data["properties"]["dataType"] == "mltable"
        assert [path for path, _, _ in manifest(control)] == ["MLTable", "a.csv"]
        control.put("/data/d/versions/2", body(PLACE, spelled))
        endpoint = control.batch_endpoint()
        control.batch_deployment(endpoint, control.register())
        for version in "12":
            job_input = {"jobInputType": "UriFolder", "uri": f"azureml:d:{version}"}
            error = control.submit(endpoint, {"inputData": {"in": job_input}}, 400)["error"]
            assert "is an mltable" in error["message"]

    @pytest.mark.parametrize("uri", ["https://host/rows.csv", "http://host:8080/a%20b?sv=1&sig=x"])
    def test_url_elsewhere_is_registered_as_sent(self, control, uri):
        assert control.put("/data/d/versions/1", body(uri, "uri_file"))["properties"]["dataUri"] == uri
        control.put("/data/d/versions/1", body(uri, "uri_file"), 200)
        assert error_of(control.ask("PUT", "/data/d/versions/1", body(f"{uri}2", "uri_file")), 409)

    @pytest.mark.parametrize(
        "uri",
        [
            *(
                "http://127.0.0.1/x",
                "https://localhost/x",
                "http://169.254.169.254/x",
                "http://0x7f000001/x",
                "http://[::1]/x",
            ),
            *(
                "https:///x",
                "https://a b/x",
                "https://host/a b",
                "https://[host/azureml-1-s/x",
                "https://host/\0",
                f"https://host/{'x' * 5000}",
            ),
        ],
    )
    def test_url_that_the_platform_would_not_open_is_400(self, control, uri):
        error_of(control.ask("PUT", "/data/d/versions/1", body(uri)), 400)

    def test_upload_without_files_is_400(self, control):
        uri = control.start_upload("/data/d/versions/1").uri
        error = error_of(control.ask("PUT", "/data/d/versions/1", body(f"{uri}/rows")), 400)
        assert error["code"] == "UploadIncomplete"


class TestDatasets:
    """The path and the body of API versions before 2022, as in the samples `batch-score-rest.sh`."""

    @pytest.mark.parametrize(
        ("kind", "data_type"), [("folder", "uri_folder"), ("file", "uri_file"), ("File", "uri_file")]
    )
    def test_dataset_becomes_a_data_asset(self, control, kind, data_type):
        uri = "https://pipelinedata.blob.core.windows.net/sampledata/mnist"
        found = control.put("/datasets/mnist/versions/1", {"properties": {"paths": [{kind: uri}]}})
        assert found["id"] == f"{WORKSPACE}/data/mnist/versions/1"
        assert (found["properties"]["dataType"], found["properties"]["dataUri"]) == (data_type, uri)
        assert control.get("/data/mnist/versions/1") == found
        control.put("/DataSets/azureml:mnist/versions/1", {"properties": {"paths": [{kind: uri}]}}, 200)

    @pytest.mark.parametrize("paths", [None, [], [{}], [{"folder": PLACE, "file": PLACE}], [{"file": PLACE}] * 2])
    def test_dataset_of_other_than_one_path_is_400(self, control, paths):
        error_of(control.ask("PUT", "/datasets/d/versions/1", {"properties": {"paths": paths}}), 400)


class TestRegisteredVersion:
    def test_description_can_change_but_content_cannot(self, control):
        control.put("/data/d/versions/1", body(PLACE))
        changed = control.put("/data/d/versions/1", {"properties": {"tags": {"a": "b"}}}, 200)
        assert changed["properties"]["tags"] == {"a": "b"}
        for other in (body(f"{PLACE}/deeper"), body(PLACE, "uri_file")):
            assert error_of(control.ask("PUT", "/data/d/versions/1", other), 409)["code"] == "VersionImmutable"

    def test_put_of_the_same_files_is_200(self, control):
        control.put("/data/d/versions/1", body(f"{upload(control, {'rows/a': b'1'})}/rows"))
        control.put("/data/d/versions/1", body(f"{upload(control, {'rows/a': b'1'})}/rows"), 200)
        other = body(f"{upload(control, {'rows/a': b'2'})}/rows")
        error_of(control.ask("PUT", "/data/d/versions/1", other), 409)

    def test_uri_of_a_registered_version_registers_its_files_again(self, control):
        uri = f"{upload(control, {'rows/a/b': b'1'})}/rows"
        uri = control.put("/data/d/versions/1", body(uri))["properties"]["dataUri"]
        before = manifest(control)
        control.put("/data/e/versions/1", body(uri))
        assert control.ask("DELETE", "/data/d").status_code == 200
        assert manifest(control) == before == [("a/b", 1, b"1")]

    def test_container_shows_the_latest_and_the_next_version(self, control):
        control.put("/data/d/versions/4", body(PLACE))
        properties = control.get("/data/d")["properties"]
        assert (properties["latestVersion"], properties["nextVersion"]) == ("4", "5")
        control.put("/data/d", {"properties": {"isArchived": True}}, 200)
        assert control.get("/data")["value"] == []
        assert len(control.get("/data/d/versions", listViewType="All")["value"]) == 1

    def test_asset_and_version_can_be_deleted(self, control):
        for version in "123":
            control.put(f"/data/d/versions/{version}", body(PLACE))
        assert control.ask("DELETE", "/data/d/versions/1").status_code == 200
        assert control.ask("DELETE", "/data/d/versions/1").status_code == 204
        assert control.ask("DELETE", "/data/d").status_code == 200
        assert control.ask("DELETE", "/data/d").status_code == 204
        error_of(control.ask("GET", "/data/d/versions/2"), 404)


class TestComputes:
    def test_local_compute_exists_in_every_workspace(self, control):
        assert control.get("/computes/local")["properties"]["provisioningState"] == "Succeeded"
        assert [c["name"] for c in control.get("/computes")["value"]] == ["local"]
        error_of(control.ask("DELETE", "/computes/local"), 409)

    def test_put_names_an_operation_that_has_succeeded(self, control):
        for expected in (201, 200):
            answer = control.ask("PUT", "/computes/c", {"properties": {}})
            assert answer.status_code == expected
            assert answer.headers["Azure-AsyncOperation"].startswith(f"{control.url}/subscriptions/")
            assert answer.headers["Retry-After"] == "1"
            assert control.operation(answer)["status"] == "Succeeded"

    def test_compute_has_no_nodes(self, control):
        assert control.post("/computes/local/listNodes") == {"nodes": []}
        error_of(control.ask("POST", "/computes/none/listNodes"), 404)

    def test_sizes_are_this_machine_and_there_are_no_quotas(self, control):
        location = "/" + control.workspace.partition("/resourceGroups")[0] + "/providers/"
        location += "Microsoft.MachineLearningServices/locations/local"
        (size,) = control.get(f"{location}/vmSizes")["value"]
        assert (size["name"], size["vCPUs"], size["memoryGB"] > 0.1) == ("local", os.cpu_count(), True)
        assert "AmlCompute" in size["supportedComputeTypes"]
        assert control.get(f"{location}/usages")["value"] == []

    def test_compute_is_returned_as_recorded(self, control):
        properties = {"computeType": "AmlCompute", "properties": {"vmSize": "STANDARD_D2_V2"}}
        control.put("/computes/batch-cluster", {"location": "here", "properties": properties})
        found = control.put("/computes/batch-cluster", {"location": "there", "properties": properties}, 200)
        assert found["properties"]["properties"] == {"vmSize": "STANDARD_D2_V2"}
        assert found["location"] == "there"
        assert [c["name"] for c in control.get("/computes")["value"]] == ["local", "batch-cluster"]
        assert control.ask("DELETE", "/computes/batch-cluster").status_code == 200
        assert control.ask("DELETE", "/computes/batch-cluster").status_code == 204
        error_of(control.ask("GET", "/computes/batch-cluster"), 404)
