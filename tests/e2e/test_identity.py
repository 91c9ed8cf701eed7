"""Colleagues with tokens and with OpenID Connect, on a whole platform."""

import json
from collections.abc import Iterator

import pytest

from tests.conftest import temporary_folder
from tests.e2e.models import answering, save_loader
from tests.e2e.platform import SHARED_PLATFORM, Platform, wait_until
from tests.openid_issuer import AUDIENCE, Issuer, openid_issuer

pytestmark = pytest.mark.long

BODY = {"input_data": [1]}


@pytest.fixture(scope="module")
def issuer() -> Iterator[Issuer]:
    with openid_issuer() as running:
        yield running


@pytest.fixture(scope="module")
def guarded(issuer: Issuer) -> Iterator[Platform]:
    """A platform that trusts the issuer, with the endpoint `team` that takes Azure's aad_token."""
    with temporary_folder() as folder:
        platform = Platform(
            folder,
            MODELYARD_OPENID_ISSUER=issuer.url,
            MODELYARD_OPENID_AUDIENCE=AUDIENCE,
            MODELYARD_OPENID_ROLES="apps=scorer@default,makers=contributor@default,auditors=reader@*",
        )
        platform.start(*SHARED_PLATFORM)
        body = {"location": "local", "properties": {"authMode": "AADToken"}}
        assert platform.rest("PUT", "/onlineEndpoints/team", body).status_code == 201
        wait_until(
            lambda: (
                platform.rest("GET", "/onlineEndpoints/team").json()["properties"]["provisioningState"] == "Succeeded"
            ),
            30,
            "the endpoint exists",
        )
        platform.cli("deploy", save_loader(folder / "m", answering("['scored']")), "--endpoint-name", "team")
        yield platform
        platform.stop()


def test_colleague_with_a_token_scores_until_the_token_is_revoked(guarded):
    made = json.loads(guarded.cli("token", "create", "-n", "sam", "--role", "scorer").stdout)
    token = made["token"]
    wait_until(lambda: guarded.score("team", BODY, key=token).status_code == 200, 10, "the gateways know the token")
    assert guarded.score("team", BODY, key=token).json() == ["scored"]
    assert guarded.rest("GET", "/models", token=token).status_code == 403
    guarded.cli("token", "revoke", "-n", "sam", "--yes")
    assert guarded.rest("GET", "/models", token=token).status_code == 401
    wait_until(lambda: guarded.score("team", BODY, key=token).status_code == 401, 10, "the gateways drop the token")
    assert [entry["state"] for entry in json.loads(guarded.cli("token", "list", "-o", "json").stdout)] == ["Revoked"]


def test_openid_tokens_open_what_their_claims_allow(guarded, issuer):
    app, maker, auditor = (issuer.token(name, roles=[name]) for name in ("apps", "makers", "auditors"))
    assert [guarded.score("team", BODY, key=token).status_code for token in (app, maker, auditor)] == [200, 200, 403]
    assert [guarded.rest("GET", "/models", token=token).status_code for token in (app, maker, auditor)] == [
        *(403, 200, 200)
    ]
    listed = {token: guarded.rest("POST", "/onlineEndpoints/team/listKeys", token=token) for token in (maker, auditor)}
    assert [answer.status_code for answer in listed.values()] == [400, 403]
    assert guarded.rest("PUT", "/computes/c", {"properties": {}}, token=maker).status_code == 201
    events = json.loads(guarded.cli("event", "list", "--caller", "makers", "-o", "json").stdout)
    assert events[0]["caller_kind"] == "openid"


def test_openid_token_of_another_audience_is_refused_by_both_ports(guarded, issuer):
    token = issuer.token(roles=["makers"], aud="another")
    assert guarded.rest("GET", "/models", token=token).status_code == 401
    assert guarded.score("team", BODY, key=token).status_code == 401
