"""Batch deployments: creation, updates with and without a build, and rejected requests."""

import pytest
from sqlalchemy import func, select

from modelyard.core.db.rows import BatchDeploymentRow, GenerationRow
from modelyard.core.logs import STORAGE_INITIALIZER, batch_log, ship
from tests.control_plane.control import WORKSPACE, error_of

OF_AZURES_SDK = {
    "compute": f"{WORKSPACE}/computes/azureml:cpu-cluster",
    "resources": {"instanceCount": 2, "properties": {}},
    "outputFileName": "predictions.csv",
    "outputAction": "AppendRow",
    "errorThreshold": -1,
    "retrySettings": {"maxRetries": 3, "timeout": "PT30S"},
    "loggingLevel": "info",
    "miniBatchSize": 10,
    "maxConcurrencyPerInstance": 2,
    "environmentVariables": {"X": "Y"},
    "properties": {},
}


@pytest.fixture
def path(control):
    return f"{control.batch_endpoint()}/deployments/bd-one"


@pytest.fixture
def model(control):
    return control.register()


def generations(control) -> int:
    with control.sessions() as session:
        return session.scalar(select(func.count(GenerationRow.id))) or 0


class TestCreation:
    def test_creation_succeeds_when_the_build_has_ended(self, control, path, model):
        body = {"properties": {**OF_AZURES_SDK, "model": {"assetId": model, "referenceType": "Id"}}}
        answer = control.ask("PUT", path, body)
        assert answer.status_code == 201
        assert control.operation(answer)["status"] == "InProgress"
        assert control.operation(answer)["properties"]["step"] == "queued"
        assert len(control.outbox.builds) == 1
        control.build_batch()
        assert control.operation(answer)["status"] == "Succeeded"
        found = control.get(path)["properties"]
        assert found["provisioningState"] == "Succeeded"
        assert found["compute"] == f"{WORKSPACE}/computes/cpu-cluster"
        assert found["model"] == {"referenceType": "Id", "assetId": model}
        for name in ("outputAction", "retrySettings", "miniBatchSize", "maxConcurrencyPerInstance", "loggingLevel"):
            assert found[name] == OF_AZURES_SDK[name], name
        assert found["resources"] == {"instanceCount": 2}

    def test_missing_settings_have_azures_defaults(self, control, path, model):
        found = control.put(path, {"properties": {"model": model}})["properties"]
        assert found["compute"].endswith("/computes/local")
        assert (found["miniBatchSize"], found["errorThreshold"], found["outputFormat"]) == (10, -1, "azure")
        assert found["outputFileColumn"] == "path"

    def test_enums_and_numbers_are_read_in_every_spelling(self, control, path, model):
        body = {"Model": model, "MiniBatchSize": "5", "ErrorThreshold": "10", "OutputAction": "summary_only"}
        found = control.put(
            path, {"properties": {**body, "outputFormat": "CsvWithHeader", "outputFileColumn": "Name"}}
        )["properties"]
        assert (found["miniBatchSize"], found["errorThreshold"]) == (5, 10)
        assert (found["outputAction"], found["outputFormat"]) == ("SummaryOnly", "csv_with_header")
        assert found["outputFileColumn"] == "name"

    def test_failed_build_shows_the_reason_and_can_be_repeated(self, control, path, model):
        answer = control.ask("PUT", path, {"properties": {"model": model}})
        control.fail_builds("no such package")
        assert control.operation(answer)["error"]["message"] == "no such package"
        found = control.get(path)["properties"]
        assert (found["provisioningState"], found["provisioningError"]["message"]) == ("Failed", "no such package")
        control.put(path, {"properties": {"model": model}}, 200)
        control.build_batch()
        assert control.get(path)["properties"]["provisioningState"] == "Succeeded"

    @pytest.mark.parametrize(
        ("properties", "target"),
        [
            ({}, "properties.model"),
            ({"model": {"referenceType": "DataPath", "assetId": "x"}}, "properties.model.referenceType"),
            ({"model": "azureml:none:1"}, "properties.model"),
            ({"codeConfiguration": {"codeId": "c"}}, "properties.codeConfiguration"),
            ({"deploymentConfiguration": {}}, "properties.deploymentConfiguration"),
            ({"model": "azureml:m:1", "miniBatchSize": 0}, "properties.miniBatchSize"),
            ({"model": "azureml:m:1", "errorThreshold": -2}, "properties.errorThreshold"),
            ({"model": "azureml:m:1", "outputFileName": "../x"}, "properties.outputFileName"),
            ({"model": "azureml:m:1", "resources": {"instanceCount": 51}}, "properties.resources.instanceCount"),
        ],
    )
    def test_unsupported_or_invalid_property_is_400_and_named(self, control, path, model, properties, target):
        assert error_of(control.ask("PUT", path, {"properties": properties}), 400)["target"] == target
        assert control.outbox.builds == []

    def test_unknown_endpoint_is_404(self, control, model):
        error_of(control.ask("PUT", "/batchEndpoints/none/deployments/bd-one", {"properties": {"model": model}}), 404)


class TestUpdate:
    @pytest.fixture
    def built(self, control, path, model):
        control.put(path, {"properties": {"model": model}})
        control.build_batch()
        return path

    def test_new_settings_apply_at_once_without_a_build(self, control, built, model):
        answer = control.ask("PUT", built, {"properties": {"model": model, "miniBatchSize": 3}})
        assert answer.status_code == 200
        assert control.operation(answer)["status"] == "Succeeded"
        found = answer.json()["properties"]
        assert (found["miniBatchSize"], found["provisioningState"]) == (3, "Succeeded")
        assert generations(control) == 1

    def test_patch_changes_the_given_fields_only(self, control, built):
        body = {"tags": {"a": "b"}, "properties": {"description": "d", "retrySettings": {"timeout": "PT5M"}}}
        answer = control.ask("PATCH", built, body)
        assert answer.status_code == 200
        assert (answer.json()["tags"], answer.json()["properties"]["description"]) == ({"a": "b"}, "d")
        assert answer.json()["properties"]["retrySettings"] == {"maxRetries": 3, "timeout": "PT5M"}
        error_of(control.ask("PATCH", built, {"properties": {"miniBatchSize": 0}}), 400)

    @pytest.mark.parametrize("change", ["model", "variables"])
    def test_new_model_or_variables_are_built_while_jobs_run_the_old_build(self, control, built, change):
        old, other = "azureml:m:1", control.register(version="2")
        properties = {"model": other} if change == "model" else {"model": old, "environmentVariables": {"A": "1"}}
        control.put(built, {"properties": properties}, 200)
        assert control.get(built)["properties"]["provisioningState"] == "Updating"
        assert generations(control) == 2
        error_of(control.ask("PUT", built, {"properties": {"model": old}}), 409)
        control.submit(built.rpartition("/deployments")[0], **{"azureml-model-deployment": "bd-one"})
        control.build_batch()
        with control.sessions() as session:
            assert session.scalars(select(BatchDeploymentRow.serving_generation)).one() == 2

    def test_model_and_environment_in_use_cannot_be_deleted(self, control, path, model):
        conda = {"properties": {"condaFile": "dependencies: [python=3.11]"}}
        environment = control.put("/environments/e/versions/1", conda)["id"]
        control.put(path, {"properties": {"model": model, "environmentId": environment}})
        for asset in ("/models/m", "/models/m/versions/1", "/environments/e", "/environments/e/versions/1"):
            assert "'bd-one'" in error_of(control.ask("DELETE", asset), 409)["message"]
        control.build_batch()
        assert control.get("/builtEnvironments")["value"] == []
        assert control.ask("DELETE", path).status_code == 200
        assert control.ask("DELETE", path).status_code == 204
        for asset in ("/models/m", "/environments/e"):
            assert control.ask("DELETE", asset).status_code == 200

    def test_build_log_is_returned(self, control, built):
        with control.sessions() as session:
            key = session.scalars(select(BatchDeploymentRow.id)).one()
        ship(control.store, batch_log(key), STORAGE_INITIALIZER, "builder", [b"one\ntwo\n"])
        asked = {"containerType": "StorageInitializer", "tail": 1}
        assert control.post(f"{built}/getLogs", asked) == {"content": "two\n"}
        error = error_of(control.ask("POST", f"{built}/getLogs", {"containerType": "inferenceServer"}), 400)
        assert "/files" in error["message"]

    def test_deployments_are_listed_by_name(self, control, built, model):
        endpoint = built.rpartition("/")[0]
        control.put(f"{endpoint}/bd-two", {"properties": {"model": model}})
        page = control.get(endpoint, **{"$top": "1"})
        assert [d["name"] for d in page["value"]] == ["bd-one"]
        assert [d["name"] for d in control.http.get(page["nextLink"]).json()["value"]] == ["bd-two"]
