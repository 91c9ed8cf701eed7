"""Batch commands, from the arguments to standard output."""

import json
from pathlib import Path

import pytest
import yaml

SCHEMA = "https://azuremlschemas.azureedge.net/latest"
STORE = "azureml://datastores/workspaceblobstore/paths"
INVOKE = ("batch-endpoint", "invoke", "-n", "heart", "--input", f"{STORE}/rows/")


def job(status: str, **more: object) -> dict[str, object]:
    """A job resource."""
    done = {"miniBatches": {"total": 4, "completed": 3, "failed": 0, "running": 1}}
    progress = {**done, "files": {"total": 7, "failed": 0}, "rows": {"total": 1303, "scored": 1200}}
    properties = {"status": status, "endpoint": "heart", "deployment": "blue", "progress": progress, **more}
    return {"id": "/jobs/j1", "name": "j1", "properties": properties, "systemData": {"createdAt": "2026-01-01"}}


@pytest.fixture
def files(tmp_path: Path, model_folder: Path) -> Path:
    """A project with az ml's YAML files and with data."""
    endpoint = {"$schema": f"{SCHEMA}/batchEndpoint.schema.json", "name": "heart", "auth_mode": "aad_token"}
    deployment = {
        "$schema": f"{SCHEMA}/modelBatchDeployment.schema.json",
        "name": "blue",
        "endpoint_name": "heart",
        "type": "model",
        "model": {"name": "m", "version": 2, "path": "model"},
        "compute": "azureml:batch-cluster",
        "resources": {"instance_count": 2},
        "settings": {"mini_batch_size": 2, "output_file_name": "out.csv", "retry_settings": {"timeout": 300}},
    }
    (tmp_path / "endpoint.yml").write_text(yaml.safe_dump(endpoint))
    (tmp_path / "deployment.yml").write_text(yaml.safe_dump(deployment))
    rows = tmp_path / "rows"
    (rows / "nested").mkdir(parents=True)
    (rows / "a.csv").write_text("x,n\n1.0,2\n")
    (rows / "nested" / "b.csv").write_text("x,n\n3.0,4\n")
    return tmp_path


@pytest.fixture
def deployed(modelyard, platform, files):
    assert modelyard("batch-endpoint", "create", "-f", files / "endpoint.yml").code == 0
    done = modelyard("batch-deployment", "create", "-f", files / "deployment.yml", "--set-default")
    assert done.code == 0, done.err
    for path in ("rows/a.csv", "rows.csv", "2026.01/a.csv"):
        platform.control.store.put(f"datastores/workspaceblobstore/{path}", [b"x,n\n1.0,2\n"])


def submitted(platform) -> dict:
    """The properties of the last submission."""
    asked = [body for body in platform.bodies if body and "inputData" in body.get("properties", {})]
    return asked[-1]["properties"]


def below_workspace(arm_id: str) -> str:
    return arm_id.partition("/workspaces/default")[2]


class TestBatchEndpoint:
    def test_create_prints_only_the_endpoint(self, modelyard, files):
        done = modelyard("batch-endpoint", "create", "-f", files / "endpoint.yml")
        shown = json.loads(done.out)
        assert (shown["name"], shown["auth_mode"], done.err) == ("heart", "aad_token", "")

    def test_second_create_keeps_the_default_deployment(self, modelyard, platform, files, deployed):
        modelyard("batch-endpoint", "create", "-f", files / "endpoint.yml")
        assert platform.at("/batchEndpoints/heart")["properties"]["defaults"] == {"deploymentName": "blue"}

    def test_update_keeps_the_other_fields(self, modelyard, platform, files, deployed):
        modelyard("batch-deployment", "create", "-f", files / "deployment.yml", "-n", "green")
        done = modelyard(
            "batch-endpoint", "update", "-n", "heart", "--default-deployment", "green", "--set", "tags.a=b"
        )
        assert (done.code, done.err) == (0, "")
        resource = platform.at("/batchEndpoints/heart")
        assert resource["properties"]["defaults"] == {"deploymentName": "green"}
        assert (resource["tags"], resource["properties"]["authMode"]) == ({"a": "b"}, "AADToken")

    def test_list_and_show_print_the_endpoint(self, modelyard, deployed):
        table = modelyard("batch-endpoint", "list", "-o", "table").out.splitlines()
        assert table[2].split()[:3] == ["heart", "Succeeded", "blue"]
        assert json.loads(modelyard("batch-endpoint", "show", "-n", "heart").out)["name"] == "heart"

    def test_delete_requires_a_confirmation(self, modelyard, platform, deployed):
        assert "--yes" in modelyard("batch-endpoint", "delete", "-n", "heart").err
        assert modelyard("batch-endpoint", "delete", "-n", "heart", "-y").code == 0
        assert platform.said("DELETE")[0].endswith("/batchEndpoints/heart")

    def test_list_jobs_prints_the_jobs_of_the_endpoint(self, modelyard, platform, deployed):
        platform.answers["GET", "/batchEndpoints/heart/jobs"] = (200, {"value": [job("Running")]})
        table = modelyard("batch-endpoint", "list-jobs", "-n", "heart", "-o", "table").out.splitlines()
        assert table[2].split() == ["j1", "heart", "blue", "Running", "2026-01-01"]


class TestBatchDeployment:
    def test_list_jobs_prints_the_jobs_of_the_deployment_alone(self, modelyard, deployed):
        uri = "azureml://datastores/workspaceblobstore/paths/rows.csv"
        name = modelyard("batch-endpoint", "invoke", "-n", "heart", "--input", uri).out.strip()
        for deployment, expected in (("blue", [name]), ("green", [])):
            done = modelyard("batch-deployment", "list-jobs", "-n", deployment, "-e", "heart", "-o", "json")
            assert [job["name"] for job in json.loads(done.out)] == expected

    def test_create_registers_the_model_and_sets_the_default(self, modelyard, platform, deployed):
        properties = platform.at("/batchEndpoints/heart/deployments/blue")["properties"]
        assert properties["model"]["assetId"].endswith("/models/m/versions/2")
        assert properties["compute"].endswith("/computes/batch-cluster")
        assert (properties["miniBatchSize"], properties["retrySettings"]) == (2, {"maxRetries": 3, "timeout": "PT5M"})
        assert platform.at("/batchEndpoints/heart")["properties"]["defaults"] == {"deploymentName": "blue"}

    def test_failed_build_is_one_line_and_names_the_log_command(self, modelyard, platform, files):
        modelyard("batch-endpoint", "create", "-f", files / "endpoint.yml")
        platform.failure = "numpy==9 does not exist"
        done = modelyard("batch-deployment", "create", "-f", files / "deployment.yml", "--set-default")
        assert (done.code, done.out) == (1, "")
        assert "error: numpy==9 does not exist" in done.err.splitlines()
        assert "batch-deployment get-logs -n blue -e heart" in done.err
        assert not platform.said("PATCH"), "a deployment that is not built must not become the default"

    @pytest.mark.parametrize("setting", ["settings.mini_batch_size=50", "mini_batch_size=50"])
    def test_update_keeps_the_other_settings(self, modelyard, platform, deployed, setting):
        done = modelyard("batch-deployment", "update", "-n", "blue", "-e", "heart", "--set", setting)
        properties = platform.at("/batchEndpoints/heart/deployments/blue")["properties"]
        assert (done.code, properties["miniBatchSize"]) == (0, 50)
        assert (properties["outputFileName"], properties["resources"]) == ("out.csv", {"instanceCount": 2})

    def test_list_show_get_logs_and_delete(self, modelyard, platform, deployed):
        name = ("-n", "blue", "-e", "heart")
        table = modelyard("batch-deployment", "list", "-e", "heart", "-o", "table").out.splitlines()
        assert table[2].split() == ["blue", "heart", "Succeeded", "azureml:m:2", "2", "2"]
        assert json.loads(modelyard("batch-deployment", "show", *name).out)["settings"]["output_file_name"] == "out.csv"
        platform.answers["POST", "/deployments/blue/getLogs"] = (200, {"content": "one\ntwo\n"})
        assert modelyard("batch-deployment", "get-logs", *name).out == "one\ntwo\n"
        assert modelyard("batch-deployment", "delete", *name, "-y").code == 0

    def test_set_default_with_no_wait_is_a_usage_error(self, modelyard, files):
        done = modelyard("batch-deployment", "create", "-f", files / "deployment.yml", "--set-default", "--no-wait")
        assert (done.code, done.out) == (2, "")


class TestInvoke:
    def test_local_folder_is_uploaded_and_only_the_job_name_is_printed(self, modelyard, platform, files, deployed):
        done = modelyard("batch-endpoint", "invoke", "-n", "heart", "--input", files / "rows")
        name = done.out.strip()
        assert (done.code, done.err.splitlines()[-1]) == (
            0,
            f"note: the job continues in the background; to watch: modelyard job stream -n {name}",
        )
        assert platform.at(f"/jobs/{name}")["properties"]["status"] == "Queued"
        assert {path for path in platform.uploaded() if "rows" in path} == {"rows/a.csv", "rows/nested/b.csv"}
        (given,) = submitted(platform)["inputData"].values()
        assert given["jobInputType"] == "UriFolder"
        version = platform.at(below_workspace(given["uri"]))["properties"]
        assert (version["dataType"], version["isAnonymous"]) == ("uri_folder", True)

    def test_unchanged_folder_is_not_uploaded_again(self, modelyard, platform, files, deployed):
        modelyard("batch-endpoint", "invoke", "-n", "heart", "--input", files / "rows")
        platform.requests.clear()
        assert modelyard("batch-endpoint", "invoke", "-n", "heart", "--input", files / "rows").code == 0
        assert platform.said("PUT") == []

    def test_local_file_is_uploaded_as_uri_file(self, modelyard, platform, files, deployed):
        modelyard("batch-endpoint", "invoke", "-n", "heart", "--input", files / "rows" / "a.csv")
        (given,) = submitted(platform)["inputData"].values()
        assert given["jobInputType"] == "UriFile"
        assert platform.at(below_workspace(given["uri"]))["properties"]["dataType"] == "uri_file"

    @pytest.mark.parametrize(
        ("uri", "more", "kind"),
        [
            (f"{STORE}/rows/", (), "UriFolder"),
            (f"{STORE}/rows.csv", (), "UriFile"),
            (f"{STORE}/2026.01", ("--input-type", "uri_folder"), "UriFolder"),
        ],
    )
    def test_data_store_uri_is_passed_on(self, modelyard, platform, deployed, uri, more, kind):
        assert modelyard("batch-endpoint", "invoke", "-n", "heart", "--input", uri, *more).code == 0
        assert list(submitted(platform)["inputData"].values()) == [{"jobInputType": kind, "uri": uri}]

    def test_data_asset_is_passed_by_id(self, modelyard, platform, files, deployed):
        assert modelyard("data", "create", "-n", "d", "-p", files / "rows").code == 0
        modelyard("batch-endpoint", "invoke", "-n", "heart", "--input", "azureml:d:1")
        (given,) = submitted(platform)["inputData"].values()
        assert given["uri"].endswith("/data/d/versions/1")

    def test_job_options_override_the_deployment(self, modelyard, platform, deployed, files):
        modelyard("batch-deployment", "create", "-f", files / "deployment.yml", "-n", "green")
        done = modelyard(
            *INVOKE,
            *("--mini-batch-size", 20, "--instance-count", 3, "--deployment-name", "green", "--job-name", "mine"),
            *("--experiment-name", "trial", "--set", "retry_settings.max_retries=1", "--set", "error_threshold=2"),
        )
        asked = submitted(platform)
        assert (done.code, done.out) == (0, "mine\n")
        assert asked["compute"] == {"instanceCount": 3}
        assert (asked["miniBatchSize"], asked["errorThreshold"], asked["retrySettings"]) == (20, 2, {"maxRetries": 1})
        assert (asked["name"], asked["properties"]) == ("mine", {"experimentName": "trial"})
        sent = next(each for each in reversed(platform.headers) if "repeatability_request-id" in each)
        assert sent["azureml-model-deployment"] == "green"

    def test_output_folder_gets_the_deployments_file_name(self, modelyard, platform, deployed):
        for path, whole in (
            (f"{STORE}/one/", f"{STORE}/one/out.csv"),
            (f"{STORE}/two", f"{STORE}/two/out.csv"),
            (f"{STORE}/three/mine.csv", f"{STORE}/three/mine.csv"),
        ):
            assert modelyard(*INVOKE, "--output-path", path).code == 0
            assert submitted(platform)["outputData"] == {"score": {"jobOutputType": "UriFile", "uri": whole}}

    def test_endpoint_without_a_default_deployment_gets_no_upload(self, modelyard, platform, files):
        modelyard("batch-endpoint", "create", "-f", files / "endpoint.yml")
        call = ("batch-endpoint", "invoke", "-n", "heart", "--input", files / "rows")
        platform.requests.clear()
        assert "batch-endpoint update -n heart --default-deployment" in modelyard(*call).err
        assert modelyard(*call, "-d", "none").code == 1
        assert platform.said("PUT") == []

    def test_unknown_endpoint_gets_no_upload(self, modelyard, platform, files):
        done = modelyard("batch-endpoint", "invoke", "-n", "nothing", "--input", files / "rows")
        assert (done.code, platform.said("PUT")) == (1, [])

    def test_missing_input_is_named(self, modelyard, deployed, tmp_path):
        done = modelyard("batch-endpoint", "invoke", "-n", "heart", "--input", tmp_path / "none")
        assert done.err.splitlines()[-1].startswith(f"error: there is no file or folder {tmp_path / 'none'}: give")

    def test_error_of_the_platform_is_printed(self, modelyard, platform, deployed):
        refusal = {"error": {"code": "OutputExists", "message": "out.csv is there already"}}
        platform.answers["POST", "/batch/heart/jobs"] = (409, refusal)
        done = modelyard(*INVOKE)
        assert (done.code, done.out, done.err) == (1, "", "error: out.csv is there already\n")


class TestJob:
    def test_stream_prints_each_state_until_completed(self, modelyard, platform):
        states = ("Queued", "Queued", "Preparing", "Running", "Finalizing", "Completed")
        platform.stories["GET", "/jobs/j1"] = [job(state) for state in states]
        done = modelyard("job", "stream", "-n", "j1")
        lines = done.err.splitlines()
        assert done.code == 0
        assert [line.split(",")[0] for line in lines[:-1]] == [
            f"j1: {state}" for state in ("Queued", "Preparing", "Running", "Finalizing", "Completed")
        ]
        assert "3 of 4 mini-batches, 1,200 rows" in lines[2]
        assert lines[-1].endswith("modelyard job download -n j1")

    def test_stream_of_a_failed_job_prints_the_reasons_and_exits_1(self, modelyard, platform):
        details = [{"message": "a.csv: no column 'x'"}, {"message": "b.csv: no column 'x'"}]
        error = {"code": "ErrorThresholdExceeded", "message": "2 files failed", "details": details}
        platform.stories["GET", "/jobs/j1"] = [job("Running"), job("Failed", error=error)]
        done = modelyard("job", "stream", "-n", "j1")
        assert done.code == 1
        assert done.err.splitlines()[-3:] == [
            "error: 2 files failed",
            "  - a.csv: no column 'x'",
            "  - b.csv: no column 'x'",
        ]

    def test_stream_of_a_canceled_job_exits_1(self, modelyard, platform):
        platform.stories["GET", "/jobs/j1"] = [job("CancelRequested"), job("Canceled")]
        done = modelyard("job", "stream", "-n", "j1")
        assert (done.code, done.err.splitlines()[-1]) == (1, "error: the job is canceled")

    def test_stream_of_a_completed_job_notes_failed_files(self, modelyard, platform):
        progress = {"files": {"total": 7, "failed": 2}}
        platform.stories["GET", "/jobs/j1"] = [job("Completed", progress=progress)]
        done = modelyard("job", "stream", "-n", "j1")
        assert done.code == 0
        assert "2 files failed; the reasons are in errors.csv" in done.err

    def test_cancel_waits_for_the_end_of_the_job(self, modelyard, platform):
        platform.answers["POST", "/jobs/j1/cancel"] = (202, None)
        platform.stories["GET", "/jobs/j1"] = [job("CancelRequested"), job("Canceled")]
        assert modelyard("job", "cancel", "-n", "j1").code == 0
        assert platform.said("GET")[-2:] == platform.said("GET")[-1:] * 2

    @pytest.mark.parametrize("verb", ["stream", "show", "cancel", "download"])
    def test_empty_job_name_is_an_error_without_a_request(self, modelyard, platform, verb):
        done = modelyard("job", verb, "-n", "")
        assert (done.code, platform.requests) == (1, [])
        assert done.err.splitlines()[-1].startswith("error: the job name is empty")

    def test_show_and_list_print_jobs(self, modelyard, platform):
        platform.answers["GET", "/jobs/j1"] = (200, job("Running"))
        platform.answers["GET", "/jobs"] = (200, {"value": [job("Running")]})
        shown = json.loads(modelyard("job", "show", "-n", "j1").out)
        assert (shown["status"], shown["progress"]["mini_batches"]["running"]) == ("Running", 1)
        assert [each["name"] for each in json.loads(modelyard("job", "list").out)] == ["j1"]

    def test_download_writes_predictions_and_with_all_the_logs(self, modelyard, platform, tmp_path):
        written = {"score/predictions.csv": b"0,1,a.csv\n", "logs/user/error.txt": b"", "logs/overview.txt": b"done"}
        for path, content in written.items():
            platform.answers["GET", f"/job-files/{path}"] = (200, content)
        entries = [
            {"path": path, "size": len(content), "url": f"{platform.url}/job-files/{path}?sig=signed"}
            for path, content in written.items()
        ]
        platform.answers["GET", "/jobs/j1/files"] = (200, {"value": entries})
        done = modelyard("job", "download", "-n", "j1", "--output-name", "score", "-p", tmp_path / "some")
        predictions = tmp_path / "some" / "named-outputs" / "score" / "predictions.csv"
        assert done.out == f"{predictions}\n"
        assert predictions.read_bytes() == b"0,1,a.csv\n"
        modelyard("job", "download", "-n", "j1", "-p", tmp_path / "all", "--all")
        assert (tmp_path / "all" / "artifacts" / "logs" / "overview.txt").read_bytes() == b"done"
        assert (tmp_path / "all" / "named-outputs" / "score" / "predictions.csv").is_file()

    def test_second_download_replaces_the_predictions(self, modelyard, platform, tmp_path):
        entry = {"path": "score/predictions.csv", "size": 1, "url": f"{platform.url}/job-files/p?sig=signed"}
        platform.answers["GET", "/jobs/j1/files"] = (200, {"value": [entry]})
        for content in (b"1", b"2"):
            platform.answers["GET", "/job-files/p"] = (200, content)
            done = modelyard("job", "download", "-n", "j1", "-p", tmp_path)
            assert Path(done.out.strip()).read_bytes() == content


class TestData:
    def test_data_asset_is_registered_listed_and_shown(self, modelyard, platform, files):
        (files / "data.yml").write_text("name: d\npath: rows\ntype: uri_folder\ntags: {a: 1}\n")
        created = json.loads(modelyard("data", "create", "-f", files / "data.yml").out)
        assert (created["name"], created["version"], created["tags"]) == ("d", "1", {"a": "1"})
        assert json.loads(modelyard("data", "list").out)[0]["latest_version"] == "1"
        assert [each["version"] for each in json.loads(modelyard("data", "list", "-n", "d").out)] == ["1"]
        assert json.loads(modelyard("data", "show", "-n", "d", "-v", "1").out)["type"] == "uri_folder"


def test_status_shows_batch_endpoints_and_running_jobs(modelyard, platform, deployed):
    platform.answers["GET", "/jobs/j1"] = (200, job("Running"))
    platform.answers["GET", "workspaces/default/jobs"] = (
        200,
        {"value": [job("Running"), {**job("Completed"), "name": "j0"}]},
    )
    tables = modelyard("status", "-o", "table").out.split("\n\n")
    assert tables[0].splitlines()[2].split() == ["heart", "Succeeded", "blue"]
    assert [line.split() for line in tables[1].splitlines()[2:]] == [
        ["j1", "heart", "Running", "3", "of", "4", "1200", "0"]
    ]
    shown = json.loads(modelyard("status", "-o", "json").out)
    assert [each["name"] for each in shown["jobs"]] == ["j1"]
