"""Sign-in at the control plane with the tokens of an OpenID Connect issuer."""

from collections.abc import Iterator

import pytest

from modelyard.core.settings import OpenIdSettings
from tests.control_plane.colleagues import ask_as
from tests.control_plane.control import Control, error_of
from tests.openid_issuer import AUDIENCE, Issuer, openid_issuer


@pytest.fixture
def issuer() -> Iterator[Issuer]:
    with openid_issuer() as running:
        yield running


@pytest.fixture
def signed_in(make_control, issuer) -> Control:
    roles = "readers=reader@default,makers=contributor@default"
    return make_control(openid=OpenIdSettings(issuer=issuer.url, audience=AUDIENCE, roles=roles))


def test_roles_of_the_claim_open_their_routes_and_events_name_the_subject(signed_in, issuer):
    maker, reader = issuer.token("mary", roles=["makers"]), issuer.token("rick", roles="readers")
    assert ask_as(maker, signed_in, "PUT", "/computes/c", {"properties": {}}).status_code == 201
    assert ask_as(reader, signed_in, "GET", "/computes/c").status_code == 200
    error = error_of(ask_as(reader, signed_in, "PUT", "/computes/d", {"properties": {}}), 403)
    assert error["code"] == "AuthorizationFailed"
    assert "rick" in error["message"]
    (event,) = signed_in.get("/events", caller="mary")["value"]
    assert event["properties"]["callerKind"] == "openid"


def test_valid_token_without_a_role_is_403_and_an_invalid_token_401(signed_in, issuer):
    assert ask_as(issuer.token(), signed_in, "GET", "").status_code == 403
    assert ask_as(issuer.token(roles="readers", aud="another"), signed_in, "GET", "").status_code == 401


def test_admin_token_works_while_the_issuer_is_away(signed_in, issuer):
    issuer.discovery.clear()
    assert ask_as(issuer.token(roles="readers"), signed_in, "GET", "").status_code == 401
    assert signed_in.ask("GET", "").status_code == 200
