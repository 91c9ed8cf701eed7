"""Batch endpoints: creation, default deployment, deletion and keys."""

import httpx2
import pytest

from tests.control_plane.control import SUBSCRIPTION, WORKSPACE, anonymous, concurrently, error_of

OTHER = WORKSPACE.replace("/default", "/other")


class TestCreation:
    def test_creation_succeeds_at_once_with_the_fields_that_azures_sdk_reads(self, control):
        body = {"location": "here", "tags": {"a": "b"}, "properties": {"description": "d", "authMode": "aadToken"}}
        found = control.put("/batchEndpoints/Be-One", body)
        assert found["id"] == f"{WORKSPACE}/batchEndpoints/be-one"
        assert found["type"] == "Microsoft.MachineLearningServices/workspaces/batchEndpoints"
        properties = found["properties"]
        assert (properties["authMode"], properties["provisioningState"]) == ("AADToken", "Succeeded")
        assert properties["scoringUri"] == f"{control.url}/batch/be-one/jobs"
        assert properties["defaults"] == {}
        operation = control.http.get(properties["properties"]["AzureAsyncOperationUri"]).json()
        assert operation["status"] == "Succeeded"
        assert control.get("/batchEndpoints/be-one") == found

    def test_second_put_replaces_the_endpoint(self, control):
        control.put("/batchEndpoints/be-one", {"tags": {"a": "b"}, "properties": {"description": "d"}})
        found = control.put("/batchEndpoints/be-one", {"properties": {"authMode": "Key"}}, 200)
        assert (found["tags"], found["properties"]["authMode"]) == ({}, "Key")
        assert "description" not in found["properties"]
        assert [e["name"] for e in control.get("/batchEndpoints")["value"]] == ["be-one"]

    def test_concurrent_puts_create_a_single_endpoint(self, control):
        answers = concurrently(4, lambda: control.ask("PUT", "/batchEndpoints/be-one", {"properties": {}}).status_code)
        assert sorted(answers) == [200, 200, 200, 201]

    def test_name_is_unique_among_batch_endpoints_of_all_workspaces(self, control):
        control.put(f"/{OTHER}", {"location": "local"})
        control.put(f"/{OTHER}/batchEndpoints/be-one", {"properties": {}})
        assert error_of(control.ask("PUT", "/batchEndpoints/be-one", {"properties": {}}), 409)["code"] == "NameTaken"
        error_of(control.ask("GET", "/batchEndpoints/be-one"), 404)
        control.endpoint("be-two")
        control.batch_endpoint("be-two")

    @pytest.mark.parametrize("name", ["be", "1be", "be-", "b" * 33, "b_e"])
    def test_name_that_azure_rejects_is_400(self, control, name):
        error = error_of(control.ask("PUT", f"/batchEndpoints/{name}", {"properties": {}}), 400)
        assert error["code"] == "InvalidName"


class TestDefaultDeployment:
    def test_default_deployment_must_exist(self, control):
        endpoint = control.batch_endpoint()
        for method in ("PUT", "PATCH"):
            error = error_of(control.ask(method, endpoint, {"properties": {"defaults": {"deploymentName": "no"}}}), 400)
            assert "create the deployment first" in error["message"]

    def test_patch_sets_the_default_and_keeps_the_rest(self, control):
        endpoint = control.batch_endpoint(description="d")
        control.batch_deployment(endpoint, control.register())
        properties = control.get(endpoint)["properties"]
        assert (properties["defaults"], properties["description"]) == ({"deploymentName": "bd-one"}, "d")

    def test_default_is_cleared_when_its_deployment_is_deleted(self, control):
        endpoint = control.batch_endpoint()
        control.batch_deployment(endpoint, control.register())
        assert control.ask("DELETE", f"{endpoint}/deployments/bd-one").status_code == 200
        assert control.get(endpoint)["properties"]["defaults"] == {}


class TestDeletion:
    def test_deletion_removes_deployments_and_keeps_jobs(self, control):
        endpoint = control.batch_endpoint()
        control.batch_deployment(endpoint, control.register())
        name = control.submit(endpoint)["name"]
        assert control.ask("DELETE", endpoint).status_code == 200
        assert control.ask("DELETE", endpoint).status_code == 204
        error_of(control.ask("GET", endpoint), 404)
        assert control.get(f"/jobs/{name}")["properties"]["status"] == "Queued"
        assert control.ask("DELETE", "/models/m").status_code == 200

    def test_deletion_cancels_the_build_under_way(self, control):
        endpoint = control.batch_endpoint()
        put = control.ask("PUT", f"{endpoint}/deployments/bd-one", {"properties": {"model": control.register()}})
        control.ask("DELETE", endpoint)
        assert control.operation(put)["status"] == "Canceled"


class TestKeys:
    @pytest.fixture
    def endpoint(self, control):
        endpoint = control.batch_endpoint()
        control.batch_deployment(endpoint, control.register())
        return endpoint

    def test_each_key_opens_the_scoring_uri_only(self, control, endpoint):
        keys = control.post(f"{endpoint}/listkeys")
        uri = control.get(endpoint)["properties"]["scoringUri"]
        for key in (keys["primaryKey"], keys["secondaryKey"]):
            bearer = {"Authorization": f"Bearer {key}"}
            body = {"properties": {"inputData": {"in": control.place()}}}
            job = anonymous.post(uri, json=body, headers=bearer)
            assert job.status_code == 201
            assert anonymous.get(f"{uri}/{job.json()['name']}", headers=bearer).status_code == 200
            assert anonymous.get(control.url + WORKSPACE, headers=bearer).status_code == 401

    def test_key_of_another_endpoint_is_401(self, control, endpoint):
        key = control.post(f"{control.batch_endpoint('be-two')}/listKeys")["primaryKey"]
        assert self._knock(control, key) == 401

    @pytest.mark.parametrize("token", ["x" * 43, SUBSCRIPTION])
    def test_unknown_key_is_401(self, control, endpoint, token):
        assert self._knock(control, token) == 401

    def test_keys_may_be_chosen_at_creation(self, control):
        chosen = {"primaryKey": "a-key-of-my-own-1234", "secondaryKey": "another-key-of-mine-5"}
        endpoint = control.batch_endpoint(keys=chosen)
        assert control.post(f"{endpoint}/listKeys") == chosen
        assert "keys" not in control.get(endpoint)["properties"]

    def _knock(self, control, token: str) -> int:
        headers = httpx2.Headers({"Authorization": f"Bearer {token}"})
        return anonymous.post(f"{control.url}/batch/be-one/jobs", json={}, headers=headers).status_code
