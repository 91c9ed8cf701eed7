"""Batch jobs: submission in every spelling of clients, lists, progress, cancellation and files."""

from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import func, select, update
from sqlalchemy.orm import undefer

from modelyard.client import Client
from modelyard.client.platform import Platform
from modelyard.client.submitting import BatchInvocation, invoke_batch
from modelyard.core.db.leases import claim
from modelyard.core.db.rows import JobRow, MiniBatchRow
from modelyard.core.domain.batch import BatchSettings
from modelyard.core.domain.job_files import DATASTORES, default_output_key, logs_prefix
from modelyard.core.domain.lifecycle import JobState, MiniBatchState
from tests.control_plane.control import TOKEN, WORKSPACE, Control, anonymous, concurrently, error_of

STORE = "azureml://datastores/workspaceblobstore/paths"


@pytest.fixture
def endpoint(control: Control) -> str:
    path = control.batch_endpoint()
    control.batch_deployment(path, control.register())
    return path


def row_of(control: Control, name: str) -> JobRow:
    with control.sessions() as session:
        return session.scalars(select(JobRow).where(JobRow.name == name).options(undefer(JobRow.input_files))).one()


def change(control: Control, **values: object) -> None:
    with control.sessions.begin() as session:
        session.execute(update(JobRow).values(**values))


def register_data(control: Control, name: str = "d") -> str:
    upload = control.start_upload(f"/data/{name}/versions/1")
    for path in ("b.csv", "deep/a.csv"):
        anonymous.put(upload.url(f"rows/{path}"), content=path.encode())
    body = {"properties": {"dataType": "uri_folder", "dataUri": f"{upload.uri}/rows"}}
    return control.put(f"/data/{name}/versions/1", body)["id"]


class TestSubmission:
    def test_response_fits_azures_sdk_and_the_row_is_complete(self, control, endpoint):
        job = control.submit(endpoint, {"inputData": {"in": control.place()}, "properties": {"experimentName": "exp"}})
        assert job["id"] == f"{WORKSPACE}/jobs/{job['name']}"
        properties = job["properties"]
        assert (properties["jobType"], properties["status"], properties["outputs"]) == ("Pipeline", "Queued", {})
        assert properties["tags"] == {"azureml.batchrun": "true"}
        assert (properties["experimentName"], properties["displayName"]) == ("exp", job["name"])
        row = row_of(control, job["name"])
        assert control.outbox.jobs == [row.id]
        assert (row.bundle_hash, row.lock_hash) == ("b" * 64, "c" * 64)
        assert (row.endpoint, row.deployment, row.input_kind) == ("be-one", "bd-one", "UriFolder")
        assert (row.input_files, row.input_key) == (None, "datastores/workspaceblobstore/rows")
        assert row.output_key == default_output_key(DATASTORES, job["name"], "predictions.csv")
        assert BatchSettings.from_dict(row.settings) == BatchSettings()
        assert control.get(f"/jobs/{job['name']}")["id"] == job["id"]
        assert control.get(f"//batch/be-one/jobs/{job['name']}")["properties"]["status"] == "Queued"

    def test_pascal_case_keys_and_numbers_as_strings_are_accepted(self, control, endpoint):
        place = control.place()
        asked = {
            "InputData": {"in": {"JobInputType": "uri_folder", "Uri": place["uri"]}},
            "OutputData": {"out": {"JobOutputType": "UriFolder", "Uri": f"{STORE}//batch/out/"}},
            "MiniBatchSize": "3",
            "ErrorThreshold": "2",
            "RetrySettings": {"MaxRetries": "1", "Timeout": "PT1M"},
            "Compute": {"IsLocal": True, "InstanceCount": 4},
            "OutputFileName": "mine.csv",
            "Name": "my-job",
        }
        assert control.submit(endpoint, asked)["name"] == "my-job"
        row = row_of(control, "my-job")
        assert row.output_key == "datastores/workspaceblobstore/batch/out/mine.csv"
        wanted = {"mini_batch_size": 3, "error_threshold": 2, "max_retries": 1, "timeout_seconds": 60.0}
        wanted |= {"instance_count": 4, "output_file_name": "mine.csv"}
        assert BatchSettings.from_dict(row.settings) == BatchSettings().with_overrides(wanted)

    @pytest.mark.parametrize(
        "spelled",
        [
            "{id}",
            "azureml:d:1",
            "azureml:d@latest",
            "azureml:{id}",
            "azureml://locations/local/workspaces/default/data/d/versions/1",
            "azureml://locations/local/workspaces/default/data/d/versions/labels/latest",
        ],
    )
    def test_every_spelling_of_a_data_asset_resolves_to_its_files(self, control, endpoint, spelled):
        asset = register_data(control)
        uri = spelled.format(id=asset)
        job = control.submit(endpoint, {"inputData": {"in": {"jobInputType": "UriFolder", "uri": uri}}})
        assert job["properties"]["inputUri"] == asset
        files = row_of(control, job["name"]).input_files
        assert [(f["path"], f["size"]) for f in files] == [("b.csv", 5), ("deep/a.csv", 10)]
        assert control.store.exists(files[0]["key"])

    def test_data_asset_of_a_datastore_path_is_read_when_the_job_begins(self, control, endpoint):
        control.place()
        body = {"properties": {"dataType": "uri_file", "dataUri": f"{STORE}/rows/a.csv"}}
        control.put("/data/d/versions/1", body)
        job = control.submit(endpoint, {"inputData": {"in": {"jobInputType": "UriFile", "uri": "azureml:d:1"}}})
        row = row_of(control, job["name"])
        assert (row.input_kind, row.input_key) == ("UriFile", "datastores/workspaceblobstore/rows/a.csv")

    def test_named_deployment_wins_over_the_default(self, control, endpoint):
        control.batch_deployment(endpoint, "azureml:m:1", "bd-two", miniBatchSize=7)
        job = control.submit(endpoint, **{"azureml-model-deployment": "BD-one"})
        assert job["properties"]["deployment"] == "bd-one"
        assert control.submit(endpoint)["properties"]["deployment"] == "bd-two"


class TestRepeatedRequest:
    def test_repeated_request_returns_the_same_job_when_the_output_exists(self, control, endpoint):
        request = {"repeatability_request-id": "3f2e"}
        first = control.submit(endpoint, **request)
        control.store.put(row_of(control, first["name"]).output_key, [b"0"])
        assert control.submit(endpoint, expected=200, **request)["name"] == first["name"]
        assert control.submit(endpoint, **{"repeatability_request-id": "other"})["name"] != first["name"]
        assert len(control.outbox.jobs) == 2

    def test_concurrent_repetitions_submit_a_single_job(self, control, endpoint):
        body = {"properties": {"inputData": {"in": control.place()}}}
        headers = {"repeatability_request-id": "3f2e"}
        answers = concurrently(4, lambda: control.ask("POST", "//batch/be-one/jobs", body, headers=headers).status_code)
        assert sorted(answers) == [200, 200, 200, 201]
        assert len(control.get("/jobs")["value"]) == 1

    def test_concurrent_requests_for_an_output_submit_a_single_job(self, control, endpoint):
        output = {"out": {"jobOutputType": "UriFile", "uri": f"{STORE}/out.csv"}}
        body = {"properties": {"inputData": {"in": control.place()}, "outputData": output}}
        answers = concurrently(4, lambda: control.ask("POST", "//batch/be-one/jobs", body).status_code)
        assert sorted(answers) == [201, 409, 409, 409]


class TestInputs:
    def test_literals_have_no_effect_and_are_named(self, control, endpoint):
        literals = {
            "lit": {"jobInputType": "Literal", "value": "abc"},
            "num": {"jobInputType": "literal", "value": 1.5},
        }
        body = {"properties": {"inputData": {**literals, "in": control.place()}}}
        answer = control.ask("POST", "//batch/be-one/jobs", body)
        assert answer.status_code == 201
        named = [text.split()[2].strip('"') for text in answer.headers.get_list("Warning")]
        assert named == ["properties.inputData.lit.value", "properties.inputData.num.value"]

    def test_several_inputs_are_one_list_of_files_in_the_order_of_names(self, control, endpoint):
        asset = register_data(control)
        for path in ("rows/z.csv", "rows/_SUCCESS", "other/single.csv"):
            control.store.put(f"datastores/workspaceblobstore/{path}", [b"x\n1\n"])
        inputs = {
            "c": {"jobInputType": "UriFile", "uri": f"{STORE}/other/single.csv"},
            "_b": control.place(),
            "a": {"jobInputType": "UriFolder", "uri": asset},
        }
        job = control.submit(endpoint, {"inputData": inputs})
        row = row_of(control, job["name"])
        paths = ["_b/a.csv", "_b/z.csv", "a/b.csv", "a/deep/a.csv", "c/single.csv"]
        assert [file["path"] for file in row.input_files] == paths
        assert [control.store.exists(file["key"]) for file in row.input_files] == [True] * 5
        assert (row.input_kind, row.input_key) == ("UriFile", None)

    def test_folders_of_several_inputs_with_too_many_files_are_refused(self, control, endpoint):
        for number in range(1001):
            control.store.put(f"datastores/workspaceblobstore/many/{number}.csv", [b""])
        inputs = {"a": control.place(), "b": {"jobInputType": "UriFolder", "uri": f"{STORE}/many/"}}
        assert "one folder" in control.submit(endpoint, {"inputData": inputs}, 400)["error"]["message"]

    @pytest.mark.parametrize(
        ("dataset", "kind"),
        [
            ({"dataInputType": "DataUrl", "Path": f"{STORE}/rows"}, "UriFolder"),
            ({"dataInputType": "DataUrl", "Path": f"{STORE}/rows/a.csv"}, "UriFile"),
            ({"dataInputType": "DatasetVersion", "datasetName": "d", "datasetVersion": "1"}, "UriFolder"),
            ({"datasetName": "d"}, "UriFolder"),
        ],
    )
    def test_dataset_of_the_first_rest_samples_is_an_input(self, control, endpoint, dataset, kind):
        register_data(control)
        control.place()
        job = control.submit(endpoint, {"dataset": dataset})
        assert row_of(control, job["name"]).input_kind == kind

    def test_dataset_without_data_is_400(self, control, endpoint):
        refused = control.submit(endpoint, {"dataset": {"dataInputType": "DataUrl"}}, 400)["error"]
        assert refused["target"] == "properties.dataset"


class TestRejectedSubmission:
    @pytest.mark.parametrize(
        ("uri", "expected"),
        [
            ("https://host/rows.csv", "startPendingUpload"),
            ("/root/rows.csv", "startPendingUpload"),
            (f"{STORE}/nothing", "upload the folder first"),
            (f"{STORE}/../secrets", "not a path"),
            ("azureml:none:1", "not registered"),
            (f"{WORKSPACE.replace('default', 'other')}/data/d/versions/1", "another workspace"),
            ("", "no uri"),
        ],
    )
    def test_unreadable_input_is_400_and_the_message_says_how_to_fix_it(self, control, endpoint, uri, expected):
        asked = {"inputData": {"in": {"jobInputType": "UriFolder", "uri": uri}}}
        assert expected in self._refused(control, asked)["message"]

    @pytest.mark.parametrize(
        "inputs",
        [
            {},
            {"a": {"jobInputType": "Literal", "value": "x"}},
            {"a": {}, "b": {}},
            {"a": {"jobInputType": "mltable"}},
            {str(number): {"jobInputType": "UriFile", "uri": f"{STORE}/a"} for number in range(21)},
        ],
    )
    def test_job_without_inputs_of_files_is_400(self, control, endpoint, inputs):
        assert self._refused(control, {"inputData": inputs})["target"].startswith("properties.inputData")

    @pytest.mark.parametrize(
        "more",
        [
            {"miniBatchSize": 0},
            {"outputFileName": "a/b"},
            {"outputAction": "none"},
            {"name": "a b"},
            {"outputData": {"o": {"uri": "https://host/x"}}},
            {"outputData": {"o": {"uri": f"{STORE}/a"}, "p": {"uri": f"{STORE}/b"}}},
        ],
    )
    def test_invalid_setting_is_400(self, control, endpoint, more):
        self._refused(control, {"inputData": {"in": control.place()}, **more})

    def test_folder_given_as_uri_file_is_400(self, control, endpoint):
        asked = {"inputData": {"in": {**control.place(), "jobInputType": "UriFile"}}}
        assert "there is no file" in self._refused(control, asked)["message"]

    def _refused(self, control, asked):
        error = error_of(control.ask("POST", "//batch/be-one/jobs", {"properties": asked}), 400)
        assert control.get("/jobs")["value"] == []
        assert control.outbox.jobs == []
        return error

    def test_existing_output_or_name_is_409(self, control, endpoint):
        output = {"out": {"jobOutputType": "UriFile", "uri": f"{STORE}/out.csv"}}
        asked = {"inputData": {"in": control.place()}, "name": "mine"}
        control.submit(endpoint, asked)
        assert control.submit(endpoint, asked, 409)["error"]["code"] == "JobNameTaken"
        control.store.put("datastores/workspaceblobstore/out.csv", [b"0"])
        refused = control.submit(endpoint, {"inputData": {"in": control.place()}, "outputData": output}, 409)
        assert refused["error"]["code"] == "OutputAlreadyExists"

    def test_endpoint_without_a_ready_deployment_rejects_jobs(self, control):
        endpoint = control.batch_endpoint()
        assert "azureml-model-deployment" in control.submit(endpoint, expected=400)["error"]["message"]
        named = {"azureml-model-deployment": "bd-one"}
        assert "invoke(deployment_name" in control.submit(endpoint, None, 404, **named)["error"]["message"]
        control.put(f"{endpoint}/deployments/bd-one", {"properties": {"model": control.register()}})
        assert "being built" in control.submit(endpoint, None, 409, **named)["error"]["message"]
        control.fail_builds("no such package")
        assert "no such package" in control.submit(endpoint, None, 409, **named)["error"]["message"]
        error_of(control.ask("POST", "//batch/none/jobs", {"properties": {}}), 400)


class TestReading:
    def test_progress_is_counted_from_the_mini_batches(self, control, endpoint):
        name = control.submit(endpoint)["name"]
        key = row_of(control, name).id
        nothing = control.get(f"/jobs/{name}")["properties"]["progress"]
        assert nothing["workers"] == []
        assert nothing["miniBatches"] == {"completed": 0, "failed": 0, "running": 0}
        failures = [{"file": "bad.csv", "first_row": None, "rows": None, "reason": "r"}] * 2
        with control.sessions.begin() as session:
            row = session.get_one(JobRow, key)
            row.state, row.mini_batches, row.files, row.rows = JobState.RUNNING, 4, 9, 400
            states = [MiniBatchState.COMPLETED, MiniBatchState.FAILED, MiniBatchState.QUEUED, MiniBatchState.QUEUED]
            ended = func.now() - timedelta(seconds=10)
            for number, state in enumerate(states):
                part = MiniBatchRow(job_id=key, number=number, state=state, spans=[], failures=[])
                if state != MiniBatchState.QUEUED:
                    part.rows, part.seconds, part.ended_at = 100 - 100 * number, 10.0, ended
                    part.failures = failures * number
                session.add(part)
            session.flush()
            busy = session.scalars(select(MiniBatchRow).where(MiniBatchRow.number == 2)).one()
            assert claim(session, MiniBatchRow, busy.id)
            busy.worker = "w-1"
        progress = control.get(f"/jobs/{name}")["properties"]["progress"]
        assert progress["miniBatches"] == {"total": 4, "completed": 1, "failed": 1, "running": 1}
        assert progress["files"] == {"total": 9, "failed": 1}
        assert progress["rows"] == {"total": 400, "scored": 100}
        assert progress["workers"] == [{"name": "w-1", "miniBatch": 2}]
        assert 0 < progress["rowsPerSecond"] <= 5
        assert progress["secondsLeft"] >= 60

    def test_failed_job_shows_the_reason(self, control, endpoint):
        name = control.submit(endpoint)["name"]
        details = [{"code": "InvalidInput", "message": "a.csv: no"}]
        change(control, state="Failed", error={"code": "TooMany", "message": "m", "details": details})
        assert control.get(f"/jobs/{name}")["properties"]["error"]["details"] == details

    def test_jobs_are_listed_newest_first_and_filtered(self, control, endpoint):
        control.batch_deployment(endpoint, "azureml:m:1", "bd-two")
        other = control.batch_endpoint("be-two")
        control.batch_deployment(other, "azureml:m:1")
        first = control.submit(endpoint, **{"azureml-model-deployment": "bd-one"})["name"]
        second = control.submit(endpoint, {"inputData": {"in": control.place()}, "tags": {"team": "a"}})["name"]
        third = control.submit(other)["name"]

        def names(path: str, **params: str) -> list[str]:
            return [job["name"] for job in control.get(path, **params)["value"]]

        assert names("/jobs") == [third, second, first]
        assert names(f"{endpoint}/jobs") == [second, first]
        assert names(f"{endpoint}/deployments/bd-one/jobs") == [first]
        assert names("/jobs", endpoint="be-two") == [third]
        assert names("/jobs", tag="team=a") == names("/jobs", tag="team") == [second]
        assert names("/jobs", tag="team=b") == names("/jobs", status="running") == []
        page = control.get("/jobs", **{"$top": "2"})
        assert [job["name"] for job in control.http.get(page["nextLink"]).json()["value"]] == [first]
        error_of(control.ask("GET", "/jobs", params={"status": "lost"}), 400)
        error_of(control.ask("GET", f"//batch/be-two/jobs/{first}"), 404)

    def test_archived_jobs_are_listed_only_on_request(self, control, endpoint):
        name = control.submit(endpoint)["name"]
        changes = {"properties": {"isArchived": True, "displayName": "shown", "tags": {"a": "b"}}}
        changed = control.ask("PATCH", f"/jobs/{name}", changes).json()["properties"]
        assert (changed["displayName"], changed["tags"]) == ("shown", {"azureml.batchrun": "true", "a": "b"})
        assert control.get("/jobs")["value"] == []
        assert len(control.get("/jobs", listViewType="All")["value"]) == 1


class TestCancellation:
    def test_unclaimed_job_is_canceled_at_once(self, control, endpoint):
        name = control.submit(endpoint)["name"]
        canceled = control.post(f"/jobs/{name}/cancel")["properties"]
        assert canceled["status"] == "Canceled"
        assert canceled["endedAt"]
        assert control.post(f"/jobs/{name}/cancel")["properties"]["status"] == "Canceled"

    def test_running_job_is_asked_to_stop_and_workers_are_notified(self, control, endpoint):
        name = control.submit(endpoint)["name"]
        change(control, state="Running")
        for _ in range(2):
            assert control.post(f"/jobs/{name}/cancel")["properties"]["status"] == "CancelRequested"
        assert control.outbox.jobs == [row_of(control, name).id] * 2

    @pytest.mark.parametrize("state", ["Completed", "Failed"])
    def test_ended_job_cannot_be_canceled(self, control, endpoint, state):
        name = control.submit(endpoint)["name"]
        change(control, state=state)
        assert state in error_of(control.ask("POST", f"/jobs/{name}/cancel"), 409)["message"]

    def test_unknown_job_is_404(self, control):
        error_of(control.ask("POST", "/jobs/none/cancel"), 404)


class TestFiles:
    def test_written_files_are_listed_with_signed_urls(self, control, endpoint):
        name = control.submit(endpoint)["name"]
        assert control.get(f"/jobs/{name}/files")["value"] == []
        output = row_of(control, name).output_key
        written = {
            output: b"0,1,a b.csv\n",
            f"{output.rpartition('/')[0]}/errors.csv": b"file\n",
            f"{logs_prefix(DATASTORES, name)}user/stdout/w 1.txt": b"hello\n",
        }
        for key, content in written.items():
            control.store.put(key, [content])
        files = control.get(f"/jobs/{name}/files")["value"]
        assert [f["path"] for f in files] == ["score/predictions.csv", "score/errors.csv", "logs/user/stdout/w 1.txt"]
        assert [f["size"] for f in files] == [12, 5, 6]
        assert [anonymous.get(f["url"]).content for f in files] == list(written.values())
        first, second = (f["url"] for f in files[:2])
        swapped = f"{second.partition('?')[0]}?{first.partition('?')[2]}"
        assert anonymous.get(swapped).status_code == 403
        assert anonymous.get(first.partition("?")[0]).status_code == 403
        control.store.delete(output)
        assert anonymous.get(first).status_code == 404


def test_client_sends_a_folder_and_downloads_the_predictions(control, endpoint, tmp_path: Path):
    folder = tmp_path / "rows"
    (folder / "deep").mkdir(parents=True)
    (folder / "deep" / "a.csv").write_bytes(b"x\n1\n")
    with Client(Platform(control.url, TOKEN)) as client:
        names = [invoke_batch(client, BatchInvocation("be-one", str(folder)))["name"] for _ in range(2)]
        row = row_of(control, names[0])
        assert [(f["path"], f["size"]) for f in row.input_files] == [("deep/a.csv", 4)]
        assert row_of(control, names[1]).input_uri == row.input_uri
        control.store.put(row.output_key, [b"0,1,a.csv\n"])
        change(control, state="Completed")
        (written,) = client.jobs.download(names[0], tmp_path / "back")
        assert {job["name"] for job in client.jobs.of_endpoint("be-one")} == set(names)
    assert written.read_bytes() == b"0,1,a.csv\n"
