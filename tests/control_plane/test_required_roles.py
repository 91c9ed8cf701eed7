"""A walk over every route with every credential: the table of required roles is what the control plane enforces."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import uuid4

import httpx2
import pytest

from control_plane.app import ROUTERS
from control_plane.web.authorization import AuthorizedRoute, authorized_router
from modelyard.core.domain.required_roles import OpenAccess, RouteWithoutRole, role_of_operation
from modelyard.core.domain.roles import Role
from modelyard.core.settings import ControlPlaneSettings
from tests.control_plane.colleagues import OTHER_WORKSPACE, ask_as, expire, make_token
from tests.control_plane.control import SUBSCRIPTION, TOKEN, Control, anonymous, error_of

_PARAMETERS = {
    "subscription": SUBSCRIPTION,
    "resource_group": "local",
    "workspace": "default",
    "location": "local",
    "operation_id": str(uuid4()),
    "endpoint": "be-one",
    "upload_id": str(uuid4()),
}
_REFUSED = {401, 403, 429}
_OF_EVERY_WORKSPACE = {"verify_audit_events"}
"""Operations that need a role in every workspace."""


@pytest.fixture
def operations(control: Control) -> list[tuple[str, str, str, str]]:
    return _operations(control)


def _operations(control: Control) -> list[tuple[str, str, str, str]]:
    """Operation id, method, path with values, and the published role of every route."""
    document: dict[str, Any] = anonymous.get(f"{control.url}/openapi.json").json()
    return [
        (operation["operationId"], method.upper(), "/" + _filled(path), operation["x-required-role"])
        for path, item in document["paths"].items()
        for method, operation in item.items()
    ]


def _filled(path: str) -> str:
    for part in path.split("/"):
        if part.startswith("{"):
            path = path.replace(part, _PARAMETERS.get(part.strip("{}"), "unknown"))
    return path


def _with_role(operations) -> Iterator[tuple[str, str, str, Role]]:
    for name, method, path, role in operations:
        if role not in set(OpenAccess):
            yield name, method, path, Role(role)


def test_every_route_checks_the_role():
    routes = [route for router in ROUTERS for route in router.routes]
    assert routes
    assert all(isinstance(route, AuthorizedRoute) for route in routes)


def test_route_without_a_role_cannot_be_made():
    with pytest.raises(RouteWithoutRole, match="required_roles"):
        authorized_router("tag", {}).add_api_route("/path", lambda: None, name="unlisted")


def test_document_publishes_the_table(operations):
    assert all(role_of_operation(name) == role for name, _, _, role in operations)
    assert {role for *_, role in operations} == {*Role, *OpenAccess}


@pytest.mark.parametrize("held", Role)
def test_each_role_opens_its_routes_and_no_other(control: Control, operations, held):
    control.batch_endpoint("be-one")
    token = make_token(control, "ada", held)
    wrong = {
        name: answer.status_code
        for name, method, path, role in _with_role(operations)
        if name not in _OF_EVERY_WORKSPACE
        # The token itself is deleted last, by another test; an empty body is valid nowhere.
        if ((answer := ask_as(token, control, method, path)).status_code in _REFUSED) == held.includes(role)
    }
    assert wrong == {}


def _is_401(answer: httpx2.Response) -> bool:
    return answer.status_code == 401 and error_of(answer, 401)["code"] == "Unauthorized"


@pytest.mark.parametrize("credential", ["none", "unknown", "revoked", "expired"])
def test_route_with_a_role_is_401_without_a_valid_token(make_control, credential):
    # The walk is one address with many failures.
    limits = ControlPlaneSettings(failed_authentications_per_minute=1000)
    control: Control = make_control(control_plane=limits)
    token = make_token(control, "ada", {"role": "owner", "scope": "*"})
    if credential == "revoked":
        control.ask("DELETE", "/tokens/ada")
    if credential == "expired":
        expire(control, "ada")
    operations = _operations(control)
    sent = {"none": None, "unknown": "modelyard_" + "x" * 43}.get(credential, token)
    routes = list(_with_role(operations))
    # At the same time, because the wrong tokens of a quarter second share one look into the database.
    with ThreadPoolExecutor(20) as pool:
        answers = pool.map(lambda route: ask_as(sent, control, route[1], route[2]), routes)
        wrong = {
            name: answer.status_code for (name, *_), answer in zip(routes, answers, strict=True) if not _is_401(answer)
        }
    assert routes
    assert wrong == {}


def test_owner_of_another_workspace_is_403_on_every_route_below_a_workspace(control: Control, operations):
    control.put("/" + OTHER_WORKSPACE, {"location": "local"})
    stranger = make_token(control, "eve", {"role": "owner", "scope": OTHER_WORKSPACE})
    opened = {
        name: answer.status_code
        for name, method, path, _ in _with_role(operations)
        if "/workspaces/" in path and (answer := ask_as(stranger, control, method, path)).status_code != 403
    }
    assert opened == {}


def test_role_in_one_workspace_opens_no_operation_on_every_workspace(control: Control, operations):
    owner = make_token(control, "ada", "owner")
    for name, method, path, _ in _with_role(operations):
        if name in _OF_EVERY_WORKSPACE:
            assert error_of(ask_as(owner, control, method, path), 403)["code"] == "AuthorizationFailed"


def test_public_and_signed_routes_ask_for_no_token(control: Control, operations):
    for name, method, path, role in operations:
        if role in set(OpenAccess):
            status = ask_as(None, control, method, path).status_code
            expected = {OpenAccess.NONE: 200, OpenAccess.IDENTITY_HEADER: 401}.get(OpenAccess(role), 403)
            assert status == expected or name == "put_file", name


def test_refused_request_is_answered_before_its_body_is_read(control: Control):
    token = make_token(control, "ada", "reader")
    headers = {"Authorization": f"Bearer {token}"}
    answer = control.http.put(f"{_filled('/subscriptions/{subscription}')}/x", headers=headers, content=b"{")
    assert answer.status_code == 404
    path = control.ask("GET", "").json()["id"]
    answer = anonymous.put(f"{control.url}{path}/models/m", headers=headers, content=b"{ no json")
    assert error_of(answer, 403)["code"] == "AuthorizationFailed"


def test_admin_token_is_an_owner_of_everything(control: Control, operations):
    control.batch_endpoint("be-one")
    for name, method, path, _ in _with_role(operations):
        if method == "GET":
            assert ask_as(TOKEN, control, method, path).status_code not in _REFUSED, name
