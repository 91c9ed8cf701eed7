"""A walk over every route with a token of another workspace: no answer tells of a resource, and no call changes one."""

import re
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import httpx2
import pytest

from modelyard.core.db.rows import BuiltEnvironmentRow
from modelyard.core.domain.required_roles import OpenAccess
from tests.control_plane.colleagues import ask_as, make_token
from tests.control_plane.control import SUBSCRIPTION, Control, anonymous, error_of

OURS, THEIRS, ABSENT = "thing-of-a", "thing-of-b", "thing-of-x"
CONDA = "dependencies: [python=3.11]"
BODIES: dict[str, Any] = {
    "put_environment_version": {"properties": {"condaFile": CONDA}},
    "put_data_version": {"properties": {"dataUri": "azureml://datastores/d/paths/p"}},
    "put_code_version": {"properties": {"codeUri": "azureml://datastores/workspaceblobstore/paths/rows"}},
    "put_dataset_version": {"properties": {"paths": [{"folder": "azureml://datastores/d/paths/p"}]}},
    "put_online_endpoint": {"properties": {"authMode": "Key"}},
    "put_batch_endpoint": {"properties": {"authMode": "aadToken"}},
    "put_online_deployment": {"properties": {"model": f"azureml:{OURS}:1"}},
    "put_batch_deployment": {"properties": {"model": {"referenceType": "Id", "assetId": f"azureml:{OURS}:1"}}},
    "submit_job": {"properties": {"inputData": {"in": {"jobInputType": "UriFile", "uri": f"azureml:{OURS}:1"}}}},
    "regenerate_keys": {"keyType": "Primary"},
    "put_job": {"properties": {"isArchived": True}},
    "patch_run": {"hidden": True},
    "get_run_data": {"runId": OURS},
    "resolve_data_uris": {"values": []},
    "patch_job": {"properties": {"isArchived": True}},
    "patch_online_endpoint": {"tags": {"a": "b"}},
    "patch_batch_endpoint": {"tags": {"a": "b"}},
    "patch_online_deployment": {"sku": {"capacity": 2}},
}
GLOBAL_NAMES = {"put_online_endpoint", "put_batch_endpoint"}
"""Names of endpoints are unique on the whole platform: the answer tells that a name is taken, and no more."""
_READS_OF_MORE = {
    "list_workspaces",
    "list_workspaces_of_subscription",
    "list_events",
    "list_access_tokens",
    "verify_audit_events",
}
"""Lists that the stranger's own changes change, and those of the admin's reading."""
ORDER = ("get", "head", "post", "patch", "delete", "put")
"""The calls that make resources come last."""


@dataclass(frozen=True)
class Route:
    name: str
    method: str
    template: str

    def path(self, workspace: str, name: str, operation: str) -> str:
        """`workspace` is a name. Every resource of a workspace has the same name."""
        values = {
            "subscription": SUBSCRIPTION, "resource_group": "local", "location": "local", "version": "1",
            "workspace": workspace, "operation_id": operation,
        }  # fmt: skip
        return "/" + re.sub(r"\{(\w+)\}", lambda found: values.get(found[1], name), self.template)


@pytest.fixture
def routes(control: Control) -> list[Route]:
    document = anonymous.get(f"{control.url}/openapi.json").json()
    found = [
        Route(operation["operationId"], method, path)
        for path, item in document["paths"].items()
        for method, operation in item.items()
        if operation["x-required-role"] not in set(OpenAccess)
    ]
    return sorted(found, key=lambda route: (ORDER.index(route.method), route.name in GLOBAL_NAMES))


def fill(control: Control, name: str) -> str:
    """Make a resource of every noun with the same name. Returns the id of an operation."""
    model = control.register(name)
    control.put(f"/environments/{name}/versions/1", {"properties": {"condaFile": CONDA}})
    place = control.place()["uri"]
    control.put(f"/data/{name}/versions/1", {"properties": {"dataUri": place}})
    control.put(f"/codes/{name}/versions/1", {"properties": {"codeUri": place}})
    control.put(f"/computes/{name}", {"properties": {}})
    control.put(f"/datastores/{name}", {"properties": {}})
    endpoint = control.endpoint(name)
    control.deployment(endpoint, model, name)
    batch = control.batch_endpoint(name)
    control.batch_deployment(batch, model, name)
    control.submit(batch, {"name": name, "inputData": {"in": control.place()}})
    make_token_of(control, name)
    with control.sessions.begin() as session:
        if session.get(BuiltEnvironmentRow, "c" * 64) is None:
            row = BuiltEnvironmentRow(lock_hash="c" * 64, folder="shared", python_version="3.11", size_bytes=1)
            session.add(row)
    properties = control.get(endpoint)["properties"]["properties"]
    return str(properties["AzureAsyncOperationUri"].partition("?")[0].rpartition("/")[2])


def make_token_of(control: Control, name: str) -> None:
    control.put(f"/tokens/{name}", {"properties": {"subject": name, "roles": [{"role": "reader"}]}})


def test_token_of_another_workspace_learns_and_changes_nothing(control: Control, routes: list[Route]):
    other = control.in_workspace("other")
    operation = fill(control, OURS)
    fill(other, THEIRS)
    eve = make_token(control, "eve", {"role": "owner", "scope": other.workspace})
    before = everything(control, routes, operation)
    told = {}
    for route in routes:
        body = BODIES.get(route.name, {"properties": {}} if route.method in ("put", "patch", "post") else None)
        for workspace in ("other", "default", "nowhere"):
            existing = ask(eve, control, route, route.path(workspace, OURS, operation), body)
            absent = ask(eve, control, route, route.path(workspace, ABSENT, str(uuid4())), body)
            if route.name in GLOBAL_NAMES and workspace == "other":
                assert "default" not in error_of(existing, 409)["message"]
            elif seen(existing) != seen(absent):
                told[route.name, workspace] = (seen(existing), seen(absent))
            if "{workspace}" in route.template and workspace != "other":
                assert existing.status_code == 403, route
    assert told == {}
    after = everything(control, routes, operation)
    assert {name: text for name, text in after.items() if text != before[name]} == {}
    assert control.get("/events", caller="eve")["value"] == []


def ask(token: str, control: Control, route: Route, path: str, body: Any) -> httpx2.Response:
    return ask_as(token, control, route.method.upper(), path, body)


def seen(answer: httpx2.Response) -> tuple[int, str]:
    """Status and text, without the name that was asked for. A change tells its status alone."""
    is_change = answer.request.method != "GET" and answer.is_success
    return answer.status_code, "" if is_change else re.sub(f"{OURS}|{ABSENT}", "NAME", answer.text)


def everything(control: Control, routes: list[Route], operation: str) -> dict[str, Any]:
    """What the admin reads of the first workspace, by route."""
    read = {
        route.name: control.http.get(route.path("default", OURS, operation)[1:])
        for route in routes
        if route.method == "get" and route.name not in _READS_OF_MORE
    }
    assert {name: answer.status_code for name, answer in read.items() if not answer.is_success} == {
        "get_scoring_script": 404
    }
    return {name: re.sub(r"[?&]s[vreig]+=[^\"]*", "", answer.text) for name, answer in read.items()}


def test_lists_of_the_other_workspace_name_its_own_resources_alone(control: Control, routes: list[Route]):
    other = control.in_workspace("other")
    fill(control, OURS)
    operation = fill(other, THEIRS)
    eve = make_token(control, "eve", {"role": "owner", "scope": other.workspace})
    lists = [route for route in routes if route.method == "get" and route.name.startswith("list_")]
    assert len(lists) > 15
    for route in lists:
        answer = ask_as(eve, control, "GET", route.path("other", THEIRS, operation))
        assert answer.status_code == 200, (route, answer.text)
        assert OURS not in answer.text, route
        assert "workspaces/default" not in answer.text, route
