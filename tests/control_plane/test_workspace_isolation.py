"""Workspaces as boundaries: content, names and files of one workspace are out of reach of another."""

import hashlib
from uuid import uuid4

import pytest

from control_plane.resources.workspaces.workspace import WorkspacePath
from modelyard.core.db.rows import BuiltEnvironmentRow, JobRow
from modelyard.core.domain.caller import Caller, CallerKind
from modelyard.core.domain.roles import Role, RoleAssignment
from tests.control_plane.colleagues import ask_as, make_token
from tests.control_plane.control import MLMODEL, SUBSCRIPTION, WORKSPACE, Control, anonymous, error_of

STORE = "azureml://datastores/workspaceblobstore/paths"


@pytest.fixture
def other(control: Control) -> Control:
    return control.in_workspace("other")


class TestReferences:
    @pytest.mark.parametrize("kind", ["model", "environmentId"])
    def test_asset_of_another_workspace_is_refused_like_an_absent_asset(self, control, other, kind):
        model, own = control.register(), other.register("own")
        environment = {"properties": {"condaFile": "dependencies: [python]"}}
        theirs = control.put("/environments/e/versions/1", environment)["id"] if kind == "environmentId" else model
        endpoint = other.endpoint("ep-two")
        answers = []
        for reference in (theirs, theirs.replace("/versions/1", "/versions/2")):
            body = {"properties": {"model": own, kind: reference}}
            answer = error_of(other.ask("PUT", f"{endpoint}/deployments/blue", body), 400)
            answers.append(answer["message"].replace("/versions/2", "/versions/1"))
        assert answers[0] == answers[1]

    def test_short_reference_names_the_own_workspace(self, control, other):
        control.register("m")
        endpoint = other.endpoint("ep-two")
        body = {"properties": {"model": "azureml:m:1"}}
        error = error_of(other.ask("PUT", f"{endpoint}/deployments/blue", body), 400)
        assert error["code"] == "ReferencedResourceNotFound"

    def test_data_asset_of_another_workspace_is_no_input(self, control, other):
        data = control.put("/data/d/versions/1", {"properties": {"dataUri": f"{STORE}/rows/"}})["id"]
        endpoint = other.batch_endpoint("be-two")
        other.batch_deployment(endpoint, other.register())
        body = {"inputData": {"in": {"jobInputType": "UriFolder", "uri": data}}}
        error = other.submit(endpoint, body, 400)["error"]
        assert "belongs to another workspace" in error["message"]


class TestUploads:
    def test_upload_of_another_workspace_has_no_files(self, control, other):
        uri = control.upload({"MLmodel": MLMODEL})
        body = {"properties": {"modelType": "mlflow_model", "modelUri": uri}}
        error = error_of(other.ask("PUT", "/models/m/versions/1", body), 400)
        assert error["code"] == "UploadIncomplete"
        data = {"properties": {"dataType": "uri_folder", "dataUri": uri}}
        assert error_of(other.ask("PUT", "/data/d/versions/1", data), 400)["code"] == "UploadIncomplete"
        control.put("/models/m/versions/1", body)

    def test_hash_of_content_in_another_workspace_is_unknown(self, control, other):
        control.register()
        headers = {"x-modelyard-sha256": hashlib.sha256(MLMODEL).hexdigest()}
        own, others = control.start_upload(), other.start_upload()
        known = [control.http.head(upload.url("MLmodel"), headers=headers).status_code for upload in (own, others)]
        assert known == [200, 404]


class TestDatastores:
    @pytest.fixture
    def endpoint(self, other: Control) -> str:
        """A batch endpoint of the other workspace, with a deployment."""
        path = other.batch_endpoint("be-two")
        other.batch_deployment(path, other.register())
        return path

    def test_input_of_another_workspace_does_not_exist(self, control, other, endpoint):
        control.place()
        body = {"inputData": {"in": {"jobInputType": "UriFolder", "uri": f"{STORE}/rows/"}}}
        assert "there is no folder" in other.submit(endpoint, body, 400)["error"]["message"]
        other.place()
        other.submit(endpoint, body)

    @pytest.mark.parametrize("field", ["inputData", "outputData"])
    def test_uri_that_names_another_workspace_is_refused(self, control, other, endpoint, field):
        control.place()
        uri = f"azureml:/{WORKSPACE}/datastores/workspaceblobstore/paths/rows/"
        body = {"inputData": {"in": other.place()}}
        body[field] = {"x": {"jobInputType": "UriFolder", "jobOutputType": "UriFile", "uri": uri}}
        assert "belongs to another workspace" in other.submit(endpoint, body, 400)["error"]["message"]

    def test_store_name_does_not_lead_into_the_folder_of_another_workspace(self, control, other):
        other.place()
        store = other.datastores.rpartition("/")[2]
        uri = f"azureml://datastores/{store}/paths/workspaceblobstore/rows/"
        assert (
            "not a path"
            in error_of(control.ask("PUT", "/data/d/versions/1", {"properties": {"dataUri": uri}}), 400)["message"]
        )

    def test_jobs_of_two_workspaces_may_have_one_name_and_write_to_one_path(self, control, other, endpoint):
        first = control.batch_endpoint()
        control.batch_deployment(first, control.register())
        rows = {}
        for workspace, path in ((control, first), (other, endpoint)):
            output = {"o": {"jobOutputType": "UriFile", "uri": f"{STORE}/out/mine.csv"}}
            body = {"name": "one-name", "inputData": {"in": workspace.place()}, "outputData": output}
            job = workspace.submit(path, body)
            assert job["properties"]["outputUri"] == f"{STORE}/out/mine.csv"
            with workspace.sessions() as session:
                row = session.get_one(JobRow, max(workspace.outbox.jobs))
            rows[workspace] = (row.output_key, row.logs_prefix)
        assert rows[control] == (
            "datastores/workspaceblobstore/out/mine.csv",
            "datastores/workspaceblobstore/azureml/one-name-run/logs/",
        )
        assert rows[other] == tuple(key.replace("datastores", other.datastores, 1) for key in rows[control])

    def test_file_of_a_job_is_downloaded_from_the_folder_of_its_workspace(self, other, endpoint):
        job = other.submit(endpoint, {"inputData": {"in": other.place()}})["name"]
        key = f"{other.datastores}/workspaceblobstore/azureml/{job}-run/score/predictions.csv"
        other.store.put(key, [b"0,1"])
        (file,) = other.get(f"/jobs/{job}/files")["value"]
        assert anonymous.get(file["url"]).content == b"0,1"


class TestBuiltEnvironments:
    def test_caller_of_a_workspace_sees_its_own_environments_and_users(self, control, other):
        service = control.services.environments
        first, second = control.batch_endpoint("be-one"), other.batch_endpoint("be-two")
        control.batch_deployment(first, control.register())
        with control.sessions.begin() as session:
            for lock in ("c" * 64, "d" * 64):
                session.add(BuiltEnvironmentRow(lock_hash=lock, folder=lock, python_version="3.11", size_bytes=1))
        path = WorkspacePath(SUBSCRIPTION, "local", "other")
        of_other = Caller("eve", CallerKind.TOKEN, frozenset({RoleAssignment(Role.READER, other.workspace)}))
        assert service.built(of_other, path) == []
        other.batch_deployment(second, other.register())
        (seen,) = service.built(of_other, path)
        assert seen.used_by == (("be-two", "bd-one"),)


class TestStrangers:
    """Routes without a workspace in the path answer a stranger as if the resource were absent."""

    @pytest.fixture
    def stranger(self, control: Control, other: Control) -> str:
        return make_token(control, "eve", {"role": "owner", "scope": other.workspace})

    def test_operation_of_another_workspace_is_404_like_an_absent_operation(self, control, stranger):
        control.endpoint("ep-one")
        properties = control.get("/onlineEndpoints/ep-one")["properties"]["properties"]
        path = properties["AzureAsyncOperationUri"].removeprefix(control.url).partition("?")[0]
        absent = f"{path.rpartition('/')[0]}/{uuid4()}"
        for spelled in (path, path.replace("mfeOperationsStatus", "mfeOperationResults")):
            answers = [ask_as(stranger, control, "GET", f"/{found}") for found in (spelled, absent)]
            assert error_of(answers[0], 404) == error_of(answers[1], 404)

    def test_batch_endpoint_of_another_workspace_is_404_like_an_absent_endpoint(self, control, stranger):
        endpoint = control.batch_endpoint("be-one")
        control.batch_deployment(endpoint, control.register())
        job = control.submit(endpoint)["name"]
        body = {"properties": {"inputData": {"in": control.place()}}}
        for method, path in (("POST", "//batch/{}/jobs"), ("GET", f"//batch/{{}}/jobs/{job}")):
            answers = [ask_as(stranger, control, method, path.format(name), body) for name in ("be-one", "be-two")]
            messages = [error_of(answer, 404)["message"] for answer in answers]
            assert messages[0].replace("be-one", "be-two") == messages[1]

    def test_member_without_the_role_is_told_which_role_is_missing(self, control):
        control.batch_endpoint("be-one")
        reader = make_token(control, "ada", "reader")
        body = {"properties": {"inputData": {"in": control.place()}}}
        assert "'scorer'" in error_of(ask_as(reader, control, "POST", "//batch/be-one/jobs", body), 403)["message"]

    def test_list_of_workspaces_has_the_own_workspaces_only(self, control, stranger):
        path = control.workspace.rpartition("/")[0]
        found = ask_as(stranger, control, "GET", f"/{path}").json()["value"]
        of_subscription = path.replace("/resourceGroups/local", "")
        everywhere = ask_as(stranger, control, "GET", f"/{of_subscription}").json()["value"]
        assert [workspace["name"] for workspace in found] == [each["name"] for each in everywhere] == ["other"]
        assert ask_as(stranger, control, "GET", f"/{of_subscription.replace(SUBSCRIPTION, 'x')}").json()["value"] == []
