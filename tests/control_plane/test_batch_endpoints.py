"""Batch endpoints: created, changed, deleted; and who may use them."""

import httpx2
import pytest

from tests.control_plane.control import SUBSCRIPTION, WORKSPACE, anybody, at_once, error_of

OTHER = WORKSPACE.replace("/default", "/other")


class TestCreating:
    def test_it_has_succeeded_at_once_and_has_what_azures_sdk_reads(self, control):
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

    def test_a_second_put_replaces_it(self, control):
        control.put("/batchEndpoints/be-one", {"tags": {"a": "b"}, "properties": {"description": "d"}})
        found = control.put("/batchEndpoints/be-one", {"properties": {"authMode": "Key"}}, 200)
        assert (found["tags"], found["properties"]["authMode"]) == ({}, "Key")
        assert "description" not in found["properties"]
        assert [e["name"] for e in control.get("/batchEndpoints")["value"]] == ["be-one"]

    def test_raced_puts_of_one_name_give_one(self, control):
        answers = at_once(4, lambda: control.ask("PUT", "/batchEndpoints/be-one", {"properties": {}}).status_code)
        assert sorted(answers) == [200, 200, 200, 201]

    def test_a_name_of_another_workspace_is_taken_and_an_online_endpoints_is_not(self, control):
        control.put(f"/{OTHER}", {"location": "local"})
        control.put(f"/{OTHER}/batchEndpoints/be-one", {"properties": {}})
        assert error_of(control.ask("PUT", "/batchEndpoints/be-one", {"properties": {}}), 409)["code"] == "NameTaken"
        error_of(control.ask("GET", "/batchEndpoints/be-one"), 404)
        control.endpoint("be-two")
        control.batch_endpoint("be-two")

    @pytest.mark.parametrize("name", ["be", "1be", "be-", "b" * 33, "b_e"])
    def test_a_name_that_azure_would_refuse(self, control, name):
        error = error_of(control.ask("PUT", f"/batchEndpoints/{name}", {"properties": {}}), 400)
        assert error["code"] == "InvalidName"


class TestTheDefaultDeployment:
    def test_it_must_be_there(self, control):
        endpoint = control.batch_endpoint()
        for method in ("PUT", "PATCH"):
            error = error_of(control.ask(method, endpoint, {"properties": {"defaults": {"deploymentName": "no"}}}), 400)
            assert "create the deployment first" in error["message"]

    def test_a_patch_names_it_and_leaves_the_rest(self, control):
        endpoint = control.batch_endpoint(description="d")
        control.batch_deployment(endpoint, control.register())
        properties = control.get(endpoint)["properties"]
        assert (properties["defaults"], properties["description"]) == ({"deploymentName": "bd-one"}, "d")

    def test_it_goes_with_its_deployment(self, control):
        endpoint = control.batch_endpoint()
        control.batch_deployment(endpoint, control.register())
        assert control.ask("DELETE", f"{endpoint}/deployments/bd-one").status_code == 200
        assert control.get(endpoint)["properties"]["defaults"] == {}


class TestDeleting:
    def test_deployments_go_with_it_and_jobs_stay(self, control):
        endpoint = control.batch_endpoint()
        control.batch_deployment(endpoint, control.register())
        name = control.submit(endpoint)["name"]
        assert control.ask("DELETE", endpoint).status_code == 200
        assert control.ask("DELETE", endpoint).status_code == 204
        error_of(control.ask("GET", endpoint), 404)
        assert control.get(f"/jobs/{name}")["properties"]["status"] == "Queued"
        assert control.ask("DELETE", "/models/m").status_code == 200

    def test_what_was_being_built_is_canceled(self, control):
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

    def test_each_opens_the_scoring_uri_and_nothing_else(self, control, endpoint):
        keys = control.post(f"{endpoint}/listkeys")
        uri = control.get(endpoint)["properties"]["scoringUri"]
        for key in (keys["primaryKey"], keys["secondaryKey"]):
            bearer = {"Authorization": f"Bearer {key}"}
            body = {"properties": {"inputData": {"in": control.place()}}}
            job = anybody.post(uri, json=body, headers=bearer)
            assert job.status_code == 201
            assert anybody.get(f"{uri}/{job.json()['name']}", headers=bearer).status_code == 200
            assert anybody.get(control.url + WORKSPACE, headers=bearer).status_code == 401

    def test_those_of_another_endpoint_do_not(self, control, endpoint):
        key = control.post(f"{control.batch_endpoint('be-two')}/listKeys")["primaryKey"]
        assert self._knock(control, key) == 401

    @pytest.mark.parametrize("token", ["x" * 43, SUBSCRIPTION])
    def test_neither_does_any_other_text(self, control, endpoint, token):
        assert self._knock(control, token) == 401

    def test_they_may_be_chosen_when_it_is_created(self, control):
        chosen = {"primaryKey": "a-key-of-my-own-1234", "secondaryKey": "another-key-of-mine-5"}
        endpoint = control.batch_endpoint(keys=chosen)
        assert control.post(f"{endpoint}/listKeys") == chosen
        assert "keys" not in control.get(endpoint)["properties"]

    def _knock(self, control, token: str) -> int:
        headers = httpx2.Headers({"Authorization": f"Bearer {token}"})
        return anybody.post(f"{control.url}/batch/be-one/jobs", json={}, headers=headers).status_code
