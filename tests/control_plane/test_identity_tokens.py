"""The token route of a managed identity: what its tokens open, and what ends them."""

import asyncio
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx2
import pytest
from sqlalchemy import update

from modelyard.core.db.rows import AdminTokenRow
from modelyard.core.domain.access_tokens import token_digest
from modelyard.core.domain.derived_tokens import DerivedToken, DerivedTokenSigner, parent_fingerprint
from modelyard.core.settings import ControlPlaneSettings, IdentitySettings
from modelyard.supervisor.generated_secrets import new_master_key
from tests.control_plane.colleagues import ask_as, expire, make_token
from tests.control_plane.control import TOKEN, Control, anonymous, error_of

RESOURCE = "https://management.azure.com/"


def ask_token(control: Control, parent: str | None, **parameters: str) -> httpx2.Response:
    parameters = {"api-version": "2019-08-01", "resource": RESOURCE, **parameters}
    headers = {} if parent is None else {"X-IDENTITY-HEADER": parent}
    return anonymous.get(f"{control.url}/msi/token", params=parameters, headers=headers)


def derived(control: Control, parent: str) -> str:
    answer = ask_token(control, parent)
    assert answer.status_code == 200, answer.text
    return str(answer.json()["access_token"])


def forged(control: Control, parent: str, expires_in: float, master_key: str | None = None) -> str:
    """A token of any expiry, signed with the platform's key or another one."""
    signer = DerivedTokenSigner(master_key or control.settings.master_key.get_secret_value())
    return signer.issue(DerivedToken(parent_fingerprint(token_digest(parent)), int(time.time() + expires_in)))


class TestIssuing:
    def test_answer_has_the_form_of_app_service(self, control: Control):
        answer = ask_token(control, TOKEN)
        body = answer.json()
        assert set(body) == {"access_token", "expires_on", "resource", "token_type"}
        assert (body["resource"], body["token_type"]) == (RESOURCE, "Bearer")
        assert abs(int(body["expires_on"]) - time.time() - 3600) < 60
        assert answer.headers["Cache-Control"] == "no-store"

    def test_life_is_a_setting(self, make_control):
        control = make_control(identity=IdentitySettings(token_seconds=120.0))
        assert int(ask_token(control, TOKEN).json()["expires_on"]) <= time.time() + 120

    def test_token_ends_with_its_parent(self, control: Control):
        end = datetime.now(UTC).replace(microsecond=0) + timedelta(minutes=10)
        parent = make_token(control, "ada", "reader", expiresAt=end.isoformat())
        assert int(ask_token(control, parent).json()["expires_on"]) == end.timestamp()

    @pytest.mark.parametrize("parent", [None, "", "wrong", "modelyard_wrong", "modelyard_short_x.y"])
    def test_missing_or_wrong_header_is_401(self, control: Control, parent):
        assert error_of(ask_token(control, parent), 401)["code"] == "Unauthorized"

    def test_bearer_is_no_header(self, control: Control):
        assert ask_as(TOKEN, control, "GET", "//msi/token").status_code == 401

    def test_derived_token_is_no_parent(self, control: Control):
        assert ask_token(control, derived(control, TOKEN)).status_code == 401

    def test_failures_are_limited_as_everywhere(self, make_control):
        control = make_control(control_plane=ControlPlaneSettings(failed_authentications_per_minute=3))
        assert [ask_token(control, "modelyard_wrong").status_code for _ in range(4)] == [401, 401, 401, 429]
        # A valid token is never locked out.
        assert ask_token(control, TOKEN).status_code == 200

    def test_long_resource_is_400(self, control: Control):
        assert ask_token(control, TOKEN, resource="x" * 3000).status_code == 400


class TestRights:
    def test_token_has_the_roles_and_the_subject_of_its_parent(self, control: Control):
        token = derived(control, make_token(control, "ada", "contributor"))
        made = ask_as(token, control, "PUT", "/computes/c", {"properties": {"computeType": "AmlCompute"}})
        assert made.status_code == 201, made.text
        assert made.json()["systemData"]["createdBy"] == "ada"
        assert ask_as(token, control, "GET", "/tokens").status_code == 403
        events = control.get("/events")["value"]
        assert any(event["properties"]["caller"] == "ada" for event in events if "computes/c" in str(event))

    def test_token_of_the_admin_is_an_admin(self, control: Control):
        token = derived(control, TOKEN)
        assert ask_as(token, control, "GET", "/tokens").status_code == 200
        assert make_token(control, "ada", "reader")

    def test_token_of_a_password_like_admin_token_works(self, control: Control):
        with control.sessions.begin() as session:
            session.execute(update(AdminTokenRow).values(sha256=None))
        control.services.verifier.credentials_changed()
        assert ask_as(derived(control, TOKEN), control, "GET", "").status_code == 200


class TestEnd:
    def test_expired_token_is_401_and_named(self, control: Control):
        token = make_token(control, "bob", "reader")
        assert ask_as(forged(control, token, 60), control, "GET", "").status_code == 200
        assert "expired" in error_of(ask_as(forged(control, token, -1), control, "GET", ""), 401)["message"]

    def test_revocation_of_the_parent_ends_the_token(self, control: Control):
        token = derived(control, make_token(control, "ada", "reader"))
        assert ask_as(token, control, "GET", "").status_code == 200
        assert control.ask("DELETE", "/tokens/ada").status_code == 200
        assert "revoked" in error_of(ask_as(token, control, "GET", ""), 401)["message"]

    def test_expiry_of_the_parent_ends_the_token(self, control: Control):
        token = derived(control, make_token(control, "ada", "reader"))
        expire(control, "ada")
        assert "expired" in error_of(ask_as(token, control, "GET", ""), 401)["message"]

    def test_token_of_another_master_key_is_401(self, control: Control):
        assert ask_as(forged(control, TOKEN, 60), control, "GET", "").status_code == 200
        error_of(ask_as(forged(control, TOKEN, 60, new_master_key()), control, "GET", ""), 401)

    @pytest.mark.parametrize("change", ["payload", "signature", "long", "no signature"])
    def test_changed_token_is_401(self, control: Control, change):
        payload, _, signature = derived(control, TOKEN).partition(".")
        changed = {
            "payload": f"{payload[:-2]}AA.{signature}",
            "signature": f"{payload}.{'A' * len(signature)}",
            "long": f"{payload}.{signature}{'A' * 4000}",
            "no signature": payload,
        }[change]
        assert error_of(ask_as(changed, control, "GET", ""), 401)["code"] == "Unauthorized"

    def test_later_master_key_reads_tokens_of_the_former_key(self):
        former, later = new_master_key(), new_master_key()
        token = DerivedToken("x", 1)
        text = DerivedTokenSigner(former).issue(token)
        assert DerivedTokenSigner(f"{later},{former}").read(text) == token
        assert DerivedTokenSigner(later).read(text) is None


class TestClients:
    def asked_from(self, control: Control, address: str) -> int:
        """The status for a client at the address, which no test can have: the application without a socket."""
        statuses: list[int] = []

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": b"", "more_body": False}

        async def send(message: dict[str, Any]) -> None:
            statuses.append(message.get("status", 0))

        scope = {
            "type": "http",
            "method": "GET",
            "path": "/msi/token",
            "raw_path": b"/msi/token",
            "query_string": b"",
            "headers": [],
            "client": (address, 5),
            "server": ("127.0.0.1", 1),
            "scheme": "http",
            "state": {},
            "http_version": "1.1",
            "root_path": "",
            "asgi": {"version": "3.0"},
        }
        asyncio.run(control.app(scope, receive, send))
        return statuses[0]

    @pytest.mark.parametrize("address", ["192.0.2.9", "2001:db8::1", "::ffff:192.0.2.9"])
    def test_client_on_another_machine_is_refused(self, control: Control, address):
        assert self.asked_from(control, address) == 403

    @pytest.mark.parametrize("address", ["127.0.0.1", "::1", "::ffff:127.0.0.1"])
    def test_client_on_this_machine_is_asked_for_the_header(self, control: Control, address):
        assert self.asked_from(control, address) == 401

    def test_setting_allows_other_machines(self, make_control):
        control = make_control(identity=IdentitySettings(clients="all"))
        assert self.asked_from(control, "192.0.2.9") == 401
