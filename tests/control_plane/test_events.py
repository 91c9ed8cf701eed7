"""The list of audit events: the newest first, filtered, page after page."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from fastapi.routing import APIRoute
from sqlalchemy import delete, select, update

from control_plane.app import ROUTERS
from control_plane.web.workspace_path import WORKSPACE as WORKSPACE_PATH
from modelyard.core.db.audit import record
from modelyard.core.db.rows import AuditEventRow, OnlineEndpointRow
from modelyard.core.domain.audit import AuditAction
from modelyard.core.domain.caller import Caller, CallerKind
from tests.control_plane.control import SUBSCRIPTION, WORKSPACE, Control, error_of

ADA = Caller("ada", CallerKind.USER, request_id="r-1")
NOON = datetime(2026, 11, 27, 12, tzinfo=UTC)


@pytest.fixture
def events(control: Control) -> list[AuditAction]:
    """Events of ada's about two endpoints with similar names, each a minute after the one before, from noon on."""
    changes = [
        ("ep-one", AuditAction.UPDATE),
        ("ep-one", AuditAction.REGENERATE_KEY),
        ("ep-onesie", AuditAction.UPDATE),
        ("ep-one", AuditAction.READ_TOKEN),
    ]
    for name in ("ep-one", "ep-onesie"):
        control.endpoint(name)
    with control.sessions.begin() as session:
        session.query(AuditEventRow).delete()
        for name, action in changes:
            endpoint = session.scalars(select(OnlineEndpointRow).where(OnlineEndpointRow.name == name)).one()
            record(session, ADA, action, endpoint)
    with control.sessions.begin() as session:
        for minute, key in enumerate(session.scalars(select(AuditEventRow.id).order_by(AuditEventRow.id)).all()):
            at = NOON + timedelta(minutes=minute)
            session.execute(update(AuditEventRow).where(AuditEventRow.id == key).values(at=at))
    return [action for _, action in changes]


def actions(control: Control, **filters: str) -> list[str]:
    return [event["properties"]["action"] for event in control.get("/events", **filters)["value"]]


def test_event_is_an_arm_resource_with_caller_request_resource_and_states(control):
    control.deployment(control.endpoint(), control.register())
    (event,) = control.get("/events", resource="onlineEndpoints/ep-one", action="serve")["value"]
    assert (event["id"], event["type"]) == (
        f"{WORKSPACE}/events/{event['name']}",
        "Microsoft.MachineLearningServices/workspaces/events",
    )
    properties = event["properties"]
    assert properties.pop("eventTimestamp")
    assert properties == {
        "caller": "system:host",
        "callerKind": "system",
        "action": "serve",
        "resourceId": f"{WORKSPACE}/onlineEndpoints/ep-one/deployments/blue/generations/1",
        "fromState": "Built",
        "toState": "Serving",
        "changes": {},
    }


def test_newest_event_comes_first(control, events):
    assert actions(control) == ["read_token", "update", "regenerate_key", "update"]


class TestFilters:
    @pytest.mark.parametrize(
        "resource",
        [
            "onlineEndpoints/ep-one",
            "/onlineendpoints/EP-ONE/",
            f"{WORKSPACE}/onlineEndpoints/ep-one",
        ],
    )
    def test_resource_in_any_case_excludes_resources_whose_names_begin_alike(self, control, events, resource):
        assert actions(control, resource=resource) == ["read_token", "regenerate_key", "update"]

    def test_resource_includes_the_resources_below(self, control):
        control.deployment(control.endpoint(), control.register())
        assert "serve" in actions(control, resource="onlineEndpoints/ep-one")

    def test_percent_sign_in_a_resource_is_no_wildcard(self, control, events):
        assert actions(control, resource="onlineEndpoints/%") == []

    def test_action_selects_its_events(self, control, events):
        assert actions(control, action="update") == ["update", "update"]

    def test_caller_selects_the_events_of_one_subject(self, control, events):
        assert len(actions(control, caller="ada")) == len(events)
        assert actions(control, caller="bob") == []

    @pytest.mark.parametrize("minute_one", ["2026-11-27T12:01:00Z", "2026-11-27T12:01:00", "2026-11-27T13:01:00+01:00"])
    def test_since_is_inclusive_and_until_is_exclusive_in_any_zone(self, control, events, minute_one):
        assert actions(control, since=minute_one) == ["read_token", "update", "regenerate_key"]
        assert actions(control, until=minute_one) == ["update"]

    def test_unknown_action_is_refused_with_the_known_ones(self, control):
        error = error_of(control.ask("GET", "/events", params={"action": "explode"}), 400)
        assert "regenerate_key" in error["message"]


def test_pages_follow_each_other_with_their_filters(control, events):
    page = control.get("/events", **{"$top": "1", "action": "update"})
    seen: list[Any] = list(page["value"])
    while "nextLink" in page:
        page = control.http.get(page["nextLink"]).json()
        seen += page["value"]
    assert [event["properties"]["action"] for event in seen] == ["update", "update"]
    assert len({event["name"] for event in seen}) == 2


def test_events_of_another_workspace_are_not_listed(control, events):
    other = f"/subscriptions/{SUBSCRIPTION}/resourceGroups/local/providers/Microsoft.MachineLearningServices/workspaces"
    assert control.ask("PUT", f"/{other}/other", {"location": "local"}).status_code == 201
    found = control.ask("GET", f"/{other}/other/events").json()["value"]
    assert [event["properties"]["resourceId"] for event in found] == [f"{other}/other"]


HISTORY = f"/history/v1.0{WORKSPACE_PATH}"
UNRECORDED = {
    # Reads, by POST as in Azure.
    "POST /listKeys",
    "POST /computes/{name}/listNodes",
    f"POST {HISTORY}/rundata",
    f"POST /data/v1.0{WORKSPACE_PATH}/dataversion/batchGetResolvedUris",
    # The signature ends within hours, like the URL of an upload. Azure's SDK asks for one at each upload.
    "POST /datastores/{name}/listSecrets",
    # An upload is no resource: the asset version that takes the files has the event.
    "POST /models/{name}/versions/{version}/startPendingUpload",
    "POST /data/{name}/versions/{version}/startPendingUpload",
    "POST /codes/{name}/versions/{version}/startPendingUpload",
    "PUT /uploads/{upload_id}/{path:path}",
    "POST /onlineEndpoints/{endpoint}/deployments/{deployment}/getLogs",
    "POST /batchEndpoints/{endpoint}/deployments/{deployment}/getLogs",
}


class TestEveryChangingRoute:
    """Each request that may change a resource, or reads a credential, leaves an event with its request id."""

    def test_leaves_an_event(self, control):
        assert self.tour(control) | UNRECORDED == changing_routes()

    def tour(self, control: Control) -> set[str]:
        """Call every route once, in an order in which the calls succeed. Returns the called routes."""
        model, seen = control.register(), set()
        online, batch = "/onlineEndpoints/ep-one", "/batchEndpoints/be-one"
        conda = {"properties": {"condaFile": "dependencies: [python=3.11]"}}
        data = {"properties": {"dataType": "uri_folder", "dataUri": control.place()["uri"]}}

        def call(template: str, body: Any = None, **names: str) -> None:
            method, _, path = template.partition(" ")
            path = "/" + path if path.startswith(("/batch/", "/history/")) else path or "/" + OTHER_WORKSPACE
            answer = control.ask(method, path.format(**names), body)
            assert answer.status_code in (200, 201, 202), (template, answer.text)
            with control.sessions() as session:
                asked = AuditEventRow.request_id == answer.headers["x-ms-request-id"]
                found = session.scalars(select(AuditEventRow).where(asked)).all()
            assert found, template
            assert {event.caller for event in found} == {"admin"}
            seen.add(template)

        version = {"name": "m", "version": "1"}
        call("PUT ", {"location": "local"})
        call("PUT /models/{name}", {"properties": {"description": "d"}}, **version)
        call("PUT /models/{name}/versions/{version}", {"properties": {"description": "d"}}, **version)
        call("PUT /environments/{name}/versions/{version}", conda, **version)
        call("PUT /environments/{name}", {"properties": {"description": "d"}}, **version)
        call("PUT /data/{name}/versions/{version}", data, **version)
        dataset = {"properties": {"paths": [{"folder": control.place()["uri"]}]}}
        call("PUT /datasets/{name}/versions/{version}", dataset, name="m", version="2")
        code = {"properties": {"codeUri": control.place()["uri"]}}
        call("PUT /codes/{name}/versions/{version}", code, **version)
        call("PUT /codes/{name}", {"properties": {"description": "d"}}, **version)
        call("PUT /data/{name}", {"properties": {"description": "d"}}, **version)
        call("PUT /computes/{name}", {"properties": {}}, **version)
        for noun in ("environments", "data", "codes"):
            call(f"DELETE /{noun}/{{name}}/versions/{{version}}", **version)
            call(f"DELETE /{noun}/{{name}}", **version)
        call("DELETE /computes/{name}", **version)
        call("PUT /datastores/{name}", {"properties": {}}, **version)
        call("DELETE /datastores/{name}", **version)
        call("POST /pruneEnvironments")
        call("PUT /tokens/{name}", {"properties": {"subject": "s", "roles": [{"role": "reader"}]}}, **version)
        call("DELETE /tokens/{name}", **version)

        names = {"endpoint": "ep-one", "deployment": "blue"}
        call("PUT /onlineEndpoints/{endpoint}", {"properties": {"authMode": "key"}}, **names)
        control.gateways_apply()
        call("POST /onlineEndpoints/{endpoint}/listKeys", **names)
        call("POST /onlineEndpoints/{endpoint}/regenerateKeys", {"keyType": "primary"}, **names)
        control.gateways_apply()
        control.put(online, {"properties": {"authMode": "amlToken"}}, 200)
        control.gateways_apply()
        call("POST /onlineEndpoints/{endpoint}/token", **names)
        deployment = "/onlineEndpoints/{endpoint}/deployments/{deployment}"
        call(f"PUT {deployment}", {"properties": {"model": model}}, **names)
        control.build_and_start()
        call(f"PATCH {deployment}", {"tags": {"a": "b"}}, **names)
        call(f"DELETE {deployment}", **names)
        call("PATCH /onlineEndpoints/{endpoint}", {"tags": {"a": "b"}}, **names)
        call("DELETE /onlineEndpoints/{endpoint}", **names)
        control.end_workers()

        names = {"endpoint": "be-one", "deployment": "bd-one"}
        call("PUT /batchEndpoints/{endpoint}", {"properties": {"authMode": "aadToken"}}, **names)
        call("POST /batchEndpoints/{endpoint}/listKeys", **names)
        deployment = "/batchEndpoints/{endpoint}/deployments/{deployment}"
        call(f"PUT {deployment}", {"properties": {"model": {"assetId": model}}}, **names)
        control.build_batch()
        call(f"PATCH {deployment}", {"properties": {"description": "d"}}, **names)
        default = {"properties": {"defaults": {"deploymentName": "bd-one"}}}
        call("PATCH /batchEndpoints/{endpoint}", default, **names)
        job = {"properties": {"inputData": {"in": control.place()}, "name": "job-one"}}
        call("POST /batch/{endpoint}/jobs", job, **names)
        call("PATCH /jobs/{job}", {"properties": {"tags": {"a": "b"}}}, job="job-one")
        call("PUT /jobs/{job}", {"properties": {"isArchived": True}}, job="job-one")
        history = f"PATCH {HISTORY}/experiments/{{experiment}}/runs/{{run}}"
        names_of_run = {"subscription": SUBSCRIPTION, "resource_group": "local", "workspace": "default"}
        call(history, {"hidden": False}, experiment="e", run="job-one", **names_of_run)
        call("POST /jobs/{job}/cancel", job="job-one")
        call(f"DELETE {deployment}", **names)
        call("DELETE /batchEndpoints/{endpoint}", **names)
        assert control.ask("GET", batch).status_code == 404

        call("DELETE /models/{name}/versions/{version}", **version)
        call("DELETE /models/{name}", **version)
        call("DELETE ")
        return seen


OTHER_WORKSPACE = f"{WORKSPACE.rpartition('/')[0]}/other"


def changing_routes() -> set[str]:
    """ "<method> <path below the workspace>" of every route that is not a plain read."""
    return {
        f"{method} {route.path.removeprefix(WORKSPACE_PATH)}"
        for router in ROUTERS
        for route in router.routes
        if isinstance(route, APIRoute)
        for method in route.methods - {"GET", "HEAD"}
    }


class TestVerification:
    def test_chain_of_a_used_platform_is_intact(self, control):
        control.deployment(control.endpoint(), control.register())
        found = control.get("//audit/verification")
        assert (found["faults"], found["firstEvent"], found["expiredUpTo"]) == ([], 1, 0)
        assert found["head"].partition(":")[0] == str(found["events"])
        assert control.get("//audit/verification", checkpoint=found["head"])["faults"] == []

    def test_event_that_was_removed_by_sql_is_a_fault(self, control):
        control.deployment(control.endpoint(), control.register())
        with control.sessions.begin() as session:
            session.execute(delete(AuditEventRow).where(AuditEventRow.id == 2))
        assert "events between 1 and 3 are missing" in control.get("//audit/verification")["faults"][0]

    def test_text_that_is_no_checkpoint_is_refused(self, control):
        error = error_of(control.ask("GET", "//audit/verification", params={"checkpoint": "12:zz"}), 400)
        assert (error["target"], "'12:zz'" in error["message"]) == ("checkpoint", True)
