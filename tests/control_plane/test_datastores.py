"""Datastores: the two of every workspace, and those that users create."""

import pytest

from tests.control_plane.blob_clients import STORE, container
from tests.control_plane.colleagues import ask_as, make_token
from tests.control_plane.control import WORKSPACE, Control, error_of

ACCOUNT_KEY = {"credentialsType": "AccountKey", "secrets": {"secretsType": "AccountKey", "key": "c2VjcmV0"}}


def body(**properties: object) -> dict[str, object]:
    return {"properties": {"datastoreType": "AzureBlob", **properties}}


def names(control: Control, **query: str) -> list[str]:
    return [each["name"] for each in control.get("/datastores", **query)["value"]]


def test_default_datastores_exist_in_a_new_workspace(control):
    other = control.in_workspace("other")
    for each in (control, other):
        key = each.get("")["properties"]["workspaceId"]
        found = each.get(f"/datastores/{STORE}")
        assert found["id"].endswith(f"/datastores/{STORE}")
        assert found["properties"] == {
            "datastoreType": "AzureBlob",
            "accountName": f"{control.url.removeprefix('http://')}/modelyard",
            "containerName": f"azureml-{key}-{STORE}",
            "endpoint": "core.windows.net",
            "protocol": "https",
            "isDefault": True,
            "credentials": {"credentialsType": "Sas"},
            "tags": {},
            "properties": {},
        }
        assert each.get("/datastores/workspaceartifactstore")["properties"]["isDefault"] is False
        assert names(each) == [STORE, "workspaceartifactstore"]
        assert names(each, isDefault="true", count="30", orderByAsc="false") == [STORE]


def test_created_datastore_is_listed_changed_and_deleted_and_keeps_its_files(control):
    answer = control.ask("PUT", "/datastores/lake?skipValidation=true", body(description="d", tags={"a": "b"}))
    assert answer.status_code == 201
    assert answer.json() == control.get("/datastores/lake")
    assert (answer.json()["id"], answer.json()["properties"]["tags"]) == (f"{WORKSPACE}/datastores/lake", {"a": "b"})
    changed = control.put("/datastores/lake", body(description="e"), 200)
    assert (changed["properties"]["description"], changed["properties"]["tags"]) == ("e", {})
    container(control, "lake").upload_blob("f", b"x")
    assert names(control) == [STORE, "workspaceartifactstore", "lake"]
    assert [control.ask("DELETE", "/datastores/lake").status_code for _ in range(2)] == [200, 204]
    error_of(control.ask("GET", "/datastores/lake"), 404)
    control.put("/datastores/lake", body())
    assert container(control, "lake").download_blob("f").readall() == b"x"
    events = control.get("/events", resource="datastores/lake")["value"]
    actions = [event["properties"]["action"] for event in events]
    assert sorted(actions) == ["create", "create", "delete", "update"]


def test_pages_have_every_datastore_once(control):
    for name in "abc":
        control.put(f"/datastores/{name}", body())
    found, path = [], "/datastores?$top=2&orderByAsc=false"
    while path:
        page = control.get(path)
        found += [each["name"] for each in page["value"]]
        path = page.get("nextLink", "").replace(f"{control.url}{WORKSPACE}", "")
    assert found == [STORE, "workspaceartifactstore", "c", "b", "a"]
    assert names(control, isDefault="false") == ["workspaceartifactstore", "a", "b", "c"]


def test_account_and_secrets_are_named_as_without_effect_and_never_shown(control):
    answer = control.ask(
        "PUT",
        "/datastores/lake",
        body(accountName="theirs", containerName="c", endpoint="core.windows.net", credentials=ACCOUNT_KEY),
    )
    warnings = answer.headers.get_list("warning")
    assert [warning.split()[2].strip("'\"") for warning in warnings] == [
        f"properties.{name}" for name in ("accountName", "containerName", "credentials")
    ]
    shown = answer.text + control.ask("GET", "/datastores/lake").text + control.ask("GET", "/events").text
    assert "c2VjcmV0" not in shown
    assert "theirs" not in shown


@pytest.mark.parametrize("kind", ["AzureFile", "AzureDataLakeGen2", "OneLake"])
def test_other_types_of_datastores_are_400(control, kind):
    error = error_of(control.ask("PUT", "/datastores/lake", {"properties": {"datastoreType": kind}}), 400)
    assert error["target"] == "properties.datastoreType"
    assert "AzureBlob" in error["message"]


@pytest.mark.parametrize("name", ["a.b", "-a", "a%20b", "a" * 151])
def test_invalid_name_is_400(control, name):
    assert error_of(control.ask("PUT", f"/datastores/{name}", body()), 400)["code"] == "InvalidName"


@pytest.mark.parametrize("name", [STORE, "workspaceartifactstore"])
def test_default_datastore_is_not_deleted_and_not_changed(control, name):
    error_of(control.ask("DELETE", f"/datastores/{name}"), 409)
    error_of(control.ask("PUT", f"/datastores/{name}", body(description="mine")), 409)
    # A client writes back what it has read.
    control.put(f"/datastores/{name}", control.get(f"/datastores/{name}"), 200)


@pytest.mark.parametrize("hours", [0, -1, 169, 10**30])
def test_secret_of_an_impossible_lifetime_is_400(control, hours):
    asked = {"expirableSecret": True, "expireAfterHours": hours}
    error_of(control.ask("POST", f"/datastores/{STORE}/listSecrets", asked), 400)


def test_reader_gets_a_signature_that_reads_and_a_contributor_one_that_writes(control):
    for role, letters in (("reader", "sp=rl&"), ("contributor", "sp=racwdl&")):
        token = make_token(control, f"ada-{role}", role)
        found = ask_as(token, control, "POST", f"/datastores/{STORE}/listSecrets").json()
        assert found["secretsType"] == "Sas"
        assert letters in found["sasToken"]
        assert {part.partition("=")[0] for part in found["sasToken"].split("&")} == {"sv", "sr", "sp", "se", "sig"}
