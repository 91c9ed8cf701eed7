"""Discovery and run history, with the requests that Azure's SDK sends for jobs."""

import re

import pytest
from sqlalchemy import event, insert, select, update

from modelyard.core.db.rows import JobRow
from modelyard.core.domain.job_files import DATASTORES, logs_prefix
from tests.control_plane.control import Control, anonymous, error_of

# By which azure-ai-ml chooses the logs that it prints.
PRINTED = re.compile(r"user_logs/std_log[\D]*[0]*(?:_ps)?\.txt")
STORE = "azureml://datastores/workspaceblobstore/paths"
AS_SDK = {"selectRunMetadata": True, "selectRunDefinition": True, "selectJobSpecification": True}


@pytest.fixture
def endpoint(control: Control) -> str:
    path = control.batch_endpoint()
    control.batch_deployment(path, control.register())
    return path


@pytest.fixture
def job(control: Control, endpoint: str) -> str:
    name = control.submit(endpoint, {"inputData": {"in": control.place()}, "tags": {"team": "a"}})["name"]
    return str(name)


def history(control: Control, path: str) -> str:
    return f"//history/v1.0{control.workspace}{path}"


def end(control: Control, state: str, error: dict[str, str] | None = None) -> None:
    with control.sessions.begin() as session:
        session.execute(update(JobRow).values(state=state, error=error))


def test_discovery_names_this_platform_without_a_token(control: Control):
    assert anonymous.get(f"{control.url}/discovery").json() == {"api": control.url}


class TestLists:
    @pytest.mark.parametrize("below", ["", "/deployments/bd-one"])
    def test_jobs_of_an_endpoint_are_paged_by_absolute_links(self, control: Control, endpoint: str, below: str):
        names = [control.submit(endpoint)["name"] for _ in range(3)]
        path = f"//mferp/ManagementFrontEnd{control.workspace}{endpoint}{below}/jobs"
        first = control.get(path, **{"api-version": "2020-09-01-dataplanepreview", "$top": "2"})
        assert first["nextLink"].startswith(f"{control.url}/mferp/")
        second = control.http.get(first["nextLink"]).json()
        found = first["value"] + second["value"]
        assert [each["name"] for each in found] == names[::-1]
        assert {each["properties"]["status"] for each in found} == {"Queued"}
        assert second.get("nextLink") is None

    def test_no_field_of_azures_batch_job_has_another_type(self, control: Control, endpoint: str):
        """Older SDKs fail at a string where Azure has an object."""
        submitted = control.submit(endpoint)
        listed = control.get(f"//mferp/managementfrontend{control.workspace}{endpoint}/jobs")["value"][0]
        objects = ("compute", "dataset", "input", "inputData", "output", "outputData", "outputDataset", "identity")
        for properties in (submitted["properties"], listed["properties"]):
            assert [name for name in objects if not isinstance(properties.get(name, {}), dict)] == []
            assert (properties["inputs"], properties["outputs"]) == ({}, {})

    def test_children_of_a_job_are_its_one_run(self, control: Control, job: str):
        (child,) = control.get(history(control, f"/runs/{job}/children"))["value"]
        assert (child["runId"], child["parentRunId"]) == (f"{job}-run", job)
        assert (child["runType"], child["status"], child["outputs"]) == ("azureml.StepRun", "Queued", {})
        assert control.get(history(control, f"/runs/{job}-run/children"))["value"] == []


class TestRun:
    def test_run_is_a_job_or_its_child(self, control: Control, job: str):
        run, child = (control.get(history(control, f"/runs/{name}")) for name in (job, f"{job}-run"))
        assert (run["runId"], run["displayName"], run["hidden"]) == (job, job, False)
        assert run["tags"] == {"azureml.batchrun": "true", "team": "a"}
        assert (child["rootRunId"], child["tags"]) == (job, {})

    @pytest.mark.parametrize("name", ["none", "none-run", "-run", "%2E%2E-run"])
    def test_unknown_run_is_404(self, control: Control, job: str, name: str):
        for below in ("", "/details", "/children"):
            error_of(control.ask("GET", history(control, f"/runs/{name}{below}")), 404)
        error_of(control.ask("POST", history(control, "/rundata"), {"runId": name, **AS_SDK}), 404)

    def test_job_named_like_a_child_run_is_itself(self, control: Control, endpoint: str, job: str):
        control.submit(endpoint, {"inputData": {"in": control.place()}, "name": f"{job}-run"})
        assert control.get(history(control, f"/runs/{job}-run"))["runType"] == "azureml.PipelineRun"

    def test_run_data_has_no_outputs_so_that_the_sdk_looks_below_the_child(self, control: Control, job: str):
        answer = control.ask("POST", history(control, "/rundata"), {"runId": f"{job}-run", **AS_SDK})
        assert answer.json()["runMetadata"]["outputs"] == {}
        assert "Warning" not in answer.headers or "selectRunMetadata" not in answer.headers["Warning"]

    @pytest.mark.parametrize(("version", "kind"), [("?api-version=v1.0", "uri_file"), ("", "UriFile")])
    def test_predictions_at_another_place_are_an_output_that_is_resolved(self, control, endpoint, version, kind):
        output = {"score": {"jobOutputType": "UriFile", "uri": f"{STORE}/out/mine.csv"}}
        job = control.submit(endpoint, {"inputData": {"in": control.place()}, "outputData": output})["name"]
        asked = {"runId": f"{job}-run", **AS_SDK}
        assert control.post(history(control, "/rundata"), asked)["runMetadata"]["outputs"] == {}
        end(control, "Completed")
        outputs = control.post(history(control, f"/rundata{version}"), asked)["runMetadata"]["outputs"]
        assert outputs == {"score": {"assetId": f"{STORE}/out/mine.csv", "type": kind}}
        path = f"//data/v1.0{control.workspace}/dataversion/batchGetResolvedUris"
        place = control.post(path, {"values": [outputs["score"]["assetId"]]})["values"][outputs["score"]["assetId"]]
        within = control.workspace.replace("resourceGroups", "resourcegroups")
        within = within.replace("/providers/Microsoft.MachineLearningServices", "")
        assert place == {"uri": f"azureml:/{within}/datastores/workspaceblobstore/paths/out/mine.csv"}
        for other in ("https://host/x", f"azureml:/{within.replace('default', 'other')}/datastores/d/paths/x"):
            error_of(control.ask("POST", path, {"values": [other]}), 400)

    def test_child_is_a_job_without_the_tag_of_a_batch_run(self, control: Control, job: str):
        child = control.get(f"/jobs/{job}-run")
        assert (child["name"], child["properties"]["tags"]) == (f"{job}-run", {"team": "a"})
        assert child["id"] == f"{control.workspace}/jobs/{job}-run"
        assert child["properties"]["services"]["Studio"]["endpoint"].endswith(f"/jobs/{job}-run")


class TestDetails:
    def test_worker_logs_are_named_as_the_sdk_prints_them_and_need_no_token(self, control: Control, job: str):
        written = {"user/stdout/vm-batch-1.txt": b"one\n", "user/stdout/vm-batch-12.txt": b"two\n"}
        written["job_progress_overview.txt"] = b"half\n"
        for path, content in written.items():
            control.store.put(f"{logs_prefix(DATASTORES, job)}{path}", [content])
        details = control.get(history(control, f"/runs/{job}/details"))
        logs = details["logFiles"]
        assert {name: anonymous.get(url).content for name, url in logs.items()} == {
            "user_logs/std_log_vm-batch-one.txt": b"one\n",
            "user_logs/std_log_vm-batch-onetwo.txt": b"two\n",
            "logs/job_progress_overview.txt": b"half\n",
        }
        assert [bool(PRINTED.match(name)) for name in sorted(logs)] == [False, True, True]
        assert "se=" in logs["logs/job_progress_overview.txt"]
        assert (details["warnings"], details.get("error")) == ([], None)

    def test_failed_job_has_azures_error(self, control: Control, job: str):
        end(control, "Failed", {"code": "TooManyFailures", "message": "3 files failed"})
        details = control.get(history(control, f"/runs/{job}/details"))
        assert (details["status"], details["logFiles"]) == ("Failed", {})
        assert details["error"] == {"error": {"code": "TooManyFailures", "message": "3 files failed"}}


class TestChanges:
    def patch(self, control: Control, run: str, body: object):
        return control.ask("PATCH", history(control, f"/experiments/any/runs/{run}"), body)

    def test_patch_hides_renames_and_tags_a_job(self, control: Control, job: str):
        hidden = self.patch(control, job, {"hidden": True, "displayName": "shown", "tags": {"b": "c"}}).json()
        assert (hidden["hidden"], hidden["displayName"]) == (True, "shown")
        assert hidden["tags"] == {"azureml.batchrun": "true", "team": "a", "b": "c"}
        assert control.get("/jobs")["value"] == []
        assert self.patch(control, job, {"hidden": False}).json()["tags"] == hidden["tags"]
        assert [each["name"] for each in control.get("/jobs")["value"]] == [job]

    def test_child_run_cannot_be_changed(self, control: Control, job: str):
        error_of(self.patch(control, f"{job}-run", {"hidden": True}), 409)

    def test_put_of_a_jobs_whole_body_archives_and_restores(self, control: Control, job: str):
        body = control.get(f"/jobs/{job}")
        for is_archived in (True, False):
            body["properties"]["isArchived"] = is_archived
            answer = control.ask("PUT", f"/jobs/{job}", body)
            assert (answer.status_code, answer.json()["properties"]["isArchived"]) == (200, is_archived)
            assert "Warning" not in answer.headers
            assert len(control.get("/jobs")["value"]) == (not is_archived)
        assert answer.json()["properties"]["tags"] == body["properties"]["tags"]

    def test_put_of_a_new_job_is_refused_with_the_way_to_make_one(self, control: Control):
        body = {"properties": {"jobType": "Command", "command": "python train.py"}}
        error = error_of(control.ask("PUT", "/jobs/new", body), 400)
        assert (error["code"], error["target"]) == ("JobTypeNotSupported", "properties.jobType")
        assert "batch endpoint" in error["message"]


def test_a_job_among_many_is_found_by_a_constant_number_of_queries(control: Control, endpoint: str, job: str):
    paths = [
        *(f"/jobs/{name}" for name in (job, f"{job}-run")),
        *(history(control, f"/runs/{job}{below}") for below in ("", "/details", "/children")),
        f"//mferp/managementfrontend{control.workspace}{endpoint}/jobs?$top=5",
    ]
    few = [queries_of(control, path) for path in paths]
    with control.sessions.begin() as session:
        row = session.scalars(select(JobRow)).one()
        values = {column.name: getattr(row, column.key) for column in JobRow.__table__.columns if column.name != "id"}
        values["input_files"] = None
        rows = [{**values, "name": f"other-{number}", "request_id": None} for number in range(2000)]
        session.execute(insert(JobRow.__table__), rows)
    assert [queries_of(control, path) for path in paths] == few
    assert max(few) <= 10


def queries_of(control: Control, path: str) -> int:
    statements: list[str] = []

    def note(_connection, _cursor, statement, *_rest) -> None:
        statements.append(statement)

    event.listen(control.engine, "before_cursor_execute", note)
    try:
        assert control.ask("GET", path).status_code == 200
    finally:
        event.remove(control.engine, "before_cursor_execute", note)
    return len(statements)
