"""Access tokens: made once, known by their digest, used with their roles, expired and revoked."""

import time
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select

from control_plane.web.token_uses import TokenUses
from data_plane.host.observed import Observed
from data_plane.host.repository import has_news, read_wanted
from data_plane.host.snapshot import build_routes
from data_plane.host.wanted import Wanted
from modelyard.core.db.rows import AccessTokenRow
from modelyard.core.domain.access_tokens import token_digest
from modelyard.core.domain.routing import RoutingSnapshot
from tests.control_plane.colleagues import OTHER_WORKSPACE, ask_as, expire, make_token
from tests.control_plane.control import TOKEN, WORKSPACE, Control, error_of


class TestMaking:
    def test_text_is_shown_once_and_the_database_keeps_the_digest(self, control: Control):
        body = {"properties": {"subject": "ada@example.org", "roles": [{"role": "reader"}]}}
        made = control.put("/tokens/ada", body)
        text = made["properties"]["token"]
        assert text.startswith("modelyard_")
        assert made["properties"]["roles"] == [{"role": "reader", "scope": WORKSPACE}]
        assert "token" not in control.get("/tokens/ada")["properties"]
        assert "token" not in control.get("/tokens")["value"][0]["properties"]
        with control.sessions() as session:
            assert session.scalars(select(AccessTokenRow.digest)).all() == [token_digest(text)]

    def test_two_tokens_differ_and_have_256_random_bits(self, control: Control):
        texts = {make_token(control, name, "reader") for name in ("one", "two")}
        assert len(texts) == 2
        assert all(len(text.removeprefix("modelyard_")) == 43 for text in texts)

    def test_name_of_an_active_token_is_409_and_of_a_revoked_token_is_free(self, control: Control):
        first = make_token(control, "ada", "reader")
        body = {"properties": {"subject": "ada", "roles": [{"role": "owner"}]}}
        assert "revoke" in error_of(control.ask("PUT", "/tokens/ada", body), 409)["message"]
        assert control.ask("DELETE", "/tokens/ada").status_code == 200
        second = make_token(control, "ada", "contributor")
        assert ask_as(first, control, "GET", "").status_code == 401
        assert ask_as(second, control, "GET", "").status_code == 200

    @pytest.mark.parametrize("subject", ["admin", "Admin", "system:host", "", "two words", "a\nb", "x" * 256])
    def test_reserved_or_unreadable_subject_is_400(self, control: Control, subject):
        body = {"properties": {"subject": subject, "roles": [{"role": "reader"}]}}
        error_of(control.ask("PUT", "/tokens/t", body), 400)

    @pytest.mark.parametrize(
        "properties",
        [
            {"roles": []},
            {"roles": [{"role": "god"}]},
            {"roles": [{"role": "reader", "scope": "/subscriptions/x"}]},
            {"roles": [{"role": "reader", "scope": WORKSPACE + "-of-nobody"}]},
            {"roles": [{"role": "reader"}], "expiresAt": "2020-01-01T00:00:00Z"},
        ],
    )
    def test_token_without_a_valid_role_or_with_a_past_expiry_is_400(self, control: Control, properties):
        error_of(control.ask("PUT", "/tokens/t", {"properties": {"subject": "ada", **properties}}), 400)

    def test_owner_of_one_workspace_gives_no_role_elsewhere(self, control: Control):
        control.put("/" + OTHER_WORKSPACE, {"location": "local"})
        owner = make_token(control, "lead", "owner")
        for scope in ("*", OTHER_WORKSPACE):
            body = {"properties": {"subject": "eve", "roles": [{"role": "reader", "scope": scope}]}}
            error = error_of(ask_as(owner, control, "PUT", "/tokens/eve", body), 403)
            assert error["code"] == "AuthorizationFailed"
        body = {"properties": {"subject": "bob", "roles": [{"role": "owner"}]}}
        assert ask_as(owner, control, "PUT", "/tokens/bob", body).status_code == 201


class TestUse:
    def test_expired_token_is_401_and_the_error_names_the_expiry(self, control: Control):
        later = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
        token = make_token(control, "ada", "reader", expiresAt=later)
        assert ask_as(token, control, "GET", "").status_code == 200
        expire(control, "ada")
        assert "expired" in error_of(ask_as(token, control, "GET", ""), 401)["message"]
        assert control.get("/tokens/ada")["properties"]["state"] == "Expired"

    def test_revoked_token_is_401_at_once_and_stays_in_the_list(self, control: Control):
        token = make_token(control, "ada", "reader")
        assert ask_as(token, control, "GET", "").status_code == 200
        assert control.ask("DELETE", "/tokens/ada").status_code == 200
        assert error_of(ask_as(token, control, "GET", ""), 401)["code"] == "Unauthorized"
        assert control.get("/tokens/ada")["properties"]["state"] == "Revoked"
        assert control.ask("DELETE", "/tokens/ada").status_code == 200
        assert control.ask("DELETE", "/tokens/none").status_code == 204

    def test_changes_and_events_name_the_subject_of_the_token(self, control: Control):
        token = make_token(control, "ada", "contributor")
        answer = ask_as(token, control, "PUT", "/computes/c", {"properties": {}})
        assert answer.json()["systemData"]["createdBy"] == "ada"
        (event,) = control.get("/events", caller="ada")["value"]
        assert (event["properties"]["callerKind"], event["properties"]["action"]) == ("token", "create")

    def test_creation_and_revocation_are_events_without_the_text(self, control: Control):
        token = make_token(control, "ada", "reader")
        control.ask("DELETE", "/tokens/ada")
        answer = control.ask("GET", "/events", params={"resource": "tokens/ada"})
        assert [event["properties"]["action"] for event in answer.json()["value"]] == ["revoke", "create"]
        assert token not in answer.text
        assert token_digest(token) not in answer.text

    def test_last_use_is_written_beside_the_requests(self, control: Control, monkeypatch):
        monkeypatch.setattr(control.services.verifier, "_uses", TokenUses(control.sessions, write_seconds=0.05))
        token = make_token(control, "ada", "reader")
        changed = control.get("/tokens/ada")["systemData"]["lastModifiedAt"]
        assert "lastUsedAt" not in control.get("/tokens/ada")["properties"]
        before = datetime.now(UTC)
        assert ask_as(token, control, "GET", "").status_code == 200
        deadline = time.monotonic() + 10
        while "lastUsedAt" not in control.get("/tokens/ada")["properties"]:
            assert time.monotonic() < deadline, "the last use was not written"
            time.sleep(0.02)
        found = control.get("/tokens/ada")
        assert datetime.fromisoformat(found["properties"]["lastUsedAt"]) >= before - timedelta(seconds=1)
        assert found["systemData"]["lastModifiedAt"] == changed

    def test_many_uses_within_a_minute_cause_one_write(self, control: Control, engine, monkeypatch):
        token = make_token(control, "ada", "reader")
        written = []
        uses = TokenUses(control.sessions)
        monkeypatch.setattr(uses, "_store", written.append)
        monkeypatch.setattr(control.services.verifier, "_uses", uses)
        for _ in range(5):
            assert ask_as(token, control, "GET", "").status_code == 200
        assert len(written) <= 1

    def test_roles_end_with_the_workspace_of_the_role(self, control: Control, engine):
        control.put("/" + OTHER_WORKSPACE, {"location": "local"})
        token = make_token(control, "ada", "reader", {"role": "reader", "scope": OTHER_WORKSPACE})
        assert ask_as(token, control, "GET", "/" + OTHER_WORKSPACE).status_code == 200
        with control.sessions.begin() as session:
            session.connection().exec_driver_sql("DELETE FROM workspaces WHERE name = 'other'")
        control.put("/" + OTHER_WORKSPACE, {"location": "local"})
        control.services.verifier.credentials_changed()
        assert ask_as(token, control, "GET", "/" + OTHER_WORKSPACE).status_code == 403
        assert ask_as(token, control, "GET", "").status_code == 200

    def test_list_of_workspaces_has_the_workspaces_that_the_caller_reads(self, control: Control):
        control.put("/" + OTHER_WORKSPACE, {"location": "local"})
        group = "/" + WORKSPACE.rpartition("/")[0]
        everywhere = make_token(control, "all", {"role": "reader", "scope": "*"})
        somewhere = make_token(control, "some", {"role": "reader", "scope": OTHER_WORKSPACE})
        names = {
            token: [each["name"] for each in ask_as(token, control, "GET", group).json()["value"]]
            for token in (TOKEN, everywhere, somewhere)
        }
        assert names == {TOKEN: ["default", "other"], everywhere: ["default", "other"], somewhere: ["other"]}


class TestRouting:
    """What the host publishes for the gateways, which have no database."""

    def test_endpoint_with_aad_tokens_knows_the_living_tokens_and_whether_they_may_score(self, control: Control):
        control.put("/" + OTHER_WORKSPACE, {"location": "local"})
        control.endpoint("ep-aad", authMode="aadToken")
        control.endpoint("ep-key")
        scorer = make_token(control, "sam", "scorer", expiresAt="2999-01-01T00:00:00Z")
        reader = make_token(control, "rick", "reader")
        stranger = make_token(control, "eve", {"role": "owner", "scope": OTHER_WORKSPACE})
        everywhere = make_token(control, "all", {"role": "contributor", "scope": "*"})
        make_token(control, "gone", "scorer")
        control.ask("DELETE", "/tokens/gone")
        with control.sessions() as session:
            routes = build_routes(read_wanted(session), Observed(), {})
        assert routes["ep-aad"].workspace == WORKSPACE
        assert {digest: token.may_score for digest, token in routes["ep-aad"].tokens.items()} == {
            token_digest(TOKEN): True,
            token_digest(scorer): True,
            token_digest(reader): False,
            token_digest(stranger): False,
            token_digest(everywhere): True,
        }
        assert routes["ep-aad"].tokens[token_digest(scorer)].expires_at == 32472144000
        assert (routes["ep-key"].workspace, routes["ep-key"].tokens) == (None, {})
        snapshot = RoutingSnapshot(1, 1, routes)
        assert RoutingSnapshot.from_json(snapshot.to_json()) == snapshot

    def test_host_reads_again_after_a_token_was_made_or_revoked_and_not_after_a_use(
        self, control: Control, monkeypatch
    ):
        monkeypatch.setattr(control.services.verifier, "_uses", TokenUses(control.sessions, write_seconds=0.01))

        def read() -> Wanted:
            with control.sessions.begin() as session:
                return read_wanted(session)

        def has_changed(since: Wanted) -> bool:
            with control.sessions() as session:
                return has_news(session, since)

        before = read()
        assert not has_changed(before)
        token = make_token(control, "ada", "reader")
        assert has_changed(before)
        made = read()
        assert ask_as(token, control, "GET", "").status_code == 200
        deadline = time.monotonic() + 60
        while "lastUsedAt" not in control.get("/tokens/ada")["properties"]:
            assert time.monotonic() < deadline
        assert not has_changed(made)
        control.ask("DELETE", "/tokens/ada")
        assert has_changed(made)
