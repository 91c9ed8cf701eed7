"""Online, model and environment commands, from the arguments to standard output."""

import json
from pathlib import Path

import pytest
import yaml


@pytest.fixture
def files(tmp_path: Path, model_folder: Path) -> Path:
    """A project with az ml's YAML files."""
    schema = "https://azuremlschemas.azureedge.net/latest"
    endpoint = {"$schema": f"{schema}/managedOnlineEndpoint.schema.json", "name": "my-endpoint", "auth_mode": "key"}
    deployment = {
        "$schema": f"{schema}/managedOnlineDeployment.schema.json",
        "name": "blue",
        "endpoint_name": "my-endpoint",
        "model": {"name": "m", "version": 2, "path": "model", "type": "mlflow_model"},
        "instance_type": "Standard_DS3_v2",
        "instance_count": 1,
    }
    (tmp_path / "endpoint.yaml").write_text(yaml.safe_dump(endpoint))
    (tmp_path / "deployment.yaml").write_text(yaml.safe_dump(deployment))
    (tmp_path / "model.yaml").write_text(yaml.safe_dump({"name": "m", "path": "model", "tags": {"a": 1}}))
    return tmp_path


@pytest.fixture
def endpoint(modelyard, files):
    assert modelyard("online-endpoint", "create", "-f", files / "endpoint.yaml").code == 0


@pytest.fixture
def deployed(modelyard, files, endpoint):
    assert modelyard("online-deployment", "create", "-f", files / "deployment.yaml", "--all-traffic").code == 0


class TestOnlineEndpoint:
    def test_create_prints_only_the_endpoint(self, modelyard, files):
        done = modelyard("online-endpoint", "create", "-f", files / "endpoint.yaml")
        shown = json.loads(done.out)
        assert (shown["name"], shown["auth_mode"], shown["provisioning_state"]) == ("my-endpoint", "key", "Succeeded")
        assert done.err == ""

    def test_create_works_without_a_file(self, modelyard, platform):
        assert modelyard("online-endpoint", "create", "-n", "plain", "--auth-mode", "aml_token").code == 0
        assert platform.at("/onlineEndpoints/plain")["properties"]["authMode"] == "AMLToken"

    def test_update_sets_the_traffic(self, modelyard, files, deployed):
        assert modelyard("online-deployment", "create", "-f", files / "deployment.yaml", "-n", "green").code == 0
        done = modelyard("online-endpoint", "update", "-n", "my-endpoint", "--traffic", "blue=90 green=10")
        assert json.loads(done.out)["traffic"] == {"blue": 90, "green": 10}

    def test_update_sets_and_removes_the_rate_limit(self, modelyard, endpoint):
        def updated(*arguments):
            done = modelyard("online-endpoint", "update", "-n", "my-endpoint", *arguments)
            return json.loads(done.out).get("rate_limit")

        assert updated("--rate-limit", "second=10 day=5000") == {"requests_per_second": 10, "requests_per_day": 5000}
        assert updated("--rate-limit", "day=7") == {"requests_per_day": 7}
        assert updated("--set", "tags.team=fraud") == {"requests_per_day": 7}
        assert updated("--rate-limit", "none") is None

    @pytest.mark.parametrize(
        "text", ["", "10", "second", "second=", "second=-1", "second=1.5", "minute=3", "second=1 x=2"]
    )
    def test_rate_limit_that_cannot_be_read_is_a_wrong_argument(self, modelyard, endpoint, text):
        done = modelyard("online-endpoint", "update", "-n", "my-endpoint", "--rate-limit", text)
        assert done.code == 2
        assert f"--rate-limit is {text!r}" in done.err

    def test_update_keeps_the_other_fields(self, modelyard, platform, deployed):
        modelyard("online-endpoint", "update", "-n", "my-endpoint", "--set", "tags.team=fraud")
        resource = platform.at("/onlineEndpoints/my-endpoint")
        assert resource["tags"] == {"team": "fraud"}
        assert resource["properties"]["traffic"] == {"blue": 100}

    def test_invoke_prints_the_response_body(self, modelyard, platform, deployed, tmp_path):
        (tmp_path / "request.json").write_text('{"input_data": [[1]]}')
        platform.answers["POST", "/my-endpoint/score"] = (200, b"[11633.100167144921]")
        done = modelyard("online-endpoint", "invoke", "-n", "my-endpoint", "--request-file", tmp_path / "request.json")
        assert (done.code, done.out) == (0, "[11633.100167144921]\n")

    def test_invoke_prints_every_signature_violation(self, modelyard, platform, deployed, tmp_path):
        (tmp_path / "request.json").write_text("{}")
        details = [{"message": "column 'x' is missing"}, {"message": "column 'n' holds 1.5, no long"}]
        body = {"error": {"code": "InvalidInput", "message": "the request violates the signature", "details": details}}
        platform.answers["POST", "/my-endpoint/score"] = (400, body)
        done = modelyard("online-endpoint", "invoke", "-n", "my-endpoint", "--request-file", tmp_path / "request.json")
        assert (done.code, done.out) == (1, "")
        assert done.err.splitlines() == [
            "error: the request does not fit the model's signature (400)",
            "  - column 'x' is missing",
            "  - column 'n' holds 1.5, no long",
        ]

    def test_get_credentials_prints_both_keys(self, modelyard, deployed, platform):
        done = modelyard("online-endpoint", "get-credentials", "-n", "my-endpoint", "-o", "yaml")
        assert yaml.safe_load(done.out) == platform.control.post("/onlineEndpoints/my-endpoint/listKeys")

    def test_regenerate_keys_sends_the_key_type(self, modelyard, platform, deployed):
        platform.answers["POST", "/regenerateKeys"] = (202, None)
        assert modelyard("online-endpoint", "regenerate-keys", "-n", "my-endpoint", "--key-type", "secondary").code == 0
        assert {"keyType": "Secondary"} in platform.bodies

    def test_delete_requires_a_confirmation(self, modelyard, platform, deployed):
        refused = modelyard("online-endpoint", "delete", "-n", "my-endpoint")
        assert refused.code == 1
        assert "--yes" in refused.err
        assert modelyard("online-endpoint", "delete", "-n", "my-endpoint", "-y").code == 0
        assert platform.said("DELETE")[0].endswith("/onlineEndpoints/my-endpoint")

    def test_kubernetes_endpoint_is_refused(self, modelyard, tmp_path):
        (tmp_path / "endpoint.yml").write_text("name: k8s-endpoint\nauth_mode: key\ncompute: azureml:k8s\n")
        done = modelyard("online-endpoint", "create", "-f", tmp_path / "endpoint.yml")
        assert (done.code, done.out) == (1, "")
        assert "endpoint.yml: compute names the Kubernetes cluster 'azureml:k8s', but the platform runs" in done.err


class TestOnlineDeployment:
    def test_create_with_all_traffic_registers_the_model_and_routes(self, modelyard, platform, deployed):
        assert platform.at("/models/m/versions/2")["properties"]["modelType"] == "mlflow_model"
        assert platform.at("/onlineEndpoints/my-endpoint")["properties"]["traffic"] == {"blue": 100}

    def test_create_prints_each_step_on_standard_error(self, modelyard, platform, files, endpoint):
        platform.steps = ["resolving", "resolving", "installing", "starting workers"]
        document = files / "deployment.yaml"
        done = modelyard("online-deployment", "create", "-f", document, "--set", "instance_type=default")
        steps = ["uploading", "resolving packages", "installing packages", "starting workers", ""]
        assert done.err.split(" ...\n") == steps
        assert json.loads(done.out)["model"] == "azureml:m:2"

    def test_options_and_set_override_the_file(self, modelyard, platform, files, endpoint):
        modelyard(
            "online-deployment", "create", "-f", files / "deployment.yaml", "-n", "green", "--set", "instance_count=3"
        )
        assert platform.at("/onlineEndpoints/my-endpoint/deployments/green")["sku"]["capacity"] == 3

    def test_unknown_key_is_a_note(self, modelyard, files, endpoint):
        document = {**yaml.safe_load((files / "deployment.yaml").read_text()), "data_collector": {"x": 1}}
        (files / "deployment.yaml").write_text(yaml.safe_dump(document))
        done = modelyard("online-deployment", "create", "-f", files / "deployment.yaml")
        assert done.code == 0
        assert "deployment.yaml: data_collector has no effect: not read by this platform" in done.err

    @pytest.mark.parametrize(
        ("change", "reason"),
        [
            ({"type": "kubernetes"}, "type is 'kubernetes'"),
            ({"$schema": "https://x/latest/kubernetesOnlineDeployment.schema.json"}, "kubernetesOnlineDeployment"),
            ({"scale_settings": {"type": "target_utilization"}}, "scale_settings.type must be default"),
        ],
    )
    def test_document_for_kubernetes_is_refused_with_its_name(self, modelyard, files, endpoint, change, reason):
        document = {**yaml.safe_load((files / "deployment.yaml").read_text()), **change}
        (files / "deployment.yaml").write_text(yaml.safe_dump(document))
        done = modelyard("online-deployment", "create", "-f", files / "deployment.yaml")
        assert done.code == 1
        assert f"error: {files / 'deployment.yaml'}: " in done.err
        assert reason in done.err

    def test_refusal_of_the_platform_names_the_file_and_its_fields(self, modelyard, files, endpoint):
        settings = ["--set", "request_settings.request_timeout_ms=500000", "--set", "instance_count=99"]
        done = modelyard("online-deployment", "create", "-f", files / "deployment.yaml", *settings)
        (line,) = [line for line in done.err.splitlines() if line.startswith("error: ")]
        assert "deployment.yaml: request_settings.request_timeout_ms is 500 s: use more than 0 s and at most" in line
        assert "instance count is 99" in line

    def test_read_only_field_is_a_note(self, modelyard, files, endpoint):
        done = modelyard(
            "online-deployment", "create", "-f", files / "deployment.yaml", "--set", "provisioning_state=Failed"
        )
        assert "deployment.yaml: provisioning_state has no effect: read-only" in done.err

    def test_failed_build_is_one_line_and_names_the_log_command(self, modelyard, platform, files, endpoint):
        platform.failure = "numpy==9 does not exist"
        done = modelyard("online-deployment", "create", "-f", files / "deployment.yaml")
        assert (done.code, done.out) == (1, "")
        assert "error: numpy==9 does not exist" in done.err.splitlines()
        assert "get-logs -n blue -e my-endpoint" in done.err

    def test_no_wait_polls_no_operation(self, modelyard, platform, files, endpoint):
        platform.requests.clear()
        modelyard("online-deployment", "create", "-f", files / "deployment.yaml", "--no-wait")
        assert not any("mfeOperations" in path for path in platform.said("GET"))

    def test_update_keeps_the_other_fields(self, modelyard, platform, deployed):
        done = modelyard("online-deployment", "update", "-n", "blue", "-e", "my-endpoint", "--set", "instance_count=2")
        body = platform.at("/onlineEndpoints/my-endpoint/deployments/blue")
        assert (done.code, body["sku"]["capacity"]) == (0, 2)
        assert body["properties"]["model"].endswith("/models/m/versions/2")
        assert body["properties"]["instanceType"] == "Standard_DS3_v2"

    def test_list_prints_json_in_a_pipe_and_a_table_on_request(self, modelyard, deployed):
        listed = modelyard("online-deployment", "list", "-e", "my-endpoint")
        assert [entry["name"] for entry in json.loads(listed.out)] == ["blue"]
        table = modelyard("online-deployment", "list", "-e", "my-endpoint", "-o", "table").out.splitlines()
        assert table[0].split() == ["Name", "Endpoint", "State", "Model", "Instances"]
        assert table[2].split() == ["blue", "my-endpoint", "Succeeded", "azureml:m:2", "1"]

    def test_get_logs_and_show_script_print_the_text(self, modelyard, platform, deployed):
        platform.answers["POST", "/getLogs"] = (200, {"content": "one\ntwo\n"})
        platform.answers["GET", "/scoringScript"] = (200, {"content": "def init():\n    ...\n"})
        name = ("-n", "blue", "-e", "my-endpoint")
        assert (
            modelyard("online-deployment", "get-logs", *name, "-l", "7", "-c", "storage-initializer").out
            == "one\ntwo\n"
        )
        assert platform.bodies[-1] == {"tail": 7, "containerType": "StorageInitializer"}
        assert modelyard("online-deployment", "show-script", *name).out == "def init():\n    ...\n"


class TestModel:
    def test_model_is_created_shown_downloaded_and_archived(self, modelyard, platform, model_folder, tmp_path):
        created = modelyard("model", "create", "-n", "m", "-p", model_folder, "--tags", "team=fraud")
        assert json.loads(created.out)["tags"] == {"team": "fraud"}
        assert json.loads(modelyard("model", "show", "-n", "m", "-v", "1").out)["version"] == "1"
        back = modelyard("model", "download", "-n", "m", "-v", "1", "-p", tmp_path / "back")
        assert Path(back.out.strip()) == tmp_path / "back" / "m" / "model"
        assert (tmp_path / "back" / "m" / "model" / "MLmodel").is_file()
        assert modelyard("model", "archive", "-n", "m", "-v", "1").code == 0
        assert platform.at("/models/m/versions/1")["properties"]["isArchived"] is True

    def test_create_reads_yaml_and_set(self, modelyard, files):
        shown = json.loads(modelyard("model", "create", "-f", files / "model.yaml", "--set", "version=7").out)
        assert (shown["name"], shown["version"], shown["tags"]) == ("m", "7", {"a": "1"})

    def test_list_prints_models_or_versions(self, modelyard, model_folder):
        modelyard("model", "create", "-n", "m", "-p", model_folder)
        assert json.loads(modelyard("model", "list").out)[0]["latest_version"] == "1"
        assert [version["version"] for version in json.loads(modelyard("model", "list", "-n", "m").out)] == ["1"]


class TestEnvironment:
    def test_environment_is_registered_listed_and_shown(self, modelyard, tmp_path):
        (tmp_path / "conda.yaml").write_text("dependencies: [python=3.11]\n")
        (tmp_path / "environment.yaml").write_text("name: env\nconda_file: conda.yaml\n")
        assert modelyard("environment", "create", "-f", tmp_path / "environment.yaml").code == 0
        assert json.loads(modelyard("environment", "list").out)[0]["name"] == "env"
        assert json.loads(modelyard("environment", "show", "-n", "env", "-v", "1").out)["conda_file"].startswith("dep")

    def test_new_description_of_unchanged_packages_changes_the_version_in_place(self, modelyard, platform, tmp_path):
        (tmp_path / "conda.yaml").write_text("dependencies: [python=3.11]\n")
        for description in ("first", "second"):
            document = {"name": "env", "conda_file": "conda.yaml", "description": description}
            (tmp_path / "environment.yaml").write_text(yaml.safe_dump(document))
            shown = json.loads(modelyard("environment", "create", "-f", tmp_path / "environment.yaml").out)
            assert (shown["version"], shown["description"]) == ("1", description)

    def test_image_is_named_as_without_effect(self, modelyard, tmp_path):
        (tmp_path / "environment.yaml").write_text("name: env\nimage: ubuntu\nconda_file: {dependencies: [pip]}\n")
        done = modelyard("environment", "create", "-f", tmp_path / "environment.yaml")
        assert f"note: {tmp_path / 'environment.yaml'}: image has no effect: packages come from conda_file" in done.err

    def test_built_environments_are_listed_with_their_deployments(self, modelyard, platform):
        built = {
            "lockHash": "abc",
            "folder": "abc-1",
            "pythonVersion": "3.11.7",
            "sizeBytes": 5 << 20,
            "usedBy": [{"endpoint": "e", "deployment": "blue"}, {"endpoint": "f", "deployment": "green"}],
        }
        platform.answers["GET", "/builtEnvironments"] = (200, {"value": [built]})
        table = modelyard("environment", "list", "--built", "-o", "table").out.splitlines()
        assert table[2].split(maxsplit=4) == ["abc-1", "3.11.7", "5", "MB", "e/blue, f/green"]

    def test_prune_without_unused_environments_prints_a_note(self, modelyard, platform):
        platform.answers["POST", "/pruneEnvironments"] = (202, None)
        assert "every built environment is in use" in modelyard("environment", "prune").err


class TestDeploy:
    def test_deploy_prints_url_key_and_a_curl_line(self, modelyard, platform, model_folder):
        sample = {"input_data": {"columns": ["x", "n"], "data": [[1.0, 1]]}}
        platform.answers["GET", "/iris/swagger.json"] = (200, {"definitions": {"ServiceInput": {"example": sample}}})
        done = modelyard("deploy", model_folder, "-e", "iris")
        key = platform.control.post("/onlineEndpoints/iris/listKeys")["primaryKey"]
        assert done.out.splitlines() == [
            f"url  {platform.url}/iris/score",
            f"key  {key}",
            "",
            f"curl {platform.url}/iris/score -H 'Authorization: Bearer {key}' -H 'Content-Type: application/json' "
            """-d '{"input_data": {"columns": ["x", "n"], "data": [[1.0, 1]]}}'""",
        ]

    def test_deploy_prints_json_on_request(self, modelyard, platform, model_folder):
        shown = json.loads(modelyard("deploy", model_folder, "-e", "iris", "-o", "json").out)
        assert shown["key"] == platform.control.post("/onlineEndpoints/iris/listKeys")["primaryKey"]


class TestStatus:
    def test_status_shows_endpoints_deployments_and_workers(self, modelyard, platform, deployed):
        worker = {
            "workerId": "g1",
            "generation": 1,
            "slot": 0,
            "state": "Ready",
            "pid": 4711,
            "restarts": 2,
            "lastExitReason": "killed by SIGKILL",
            "startedAt": "2026-01-01T00:00:00Z",
        }
        platform.answers["GET", "/workers"] = (200, {"value": [worker]})
        shown = modelyard("status", "-o", "table").out
        assert "my-endpoint  Succeeded  blue=100" in shown
        assert "azureml:m:2  1 of 1" in shown
        assert "my-endpoint/blue#0  Ready" in shown
        assert "killed by SIGKILL" in shown
        whole = json.loads(modelyard("status", "-o", "json").out)
        assert whole["endpoints"][0]["deployments"][0]["workers"][0]["restarts"] == 2

    def test_status_of_an_empty_platform_names_modelyard_deploy(self, modelyard):
        done = modelyard("status")
        assert (done.code, done.out) == (0, "")
        assert "modelyard deploy ./model" in done.err
