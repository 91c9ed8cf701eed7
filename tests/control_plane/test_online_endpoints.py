"""Online endpoints: what is asked for, when it has taken effect, and who may call them."""

import hashlib
import time

import pytest
from sqlalchemy import select

from modelyard.core.db.rows import OnlineEndpointRow, RoutingRow
from modelyard.core.domain.tokens import token_expiry
from tests.control_plane.control import SUBSCRIPTION, WORKSPACE, anybody, at_once, error_of

CREATE = {
    "location": "local",
    "properties": {
        "description": "desc",
        "authMode": "Key",
        "properties": {"p": "q"},
        "traffic": {},
        "mirrorTraffic": {},
    },
    "identity": {"type": "SystemAssigned"},
    "tags": {"t": "1"},
}


class TestCreating:
    def test_it_is_an_operation_that_ends_when_the_gateways_know(self, control):
        answer = control.ask("PUT", "/onlineEndpoints/ep-one", CREATE)
        assert answer.status_code == 201
        assert answer.headers["Retry-After"] == "1"
        assert answer.headers["Azure-AsyncOperation"].startswith(f"{control.url}/subscriptions/")
        body = answer.json()
        assert body["properties"]["provisioningState"] == "Creating"
        assert body["properties"]["properties"]["AzureAsyncOperationUri"] == answer.headers["Azure-AsyncOperation"]
        assert control.operation(answer)["status"] == "InProgress"
        control.gateways_apply()
        assert control.operation(answer)["status"] == "Succeeded"
        assert control.get("/onlineEndpoints/ep-one")["properties"]["provisioningState"] == "Succeeded"

    def test_its_body_has_what_azures_sdk_reads(self, control):
        control.put("/onlineEndpoints/ep-one", CREATE)
        found = control.get("/onlineEndpoints/ep-one")
        assert found["id"] == f"{WORKSPACE}/onlineEndpoints/ep-one"
        assert found["type"] == "Microsoft.MachineLearningServices/workspaces/onlineEndpoints"
        assert (found["tags"], found["identity"], found["location"]) == (
            {"t": "1"},
            {"type": "SystemAssigned"},
            "local",
        )
        properties = found["properties"]
        assert properties["scoringUri"].endswith(":8001/ep-one/score")
        assert properties["properties"]["p"] == "q"
        assert (properties["authMode"], properties["publicNetworkAccess"]) == ("Key", "Enabled")
        assert (properties["traffic"], properties["mirrorTraffic"]) == ({}, {})
        assert "compute" not in properties
        assert set(found["systemData"]) >= {"createdAt", "lastModifiedAt"}
        assert control.get("/onlineEndpoints")["value"] == [found]

    @pytest.mark.parametrize(
        ("said", "kept"),
        [("key", "Key"), ("KEY", "Key"), ("amltoken", "AMLToken"), ("aml_token", "AMLToken"), ("aadToken", "AADToken")],
    )
    def test_keys_and_enums_are_read_in_any_case_and_names_kept(self, control, said, kept):
        body = {"Tags": {"CamelCase": 1}, "PROPERTIES": {"AuthMode": said, "Properties": {"My Key": "v"}}}
        found = control.put("/onlineEndpoints/ep-one", body)
        assert found["properties"]["authMode"] == kept
        assert found["tags"] == {"CamelCase": "1"}
        assert found["properties"]["properties"]["My Key"] == "v"

    def test_unknown_and_read_only_fields_and_nulls_are_ignored(self, control):
        body = {
            "tags": None,
            "systemData": {},
            "id": "x",
            "properties": {
                "authMode": "key",
                "provisioningState": "Failed",
                "new": 1,
                "traffic": None,
                "compute": None,
            },
        }
        assert control.put("/onlineEndpoints/ep-one", body)["properties"]["provisioningState"] == "Creating"

    def test_its_name_is_kept_in_lower_case(self, control):
        assert control.put("/onlineEndpoints/My-Endpoint", CREATE)["name"] == "my-endpoint"
        assert control.get("/onlineEndpoints/MY-ENDPOINT")["name"] == "my-endpoint"

    @pytest.mark.parametrize("name", ["ab", "1abc", "a_b", "abc-", "a" * 33, "a.b", "äöü"])
    def test_a_name_that_azure_would_refuse(self, control, name):
        assert error_of(control.ask("PUT", f"/onlineEndpoints/{name}", CREATE), 400)["code"] == "InvalidName"

    def test_a_name_is_unique_on_the_whole_platform(self, control):
        control.endpoint("ep-one")
        other = (
            f"//subscriptions/{SUBSCRIPTION}/resourceGroups/r/providers/Microsoft.MachineLearningServices/workspaces/w"
        )
        control.put(other, {})
        assert error_of(control.ask("PUT", f"{other}/onlineEndpoints/EP-one", CREATE), 409)["code"] == "NameTaken"
        error_of(control.ask("GET", f"{other}/onlineEndpoints/ep-one"), 404)
        assert control.ask("DELETE", f"{other}/onlineEndpoints/ep-one").status_code == 204
        assert control.get("/onlineEndpoints/ep-one")

    def test_of_raced_puts_exactly_one_wins(self, control):
        answers = at_once(8, lambda: control.ask("PUT", "/onlineEndpoints/ep-one", CREATE).status_code)
        assert sorted(answers) == [201] + [409] * 7
        control.gateways_apply()
        answers = at_once(8, lambda: control.ask("PUT", "/onlineEndpoints/ep-one", CREATE).status_code)
        assert sorted(answers) == [200] + [409] * 7

    def test_a_second_put_has_to_wait_for_the_first(self, control):
        control.put("/onlineEndpoints/ep-one", CREATE)
        for method, path, body in (
            ("PUT", "", CREATE),
            ("PATCH", "", {"tags": {}}),
            ("POST", "/regenerateKeys", {"keyType": "primary"}),
        ):
            error = error_of(control.ask(method, f"/onlineEndpoints/ep-one{path}", body), 409)
            assert error["code"] == "OperationInProgress"
            assert "Creating" in error["message"]


class TestTraffic:
    def test_it_is_divided_among_deployments_that_exist(self, control):
        endpoint, model = control.endpoint(), control.register()
        for name in ("blue", "Green", "shadow"):
            control.deployment(endpoint, model, name)
        body = {
            "properties": {"authMode": "key", "traffic": {"BLUE": "90", "green": 10}, "mirrorTraffic": {"shadow": 20}}
        }
        properties = control.put(endpoint, body, 200)["properties"]
        assert (properties["traffic"], properties["mirrorTraffic"]) == ({"blue": 90, "green": 10}, {"shadow": 20})
        assert properties["provisioningState"] == "Updating"
        control.gateways_apply()
        control.put(endpoint, CREATE, 200)
        control.gateways_apply()
        assert control.get(endpoint)["properties"]["traffic"] == {}

    def test_a_new_deployment_receives_none(self, control):
        endpoint = control.endpoint()
        control.deployment(endpoint, control.register())
        assert control.get(endpoint)["properties"]["traffic"] == {}

    @pytest.mark.parametrize(
        "split",
        [
            {"traffic": {"blue": 50}},
            {"traffic": {"blue": 101}},
            {"traffic": {"blue": 150, "green": -50}},
            {"traffic": {"red": 100}},
            {"traffic": {"blue": 100}, "mirrorTraffic": {"blue": 10}},
            {"mirrorTraffic": {"blue": 51}},
            {"mirrorTraffic": {"blue": 10, "green": 10}},
        ],
    )
    def test_a_split_that_cannot_be_is_refused_and_changes_nothing(self, control, split):
        endpoint, model = control.endpoint(), control.register()
        for name in ("blue", "green"):
            control.deployment(endpoint, model, name)
        before = control.get(endpoint)
        error = error_of(control.ask("PUT", endpoint, {"properties": {"authMode": "key", **split}}), 400)
        assert error["code"] == "InvalidTraffic"
        assert control.get(endpoint) == before

    def test_it_cannot_be_given_to_what_is_not_there_yet_or_no_longer(self, control):
        body = {"properties": {"authMode": "key", "traffic": {"blue": 100}}}
        assert error_of(control.ask("PUT", "/onlineEndpoints/ep-one", body), 400)["code"] == "InvalidTraffic"
        assert control.get("/onlineEndpoints")["value"] == []
        endpoint = control.endpoint()
        path = control.deployment(endpoint, control.register())
        assert control.ask("DELETE", path).status_code == 202
        error_of(control.ask("PUT", endpoint, body), 400)


class TestChanging:
    def test_what_reading_adds_is_dropped_when_it_comes_back(self, control):
        endpoint = control.endpoint(properties={"p": "q"})
        read = control.get(endpoint)
        read["properties"]["properties"].update(createdBy="u", createdAt="x", lastModifiedAt="y", p="r")
        control.put(endpoint, read, 200)
        with control.sessions() as session:
            assert session.scalars(select(OnlineEndpointRow.properties)).one() == {"p": "r"}

    def test_a_patch_changes_tags_and_identity_and_nothing_else(self, control):
        endpoint = control.endpoint(description="d")
        answer = control.ask("PATCH", endpoint, {"Tags": {"a": "b"}})
        assert answer.status_code == 202
        assert control.operation(answer)["status"] == "InProgress"
        control.gateways_apply()
        found = control.get(endpoint)
        assert (found["tags"], found["properties"]["description"]) == ({"a": "b"}, "d")
        error_of(control.ask("PATCH", "/onlineEndpoints/none", {"tags": {}}), 404)

    def test_each_change_asks_for_a_newer_snapshot(self, control):
        def revision() -> int:
            with control.sessions() as session:
                return session.scalars(select(RoutingRow.desired)).one()

        seen = [revision()]
        endpoint = control.endpoint()
        seen.append(revision())
        control.put(endpoint, CREATE, 200)
        seen.append(revision())
        control.gateways_apply()
        control.ask("DELETE", endpoint)
        seen.append(revision())
        assert seen == sorted(set(seen))


class TestKeys:
    def test_they_are_shown_again_but_lie_encrypted(self, control):
        endpoint = control.endpoint()
        keys = control.post(f"{endpoint}/listKeys")
        assert keys["primaryKey"] != keys["secondaryKey"]
        with control.sessions() as session:
            row = session.scalars(select(OnlineEndpointRow)).one()
            stored = " ".join(str(value) for value in vars(row).values())
        assert keys["primaryKey"] not in stored
        assert keys["secondaryKey"] not in stored
        assert row.primary_key_digest == hashlib.sha256(keys["primaryKey"].encode()).hexdigest()

    def test_they_are_in_no_other_answer(self, control):
        preset = {"primaryKey": "a-preset-primary-key", "secondaryKey": "a-preset-secondary-key"}
        endpoint = control.endpoint(keys=preset)
        assert control.post(f"{endpoint}/listKeys") == preset
        answers = [control.ask("GET", path) for path in (endpoint, "/onlineEndpoints")]
        answers.append(control.ask("POST", f"{endpoint}/regenerateKeys", {"keyType": "Primary", "keyValue": "short"}))
        answers.append(
            control.ask(
                "PUT", "/onlineEndpoints/ep-two", {"properties": {"authMode": "key", "keys": {"primaryKey": "ü" * 20}}}
            )
        )
        assert [answer.status_code for answer in answers] == [200, 200, 400, 400]
        for answer in answers:
            assert "a-preset" not in answer.text
            assert "short" not in answer.text.replace("shortest", "")
            assert "üü" not in answer.text

    def test_one_is_regenerated_and_the_other_kept(self, control):
        endpoint = control.endpoint()
        before = control.post(f"{endpoint}/listKeys")
        # Azure's SDK sends the current key along.
        body = {"KeyType": "secondary", "keyValue": before["secondaryKey"]}
        answer = control.ask("POST", f"{endpoint}/regenerateKeys", body)
        assert answer.status_code == 202
        assert control.get(endpoint)["properties"]["provisioningState"] == "Updating"
        assert control.operation(answer)["status"] == "InProgress"
        assert control.http.get(answer.headers["Location"]).status_code == 202
        control.gateways_apply()
        assert control.operation(answer)["status"] == "Succeeded"
        assert control.http.get(answer.headers["Location"]).status_code == 204
        after = control.post(f"{endpoint}/listKeys")
        assert after["primaryKey"] == before["primaryKey"]
        assert after["secondaryKey"] != before["secondaryKey"]

    def test_one_may_be_chosen(self, control):
        endpoint = control.endpoint()
        control.post(f"{endpoint}/regenerateKeys", {"keyType": "Primary", "keyValue": "chosen-by-the-user"}, 202)
        assert control.post(f"{endpoint}/listKeys")["primaryKey"] == "chosen-by-the-user"

    def test_an_endpoint_that_takes_tokens_has_none_and_the_other_way_round(self, control):
        keyed, tokened = control.endpoint("keyed"), control.endpoint("tokened", authMode="aml_token")
        assert "token" in error_of(control.ask("POST", f"{tokened}/listKeys"), 400)["message"]
        error_of(control.ask("POST", f"{tokened}/regenerateKeys", {"keyType": "Primary"}), 400)
        assert "listKeys" in error_of(control.ask("POST", f"{keyed}/token"), 400)["message"]


def test_a_scoring_token_is_good_for_its_endpoint_for_a_while(control):
    endpoint = control.endpoint(authMode="AMLToken")
    token = control.post(f"{endpoint}/token")
    assert token["tokenType"] == "Bearer"
    assert time.time() < token["refreshAfterTimeUtc"] < token["expiryTimeUtc"]
    with control.sessions() as session:
        row = session.scalars(select(OnlineEndpointRow)).one()
    assert token_expiry(row.token_public_key, "ep-one", token["accessToken"]) == token["expiryTimeUtc"]
    assert token_expiry(row.token_public_key, "ep-two", token["accessToken"]) is None


class TestDeleting:
    def test_it_takes_its_deployments_along_and_ends_when_they_are_gone(self, control):
        endpoint = control.endpoint()
        path = control.deployment(endpoint, control.register())
        control.put(endpoint, {"properties": {"authMode": "key", "traffic": {"blue": 100}}}, 200)
        control.gateways_apply()
        answer = control.ask("DELETE", endpoint)
        assert answer.status_code == 202
        assert control.get(path)["properties"]["provisioningState"] == "Deleting"
        assert control.operation(answer)["status"] == "InProgress"
        assert control.ask("DELETE", endpoint).headers["Location"] == answer.headers["Location"]
        control.workers_go()
        assert control.operation(answer)["status"] == "Succeeded"
        assert control.ask("GET", endpoint).status_code == 404
        assert control.ask("DELETE", endpoint).status_code == 204
        control.put(endpoint, CREATE)

    def test_what_is_being_deleted_takes_no_change(self, control):
        endpoint, model = control.endpoint(), control.register()
        control.ask("DELETE", endpoint)
        for method, path, body in (
            ("PUT", endpoint, CREATE),
            ("PATCH", endpoint, {"tags": {}}),
            ("PUT", f"{endpoint}/deployments/blue", {"properties": {"model": model}}),
        ):
            assert error_of(control.ask(method, path, body), 409)["code"] == "EndpointBeingDeleted"

    def test_an_operation_that_it_overtakes_is_canceled(self, control):
        endpoint, model = control.endpoint(), control.register()
        building = control.ask("PUT", f"{endpoint}/deployments/blue", {"properties": {"model": model}})
        control.ask("DELETE", endpoint)
        operation = control.operation(building)
        assert (operation["status"], operation["error"]["code"]) == ("Canceled", "OperationCanceled")
        control.workers_go()
        assert control.operation(building)["status"] == "Canceled"
        assert control.ask("GET", endpoint).status_code == 404

    def test_what_was_never_there_is_gone_already(self, control):
        assert control.ask("DELETE", "/onlineEndpoints/none").status_code == 204
        error_of(control.ask("GET", "/onlineEndpoints/none"), 404)


def test_an_operation_needs_the_token_and_is_found_in_its_own_subscription_only(control):
    answer = control.ask("PUT", "/onlineEndpoints/ep-one", CREATE)
    url = answer.headers["Azure-AsyncOperation"]
    assert anybody.get(url).status_code == 401
    error_of(control.http.get(url.replace(SUBSCRIPTION, "1" + SUBSCRIPTION[1:])), 404)
    error_of(control.http.get(url.rpartition("/")[0] + "/oe:no-uuid"), 400)
