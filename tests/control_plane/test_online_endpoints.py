"""Online endpoints: creation, traffic, updates, credentials and deletion."""

import hashlib
import time

import pytest
from sqlalchemy import select

from modelyard.core.db.rows import OnlineEndpointRow, RoutingRow
from modelyard.core.domain.tokens import token_expiry
from tests.control_plane.control import SUBSCRIPTION, WORKSPACE, anonymous, concurrently, error_of

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


class TestCreation:
    def test_creation_is_an_operation_that_ends_when_the_gateways_have_applied_it(self, control):
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

    def test_body_has_the_fields_that_azures_sdk_reads(self, control):
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
        ("sent", "kept"),
        [("key", "Key"), ("KEY", "Key"), ("amltoken", "AMLToken"), ("aml_token", "AMLToken"), ("aadToken", "AADToken")],
    )
    def test_keys_and_enums_are_read_in_any_case_and_names_keep_their_spelling(self, control, sent, kept):
        body = {"Tags": {"CamelCase": 1}, "PROPERTIES": {"AuthMode": sent, "Properties": {"My Key": "v"}}}
        found = control.put("/onlineEndpoints/ep-one", body)
        assert found["properties"]["authMode"] == kept
        assert found["tags"] == {"CamelCase": "1"}
        assert found["properties"]["properties"]["My Key"] == "v"

    def test_unknown_fields_read_only_fields_and_nulls_are_ignored(self, control):
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

    def test_name_is_stored_in_lower_case(self, control):
        assert control.put("/onlineEndpoints/My-Endpoint", CREATE)["name"] == "my-endpoint"
        assert control.get("/onlineEndpoints/MY-ENDPOINT")["name"] == "my-endpoint"

    @pytest.mark.parametrize("name", ["ab", "1abc", "a_b", "abc-", "a" * 33, "a.b", "äöü"])
    def test_name_that_azure_rejects_is_400(self, control, name):
        assert error_of(control.ask("PUT", f"/onlineEndpoints/{name}", CREATE), 400)["code"] == "InvalidName"

    def test_name_is_unique_on_the_whole_platform(self, control):
        control.endpoint("ep-one")
        other = (
            f"//subscriptions/{SUBSCRIPTION}/resourceGroups/r/providers/Microsoft.MachineLearningServices/workspaces/w"
        )
        control.put(other, {})
        assert error_of(control.ask("PUT", f"{other}/onlineEndpoints/EP-one", CREATE), 409)["code"] == "NameTaken"
        error_of(control.ask("GET", f"{other}/onlineEndpoints/ep-one"), 404)
        assert control.ask("DELETE", f"{other}/onlineEndpoints/ep-one").status_code == 204
        assert control.get("/onlineEndpoints/ep-one")

    def test_exactly_one_of_concurrent_puts_wins(self, control):
        answers = concurrently(8, lambda: control.ask("PUT", "/onlineEndpoints/ep-one", CREATE).status_code)
        assert sorted(answers) == [201] + [409] * 7
        control.gateways_apply()
        answers = concurrently(8, lambda: control.ask("PUT", "/onlineEndpoints/ep-one", CREATE).status_code)
        assert sorted(answers) == [200] + [409] * 7

    def test_put_during_an_operation_is_409(self, control):
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
    def test_traffic_is_split_over_existing_deployments(self, control):
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

    def test_new_deployment_receives_no_traffic(self, control):
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
    def test_invalid_split_is_400_and_changes_nothing(self, control, split):
        endpoint, model = control.endpoint(), control.register()
        for name in ("blue", "green"):
            control.deployment(endpoint, model, name)
        before = control.get(endpoint)
        error = error_of(control.ask("PUT", endpoint, {"properties": {"authMode": "key", **split}}), 400)
        assert error["code"] == "InvalidTraffic"
        assert control.get(endpoint) == before

    def test_traffic_to_a_missing_or_deleted_deployment_is_400(self, control):
        body = {"properties": {"authMode": "key", "traffic": {"blue": 100}}}
        assert error_of(control.ask("PUT", "/onlineEndpoints/ep-one", body), 400)["code"] == "InvalidTraffic"
        assert control.get("/onlineEndpoints")["value"] == []
        endpoint = control.endpoint()
        path = control.deployment(endpoint, control.register())
        assert control.ask("DELETE", path).status_code == 202
        error_of(control.ask("PUT", endpoint, body), 400)


class TestUpdate:
    def test_properties_added_on_reading_are_dropped_from_a_put(self, control):
        endpoint = control.endpoint(properties={"p": "q"})
        read = control.get(endpoint)
        read["properties"]["properties"].update(createdBy="u", createdAt="x", lastModifiedAt="y", p="r")
        control.put(endpoint, read, 200)
        with control.sessions() as session:
            assert session.scalars(select(OnlineEndpointRow.properties)).one() == {"p": "r"}

    def test_patch_changes_tags_and_identity_only(self, control):
        endpoint = control.endpoint(description="d")
        answer = control.ask("PATCH", endpoint, {"Tags": {"a": "b"}})
        assert answer.status_code == 202
        assert control.operation(answer)["status"] == "InProgress"
        control.gateways_apply()
        found = control.get(endpoint)
        assert (found["tags"], found["properties"]["description"]) == ({"a": "b"}, "d")
        error_of(control.ask("PATCH", "/onlineEndpoints/none", {"tags": {}}), 404)

    def test_each_change_asks_for_a_newer_routing_revision(self, control):
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
    def test_keys_are_returned_but_stored_encrypted(self, control):
        endpoint = control.endpoint()
        keys = control.post(f"{endpoint}/listKeys")
        assert keys["primaryKey"] != keys["secondaryKey"]
        with control.sessions() as session:
            row = session.scalars(select(OnlineEndpointRow)).one()
            stored = " ".join(str(value) for value in vars(row).values())
        assert keys["primaryKey"] not in stored
        assert keys["secondaryKey"] not in stored
        assert row.primary_key_digest == hashlib.sha256(keys["primaryKey"].encode()).hexdigest()

    def test_keys_are_in_no_response_but_list_keys(self, control):
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

    def test_regenerating_a_key_keeps_the_second_key(self, control):
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

    def test_regenerated_key_may_be_chosen(self, control):
        endpoint = control.endpoint()
        control.post(f"{endpoint}/regenerateKeys", {"keyType": "Primary", "keyValue": "chosen-by-the-user"}, 202)
        assert control.post(f"{endpoint}/listKeys")["primaryKey"] == "chosen-by-the-user"

    def test_token_endpoint_has_no_keys_and_key_endpoint_no_tokens(self, control):
        keyed, tokened = control.endpoint("keyed"), control.endpoint("tokened", authMode="aml_token")
        assert "token" in error_of(control.ask("POST", f"{tokened}/listKeys"), 400)["message"]
        error_of(control.ask("POST", f"{tokened}/regenerateKeys", {"keyType": "Primary"}), 400)
        assert "listKeys" in error_of(control.ask("POST", f"{keyed}/token"), 400)["message"]


def test_scoring_token_opens_its_endpoint_until_it_expires(control):
    endpoint = control.endpoint(authMode="AMLToken")
    token = control.post(f"{endpoint}/token")
    assert token["tokenType"] == "Bearer"
    assert time.time() < token["refreshAfterTimeUtc"] < token["expiryTimeUtc"]
    with control.sessions() as session:
        row = session.scalars(select(OnlineEndpointRow)).one()
    assert token_expiry(row.token_public_key, "ep-one", token["accessToken"]) == token["expiryTimeUtc"]
    assert token_expiry(row.token_public_key, "ep-two", token["accessToken"]) is None


class TestDeletion:
    def test_deletion_includes_deployments_and_ends_when_they_are_gone(self, control):
        endpoint = control.endpoint()
        path = control.deployment(endpoint, control.register())
        control.put(endpoint, {"properties": {"authMode": "key", "traffic": {"blue": 100}}}, 200)
        control.gateways_apply()
        answer = control.ask("DELETE", endpoint)
        assert answer.status_code == 202
        assert control.get(path)["properties"]["provisioningState"] == "Deleting"
        assert control.operation(answer)["status"] == "InProgress"
        assert control.ask("DELETE", endpoint).headers["Location"] == answer.headers["Location"]
        control.end_workers()
        assert control.operation(answer)["status"] == "Succeeded"
        assert control.ask("GET", endpoint).status_code == 404
        assert control.ask("DELETE", endpoint).status_code == 204
        control.put(endpoint, CREATE)

    def test_endpoint_being_deleted_rejects_changes(self, control):
        endpoint, model = control.endpoint(), control.register()
        control.ask("DELETE", endpoint)
        for method, path, body in (
            ("PUT", endpoint, CREATE),
            ("PATCH", endpoint, {"tags": {}}),
            ("PUT", f"{endpoint}/deployments/blue", {"properties": {"model": model}}),
        ):
            assert error_of(control.ask(method, path, body), 409)["code"] == "EndpointBeingDeleted"

    def test_deletion_cancels_the_operation_under_way(self, control):
        endpoint, model = control.endpoint(), control.register()
        building = control.ask("PUT", f"{endpoint}/deployments/blue", {"properties": {"model": model}})
        control.ask("DELETE", endpoint)
        operation = control.operation(building)
        assert (operation["status"], operation["error"]["code"]) == ("Canceled", "OperationCanceled")
        control.end_workers()
        assert control.operation(building)["status"] == "Canceled"
        assert control.ask("GET", endpoint).status_code == 404

    def test_deleting_an_unknown_endpoint_is_204(self, control):
        assert control.ask("DELETE", "/onlineEndpoints/none").status_code == 204
        error_of(control.ask("GET", "/onlineEndpoints/none"), 404)


def test_operation_needs_the_token_and_its_own_subscription(control):
    answer = control.ask("PUT", "/onlineEndpoints/ep-one", CREATE)
    url = answer.headers["Azure-AsyncOperation"]
    assert anonymous.get(url).status_code == 401
    error_of(control.http.get(url.replace(SUBSCRIPTION, "1" + SUBSCRIPTION[1:])), 404)
    error_of(control.http.get(url.rpartition("/")[0] + "/oe:no-uuid"), 400)


class TestRateLimit:
    def test_limit_is_returned_kept_by_a_put_without_the_field_and_removed_by_null(self, control):
        limit = {"requestsPerSecond": 10, "requestsPerDay": 5000}
        assert "rateLimit" not in control.put("/onlineEndpoints/ep-one", CREATE)["properties"]
        control.gateways_apply()

        def put(**properties):
            body = {"properties": {"authMode": "Key", **properties}}
            found = control.put("/onlineEndpoints/ep-one", body, expected=200)
            control.gateways_apply()
            return found["properties"].get("rateLimit")

        assert put(RATELIMIT=limit) == limit
        assert put(description="of a client that does not know the field") == limit
        assert put(rateLimit={"requestsPerDay": "7"}) == {"requestsPerDay": 7}
        assert put(rateLimit=None) is None
        changes = [event["properties"]["changes"] for event in control.get("/events")["value"]]
        assert len([change for change in changes if "rate_limit" in change]) == 3

    @pytest.mark.parametrize(
        "limit",
        [{"requestsPerSecond": 0}, {"requestsPerDay": -1}, {"requestsPerSecond": 10**9}, {"requestsPerDay": 1e12}],
    )
    def test_limit_out_of_range_is_400_and_names_the_field(self, control, limit):
        (name,) = limit
        body = {"properties": {"authMode": "Key", "rateLimit": limit}}
        error = error_of(control.ask("PUT", "/onlineEndpoints/ep-one", body), 400)
        assert f"rateLimit.{name} is" in error["message"]

    @pytest.mark.parametrize(
        "limit", ["10", [1], {"requestsPerSecond": 1.5}, {"requestsPerDay": "many"}, {"requestsPerDay": {}}]
    )
    def test_limit_of_another_form_is_refused(self, control, limit):
        body = {"properties": {"authMode": "Key", "rateLimit": limit}}
        assert control.ask("PUT", "/onlineEndpoints/ep-one", body).status_code in (400, 422)
