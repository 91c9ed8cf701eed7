"""Online deployments: creation, updates, scaling, deletion, logs, workers and scoring scripts."""

from datetime import UTC, datetime
from uuid import uuid4

import pytest
from sqlalchemy import select

from modelyard.core.db.lifecycle import scaled, scaling_failed
from modelyard.core.db.rows import GenerationRow, OnlineDeploymentRow, WorkerRow
from modelyard.core.domain.caller import SYSTEM_HOST
from modelyard.core.domain.deployment import DeploymentSpec
from modelyard.core.logs import ship
from tests.control_plane.control import WORKSPACE, Control, concurrently, error_of


@pytest.fixture
def endpoint(control) -> str:
    return control.endpoint()


@pytest.fixture
def model(control) -> str:
    return control.register()


@pytest.fixture
def blue(control, endpoint, model) -> str:
    return control.deployment(endpoint, model)


def state(control: Control, path: str) -> str:
    return control.get(path)["properties"]["provisioningState"]


def stored(control: Control) -> OnlineDeploymentRow:
    with control.sessions() as session:
        return session.scalars(select(OnlineDeploymentRow)).one()


def specs(control: Control) -> list[DeploymentSpec]:
    with control.sessions() as session:
        return [
            DeploymentSpec.from_dict(row)
            for row in session.scalars(select(GenerationRow.spec).order_by(GenerationRow.number))
        ]


class TestCreation:
    def test_creation_is_an_operation_with_steps_that_ends_when_the_deployment_serves(self, control, endpoint, model):
        answer = control.ask("PUT", f"{endpoint}/deployments/blue", {"properties": {"model": model}})
        assert answer.status_code == 201
        assert answer.json()["properties"]["provisioningState"] == "Creating"
        assert answer.headers["Retry-After"] == "1"
        assert control.operation(answer)["properties"]["step"] == "queued"
        assert len(control.outbox.builds) == 1
        control.build()
        operation = control.operation(answer)
        assert operation["properties"]["step"] == "starting workers"
        assert 0 < operation["percentComplete"] < 100
        control.build_and_start()
        assert control.operation(answer)["status"] == "Succeeded"
        assert control.operation(answer)["percentComplete"] == 100
        assert state(control, f"{endpoint}/deployments/blue") == "Succeeded"

    def test_body_of_azures_sdk_is_returned_unchanged(self, control, endpoint, model):
        body = {
            "location": "local",
            "properties": {
                "model": model,
                "properties": {},
                "environmentVariables": {"MyVar": "1", "N": 2},
                "appInsightsEnabled": False,
                "instanceType": "Standard_DS3_v2",
                "endpointComputeType": "Managed",
                "requestSettings": {
                    "maxQueueWait": "PT0.5S",
                    "maxConcurrentRequestsPerInstance": "4",
                    "requestTimeout": "PT9S",
                },
                "livenessProbe": {
                    "failureThreshold": 3,
                    "successThreshold": 1,
                    "timeout": "PT2S",
                    "period": "PT10S",
                    "initialDelay": "PT1M30S",
                },
            },
            "tags": {},
            "sku": {"name": "Default", "capacity": "2"},
        }
        found = control.put(f"{endpoint}/deployments/Blue", body)
        assert found["id"] == f"{WORKSPACE}/onlineEndpoints/ep-one/deployments/blue"
        assert found["sku"] == {"name": "Default", "capacity": 2}
        properties = found["properties"]
        assert properties["scaleSettings"] == {"scaleType": "Default"}
        assert (properties["endpointComputeType"], properties["instanceType"]) == ("Managed", "Standard_DS3_v2")
        assert properties["environmentVariables"] == {"MyVar": "1", "N": "2"}
        assert properties["requestSettings"] == {
            "maxQueueWait": "PT0.5S",
            "maxConcurrentRequestsPerInstance": 4,
            "requestTimeout": "PT9S",
            "batching": "auto",
            "maxBatchDelay": "PT0S",
        }
        assert properties["livenessProbe"]["initialDelay"] == "PT1M30S"
        assert properties["readinessProbe"]["period"] == "PT10S"
        assert properties["properties"]["AzureAsyncOperationUri"]
        (spec,) = specs(control)
        assert spec.request_settings.max_queue_wait_seconds == 0.5
        assert spec.liveness_probe.initial_delay_seconds == 90
        assert control.get(f"{endpoint}/deployments")["value"] == [control.get(f"{endpoint}/deployments/blue")]

    def test_pascal_case_keys_are_accepted(self, control, endpoint, model):
        body = {
            "Sku": {"Capacity": 3},
            "Properties": {
                "Model": model.upper().replace("/M/", "/m/"),
                "RequestSettings": {"RequestTimeout": "PT7S"},
                "EnvironmentVariables": {"lower": "x"},
            },
        }
        found = control.put(f"{endpoint}/deployments/blue", body)
        assert found["sku"]["capacity"] == 3
        assert found["properties"]["model"] == model
        assert found["properties"]["requestSettings"]["requestTimeout"] == "PT7S"
        assert found["properties"]["environmentVariables"] == {"lower": "x"}

    @pytest.mark.parametrize("reference", ["azureml:m:1", "azureml:m@latest", "m:1", "azureml:{id}"])
    def test_short_forms_of_a_model_reference_are_accepted(self, control, endpoint, model, reference):
        body = {"properties": {"model": reference.format(id=model)}}
        assert control.put(f"{endpoint}/deployments/blue", body)["properties"]["model"] == model

    def test_batching_settings_are_stored_and_returned(self, control, endpoint, model):
        expected = {"batching": "ON", "maxBatchDelay": "PT0.005S", "maxBatchRows": 64}
        found = control.put(
            f"{endpoint}/deployments/blue", {"properties": {"model": model, "requestSettings": expected}}
        )
        settings = found["properties"]["requestSettings"]
        assert {name: settings[name] for name in expected} == {**expected, "batching": "on"}
        (spec,) = specs(control)
        asked = spec.request_settings
        assert (asked.batching, asked.max_batch_delay_seconds, asked.max_batch_rows) == ("on", 0.005, 64)

    def test_worker_count_variable_sets_workers_per_instance(self, control, endpoint, model):
        body = {"properties": {"model": model, "environmentVariables": {"WORKER_COUNT": "3"}}}
        control.put(f"{endpoint}/deployments/blue", body)
        (spec,) = specs(control)
        assert spec.workers_per_instance == 3

    def test_named_environment_is_resolved(self, control, endpoint, model):
        conda = {"properties": {"condaFile": "dependencies: [python=3.11]"}}
        environment = control.put("/environments/e/versions/1", conda)["id"]
        body = {"properties": {"model": model, "environmentId": environment}}
        assert control.put(f"{endpoint}/deployments/blue", body)["properties"]["environmentId"] == environment


class TestRejectedDeployment:
    @pytest.mark.parametrize(
        ("properties", "expected"),
        [
            ({"codeConfiguration": {"codeId": "c", "scoringScript": "score.py"}}, "codeConfiguration is not supported"),
            ({"endpointComputeType": "kubernetes"}, "Kubernetes"),
            ({"modelMountPath": "/var"}, "modelMountPath"),
            ({"scaleSettings": {"scaleType": "TargetUtilization"}}, "sku.capacity"),
            ({"model": None}, "no model"),
            ({"model": "azureml:none:1"}, "not registered"),
            ({"model": "azureml://registries/r/models/m/versions/1"}, "not a reference"),
            (
                {"model": "/subscriptions/x/resourceGroups/local/providers/p/workspaces/default/models/m/versions/1"},
                "another workspace",
            ),
            ({"environmentId": "azureml:none:1"}, "not registered"),
            ({"requestSettings": {"requestTimeout": "PT181S"}}, "180 s"),
            ({"requestSettings": {"requestTimeout": "soon"}}, "requestTimeout"),
            ({"requestSettings": {"requestTimeout": "-PT1S"}}, "is -1 s: use more than 0 s"),
            ({"livenessProbe": {"timeout": "PT300S"}}, "less than 300 s"),
            ({"readinessProbe": {"failureThreshold": 0}}, "1 or more"),
            ({"requestSettings": {"batching": "always"}}, "auto, on or off"),
            ({"requestSettings": {"maxBatchDelay": "PT5S"}}, "less than requestTimeout (5 s)"),
            ({"requestSettings": {"maxBatchDelay": "-PT1S"}}, "maxBatchDelay is -1 s: use 0 s or more"),
            ({"requestSettings": {"maxBatchRows": 0}}, "maxBatchRows"),
            *(
                ({"environmentVariables": {"WORKER_COUNT": bad}}, "1 to 32")
                for bad in ("0", "x", "", "1000", "-1", "1.5")
            ),
        ],
    )
    def test_unsupported_or_invalid_property_is_400_with_an_explanation(
        self, control, endpoint, model, properties, expected
    ):
        body = {"properties": {"model": model, **properties}}
        assert expected in error_of(control.ask("PUT", f"{endpoint}/deployments/blue", body), 400)["message"]
        assert control.get(f"{endpoint}/deployments")["value"] == []
        assert control.outbox.builds == []

    @pytest.mark.parametrize("capacity", [0, 51, -1])
    def test_invalid_instance_count_is_400(self, control, endpoint, model, capacity):
        body = {"properties": {"model": model}, "sku": {"capacity": capacity}}
        assert "1 to 50" in error_of(control.ask("PUT", f"{endpoint}/deployments/blue", body), 400)["message"]

    def test_model_that_is_not_mlflow_is_400(self, control, endpoint):
        uri = control.upload({"weights": b"x"})
        model = control.put("/models/c/versions/1", {"properties": {"modelType": "custom_model", "modelUri": uri}})[
            "id"
        ]
        error = error_of(control.ask("PUT", f"{endpoint}/deployments/blue", {"properties": {"model": model}}), 400)
        assert "custom_model" in error["message"]

    def test_name_that_azure_rejects_is_400(self, control, endpoint, model):
        answer = control.ask("PUT", f"{endpoint}/deployments/b", {"properties": {"model": model}})
        assert error_of(answer, 400)["code"] == "InvalidName"

    def test_unknown_endpoint_is_404(self, control, model):
        answer = control.ask("PUT", "/onlineEndpoints/none/deployments/blue", {"properties": {"model": model}})
        assert error_of(answer, 404)["code"] == "ResourceNotFound"

    def test_exactly_one_of_concurrent_puts_wins(self, control, endpoint, model):
        path, body = f"{endpoint}/deployments/blue", {"properties": {"model": model}}
        assert sorted(concurrently(8, lambda: control.ask("PUT", path, body).status_code)) == [201] + [409] * 7
        control.build_and_start()
        changed = {"properties": {"model": model, "environmentVariables": {"a": "b"}}}
        assert sorted(concurrently(8, lambda: control.ask("PUT", path, changed).status_code)) == [200] + [409] * 7
        assert len(specs(control)) == 2

    def test_change_during_an_operation_is_409(self, control, endpoint, model):
        path = f"{endpoint}/deployments/blue"
        control.put(path, {"properties": {"model": model}})
        for method, body in (
            ("PUT", {"properties": {"model": model}}),
            ("PATCH", {"sku": {"capacity": 2}}),
            ("PATCH", {"tags": {}}),
        ):
            assert error_of(control.ask(method, path, body), 409)["code"] == "OperationInProgress"


class TestUpdate:
    def test_put_of_the_running_spec_builds_nothing_and_names_a_finished_operation(self, control, blue):
        read = control.get(blue)
        answer = control.ask("PUT", blue, read)
        assert answer.status_code == 200
        assert answer.json()["properties"]["provisioningState"] == "Succeeded"
        assert control.operation(answer)["status"] == "Succeeded"
        operation = answer.json()["properties"]["properties"]["AzureAsyncOperationUri"]
        assert operation == answer.headers["Azure-AsyncOperation"]
        assert len(control.outbox.builds) == len(specs(control)) == 1

    def test_new_model_is_a_new_generation_beside_the_serving_generation(self, control, blue):
        second = control.register(version="2")
        answer = control.ask("PUT", blue, {"properties": {"model": second}})
        assert answer.json()["properties"]["provisioningState"] == "Updating"
        row = stored(control)
        assert (row.wanted_generation, row.serving_generation) == (2, 1)
        control.build_and_start()
        assert control.operation(answer)["status"] == "Succeeded"
        assert stored(control).serving_generation == 2
        assert control.get(blue)["properties"]["model"] == second

    def test_new_instance_count_scales_without_a_new_generation(self, control, blue):
        body = {**control.get(blue), "sku": {"name": "Default", "capacity": 3}}
        answer = control.ask("PUT", blue, body)
        assert answer.json()["properties"]["provisioningState"] == "Scaling"
        assert control.operation(answer)["properties"]["step"] == "scaling"
        with control.sessions.begin() as session:
            scaled(session, SYSTEM_HOST, stored(control).id, instance_count=3)
        control.gateways_apply()
        assert control.operation(answer)["status"] == "Succeeded"
        assert (len(specs(control)), control.get(blue)["sku"]["capacity"]) == (1, 3)

    def test_patch_scales(self, control, blue):
        answer = control.ask("PATCH", blue, {"sku": {"name": "Default", "capacity": 2}})
        assert answer.status_code == 202
        assert state(control, blue) == "Scaling"
        assert len(specs(control)) == 1

    def test_failed_scaling_can_be_repeated(self, control, blue):
        control.ask("PATCH", blue, {"sku": {"capacity": 2}})
        with control.sessions.begin() as session:
            key, code = stored(control).id, "ResourceNotReady"
            scaling_failed(session, SYSTEM_HOST, key, instance_count=2, code=code, message="no memory")
        assert control.get(blue)["properties"]["provisioningError"] == {
            "code": "ResourceNotReady",
            "message": "no memory",
        }
        assert control.ask("PATCH", blue, {"sku": {"capacity": 2}}).status_code == 202
        assert state(control, blue) == "Scaling"
        assert "provisioningError" not in control.get(blue)["properties"]

    def test_patch_of_tags_leaves_the_generation_alone(self, control, blue):
        answer = control.ask("PATCH", blue, {"tags": {"a": 1}})
        assert (answer.status_code, answer.json()["tags"]) == (200, {"a": "1"})
        assert state(control, blue) == "Succeeded"

    def test_failed_update_shows_the_reason_and_keeps_the_serving_generation(self, control, blue):
        second = control.register(version="2")
        answer = control.ask("PUT", blue, {"properties": {"model": second}})
        control.fail_builds("no solution for numpy==99")
        operation = control.operation(answer)
        assert (operation["status"], operation["error"]["message"]) == ("Failed", "no solution for numpy==99")
        properties = control.get(blue)["properties"]
        assert properties["provisioningState"] == "Failed"
        assert properties["provisioningError"]["message"] == "no solution for numpy==99"
        assert stored(control).serving_generation == 1
        error_of(
            control.http.get(answer.headers["Azure-AsyncOperation"].replace("OperationsStatus", "OperationResults")),
            409,
        )

    def test_put_after_a_failed_creation_builds_again(self, control, endpoint, model):
        path, body = f"{endpoint}/deployments/blue", {"properties": {"model": model}}
        control.put(path, body)
        control.fail_builds("the index was away")
        assert control.put(path, body, 200)["properties"]["provisioningState"] == "Creating"
        assert len(control.outbox.builds) == 2
        control.build_and_start()
        assert state(control, path) == "Succeeded"

    def test_patch_of_tags_after_a_failure_builds_nothing(self, control, endpoint, model):
        path = f"{endpoint}/deployments/blue"
        control.put(path, {"properties": {"model": model}})
        control.fail_builds("no")
        assert control.ask("PATCH", path, {"tags": {"a": "b"}}).json()["properties"]["provisioningState"] == "Failed"
        assert len(control.outbox.builds) == 1


class TestDeletion:
    def test_deletion_ends_when_the_workers_are_gone(self, control, blue):
        answer = control.ask("DELETE", blue)
        assert answer.status_code == 202
        assert state(control, blue) == "Deleting"
        assert control.operation(answer)["status"] == "InProgress"
        control.end_workers()
        assert control.operation(answer)["status"] == "Succeeded"
        assert control.ask("DELETE", blue).status_code == 204

    @pytest.mark.parametrize("share", ["traffic", "mirrorTraffic"])
    def test_deployment_with_traffic_cannot_be_deleted(self, control, endpoint, blue, share):
        percent = 100 if share == "traffic" else 20
        control.put(endpoint, {"properties": {"authMode": "key", share: {"blue": percent}}}, 200)
        error = error_of(control.ask("DELETE", blue), 409)
        assert error["code"] == "DeploymentStillServing"
        assert f"{percent} %" in error["message"]

    def test_deletion_cancels_the_build_under_way(self, control, endpoint, model):
        path = f"{endpoint}/deployments/blue"
        building = control.ask("PUT", path, {"properties": {"model": model}})
        deleting = control.ask("DELETE", path)
        assert deleting.status_code == 202
        assert control.ask("DELETE", path).headers["Location"] == deleting.headers["Location"]
        assert control.operation(building)["status"] == "Canceled"
        error_of(control.ask("PUT", path, {"properties": {"model": model}}), 409)

    def test_deleting_an_unknown_deployment_is_204(self, control, endpoint):
        assert control.ask("DELETE", f"{endpoint}/deployments/none").status_code == 204
        assert control.ask("DELETE", "/onlineEndpoints/none/deployments/none").status_code == 204
        error_of(control.ask("GET", f"{endpoint}/deployments/none"), 404)
        error_of(control.ask("GET", "/onlineEndpoints/none/deployments"), 404)


class TestReading:
    def test_logs_of_workers_and_of_the_build_are_returned(self, control, blue):
        key = stored(control).id
        ship(control.store, key, "StorageInitializer", "b", [b"resolving\nfailed\n"])
        ship(control.store, key, "InferenceServer", "w", [b"one\ntwo\nthree\n"])
        assert control.post(f"{blue}/getLogs", {"tail": 2}) == {"content": "two\nthree\n"}
        assert control.post(f"{blue}/getLogs") == {"content": "one\ntwo\nthree\n"}
        build = {"containerType": "storageinitializer", "tail": "1"}
        assert control.post(f"{blue}/getLogs", build) == {"content": "failed\n"}
        error_of(control.ask("POST", f"{blue}/getLogs", {"tail": -1}), 400)
        error_of(control.ask("POST", f"{blue}/getLogs", {"containerType": "other"}), 400)

    def test_scoring_script_is_returned_once_built(self, control, endpoint, model):
        path = f"{endpoint}/deployments/blue"
        control.put(path, {"properties": {"model": model}})
        assert "the bundle is not built" in error_of(control.ask("GET", f"{path}/scoringScript"), 404)["message"]
        control.store.put(f"bundles/{'b' * 64}/score.py", [b"def init(): ...\n"])
        control.build_and_start()
        assert control.get(f"{path}/scoringScript") == {"content": "def init(): ...\n"}

    def test_egress_of_a_deployment_is_a_part_of_its_generation(self, control, endpoint, model):
        path = f"{endpoint}/deployments/blue"
        control.put(path, {"properties": {"model": model, "egressPublicNetworkAccess": "Enabled"}})
        assert control.get(path)["properties"]["egressPublicNetworkAccess"] == "Enabled"
        wrong = {"properties": {"model": model, "egressPublicNetworkAccess": "some"}}
        message = error_of(control.ask("PUT", f"{endpoint}/deployments/green", wrong), 400)["message"]
        assert message == "egressPublicNetworkAccess is 'some': send Enabled or Disabled, or leave it out"

    def test_workers_are_listed_as_last_observed(self, control, blue):
        model_worker = uuid4().hex[:12]
        with control.sessions.begin() as session:
            session.add(
                WorkerRow(
                    worker_id=model_worker,
                    deployment_id=stored(control).id,
                    generation=1,
                    slot=0,
                    state="ready",
                    pid=77,
                    restarts=2,
                    last_exit_reason="killed by SIGKILL",
                    protections=["limits", "files"],
                    started_at=datetime(2026, 1, 1, tzinfo=UTC),
                )
            )
        (worker,) = control.get(f"{blue}/workers")["value"]
        assert worker.pop("seenAt")
        assert worker == {
            "workerId": model_worker,
            "generation": 1,
            "slot": 0,
            "state": "ready",
            "protections": ["limits", "files"],
            "pid": 77,
            "restarts": 2,
            "lastExitReason": "killed by SIGKILL",
            "startedAt": "2026-01-01T00:00:00Z",
        }
        assert control.get(blue)["properties"]["protections"] == ["limits", "files"]

    def test_skus_are_listed(self, control, blue):
        (sku,) = control.get(f"{blue}/skus")["value"]
        assert sku["capacity"] == {"default": 1, "minimum": 1, "maximum": 50, "scaleType": "Manual"}
