"""systemData and audit events name the caller who asked for a change."""

import pytest
from sqlalchemy import select

from modelyard.core.db.rows import AuditEventRow, OnlineEndpointRow
from tests.control_plane.control import SUBSCRIPTION, WORKSPACE, Control, anonymous

ADMIN = {"createdBy": "admin", "createdByType": "User", "lastModifiedBy": "admin", "lastModifiedByType": "User"}
WORKSPACES = f"//subscriptions/{SUBSCRIPTION}/resourceGroups/r/providers/Microsoft.MachineLearningServices/workspaces"


def authors(body: dict) -> dict[str, str]:
    return {name: body["systemData"][name] for name in ADMIN}


def actions(control: Control, path: str) -> list[str]:
    """Actions of the audit events of the resource at `path` below the default workspace, oldest first."""
    with control.sessions() as session:
        events = select(AuditEventRow).where(AuditEventRow.resource_id == WORKSPACE + path).order_by(AuditEventRow.id)
        return [event.action for event in session.scalars(events)]


def test_system_data_of_every_noun_names_the_admin(control):
    model = control.register()
    control.put("/environments/e/versions/1", {"properties": {"condaFile": "dependencies: [python=3.11]"}})
    control.put("/data/d/versions/1", {"properties": {"dataType": "uri_folder", "dataUri": control.place()["uri"]}})
    control.put("/computes/c", {"properties": {}})
    online = control.deployment(control.endpoint(), model)
    batch = control.batch_deployment(control.batch_endpoint(), model)
    job = control.submit("/batchEndpoints/be-one")["name"]
    control.put(f"{WORKSPACES}/w", {"location": "l"})
    assets = [
        f"/{collection}/{name}{version}"
        for collection, name in (("models", "m"), ("environments", "e"), ("data", "d"))
        for version in ("", "/versions/1")
    ]
    endpoints = ["/onlineEndpoints/ep-one", online, "/batchEndpoints/be-one", batch]
    for path in [*assets, *endpoints, "/computes/c", f"/jobs/{job}", f"{WORKSPACES}/w"]:
        assert authors(control.get(path)) == ADMIN, path


def test_job_sent_with_an_endpoint_key_names_the_endpoint_as_author(control):
    endpoint = control.batch_endpoint()
    control.batch_deployment(endpoint, control.register())
    key = control.post(f"{endpoint}/listKeys")["primaryKey"]
    answer = anonymous.post(
        f"{control.url}/batch/be-one/jobs",
        json={"properties": {"inputData": {"in": control.place()}}},
        headers={"Authorization": f"Bearer {key}"},
    )
    assert answer.status_code == 201, answer.text
    assert (answer.json()["systemData"]["createdBy"], answer.json()["systemData"]["createdByType"]) == ("be-one", "Key")


def test_state_change_by_the_host_leaves_the_last_author_in_place(control):
    endpoint = control.endpoint()
    with control.sessions.begin() as session:
        row = session.scalars(select(OnlineEndpointRow)).one()
        row.modified_by = "somebody"
    control.deployment(endpoint, control.register())
    assert control.get(endpoint)["systemData"]["lastModifiedBy"] == "somebody"
    assert control.ask("PATCH", endpoint, {"tags": {"a": "b"}}).status_code == 202
    assert control.get(endpoint)["systemData"]["lastModifiedBy"] == "admin"


def test_event_carries_the_request_id_of_the_response(control):
    answer = control.ask("PUT", "/models/m", {"properties": {}})
    with control.sessions() as session:
        event = session.scalars(select(AuditEventRow).where(AuditEventRow.resource_id == f"{WORKSPACE}/models/m")).one()
    assert (event.request_id, event.caller, event.action) == (answer.headers["x-ms-request-id"], "admin", "create")


class TestActions:
    def test_changes_of_an_asset_are_recorded_in_order(self, control):
        control.put("/models/m", {"properties": {}})
        for archived in (True, True, False):
            control.put("/models/m", {"properties": {"isArchived": archived}}, 200)
        control.put("/models/m", {"properties": {"description": "d"}}, 200)
        assert control.ask("DELETE", "/models/m").status_code == 200
        assert actions(control, "/models/m") == ["create", "archive", "restore", "update", "delete"]

    def test_changes_of_an_asset_version_are_recorded_in_order(self, control):
        control.register()
        version = "/models/m/versions/1"
        control.put(version, {"properties": {"tags": {"a": "b"}}}, 200)
        assert control.ask("DELETE", version).status_code == 200
        assert actions(control, version) == ["create", "update", "delete"]

    def test_changes_of_an_online_endpoint_are_recorded_in_order(self, control):
        endpoint = control.endpoint()
        control.post(f"{endpoint}/listKeys")
        control.ask("POST", f"{endpoint}/regenerateKeys", {"keyType": "primary"})
        control.gateways_apply()
        assert control.ask("DELETE", endpoint).status_code == 202
        control.end_workers()
        expected = ["create", "succeed", "read_keys", "regenerate_key", "succeed", "delete", "remove"]
        assert actions(control, endpoint) == expected

    def test_changes_of_an_online_deployment_are_recorded_in_order(self, control):
        deployment = control.deployment(control.endpoint(), control.register())
        assert control.ask("PATCH", deployment, {"sku": {"capacity": 2}}).status_code == 202
        assert actions(control, deployment) == ["create", "succeed", "update"]

    def test_changes_of_a_batch_endpoint_and_deployment_are_recorded_in_order(self, control):
        endpoint = control.batch_endpoint()
        deployment = control.batch_deployment(endpoint, control.register())
        assert control.ask("DELETE", endpoint).status_code == 200
        assert actions(control, endpoint) == ["create", "succeed", "update", "succeed", "delete"]
        assert actions(control, deployment) == ["create", "succeed", "delete"]

    def test_changes_of_a_job_are_recorded_in_order(self, control):
        endpoint = control.batch_endpoint()
        control.batch_deployment(endpoint, control.register())
        job = f"/jobs/{control.submit(endpoint)['name']}"
        assert control.ask("PATCH", job, {"properties": {"isArchived": True}}).status_code == 200
        control.post(f"{job}/cancel")
        assert actions(control, job) == ["submit", "archive", "cancel", "cancel"]

    @pytest.mark.parametrize("body", [{"location": "l"}, {"location": "l", "properties": {"a": "b"}}])
    def test_changes_of_a_compute_are_recorded_in_order(self, control, body):
        control.put("/computes/c", {"location": "l"})
        control.put("/computes/c", body, 200)
        assert control.ask("DELETE", "/computes/c").status_code == 200
        changed = ["update"] if "properties" in body else []
        assert actions(control, "/computes/c") == ["create", *changed, "delete"]
