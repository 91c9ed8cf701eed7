"""Who may use which route of the scoring port: endpoint keys, access tokens and OpenID Connect tokens."""

import time
from collections.abc import Iterator

import pytest

from data_plane.gateway.routes import Routes
from modelyard.core.domain.access_tokens import new_access_token, token_digest
from modelyard.core.domain.derived_tokens import DerivedToken, DerivedTokenSigner, parent_fingerprint
from modelyard.core.domain.required_roles import SCORING_PORT, OpenAccess
from modelyard.core.domain.resource_ids import workspace_id
from modelyard.core.domain.roles import Role
from modelyard.core.domain.routing import TokenRoute
from modelyard.core.domain.tokens import TokenKeys
from modelyard.core.settings import GatewaySettings
from modelyard.supervisor.generated_secrets import new_master_key
from tests.data_plane.gateway.conftest import gateways
from tests.data_plane.gateway.gateway_process import MIRROR, GatewayProcess
from tests.openid_issuer import AUDIENCE, Issuer, openid_issuer

WORKSPACE = workspace_id("s", "g", "w")
OTHER = workspace_id("s", "g", "other")
TOKENS = {name: new_access_token() for name in ("scorer", "reader", "expired", "revoked")}
SIGNER = DerivedTokenSigner(new_master_key())


@pytest.fixture(scope="module")
def issuer() -> Iterator[Issuer]:
    with openid_issuer() as running:
        yield running


@pytest.fixture(scope="module")
def gateway(issuer: Issuer) -> Iterator[GatewayProcess]:
    rules = ",".join([*(f"{role}={role}@{WORKSPACE}" for role in Role), f"stranger=owner@{OTHER}"])
    settings = {
        "MODELYARD_OPENID_ISSUER": issuer.url,
        "MODELYARD_OPENID_AUDIENCE": AUDIENCE,
        "MODELYARD_OPENID_ROLES": rules,
    }
    with gateways() as start:
        running = start(settings=settings)
        blue, _ = running.deployment(MIRROR)
        past = time.time() - 1
        tokens = {
            token_digest(TOKENS["scorer"]): TokenRoute(may_score=True, expires_at=time.time() + 3600),
            token_digest(TOKENS["reader"]): TokenRoute(may_score=False, expires_at=None),
            token_digest(TOKENS["expired"]): TokenRoute(may_score=True, expires_at=past),
        }
        by_role = {"auth_mode": "AADToken", "token_public_key": TokenKeys.generate().public}
        keys = SIGNER.public_keys
        running.endpoint(blue, name="wines", workspace=WORKSPACE, tokens=tokens, derived_token_keys=keys, **by_role)
        running.endpoint(blue, name="older", **by_role)
        running.endpoint(blue, name="keyed")
        running.publish()
        yield running


def walk(gateway: GatewayProcess, token: str | None) -> dict[str, int]:
    """The status of every route of the endpoint `wines`, by path template."""
    header = {"Authorization": f"Bearer {token}" if token else ""}
    return {
        path: gateway.request(
            "POST" if path.endswith(("score", "invocations", "infer", "index")) else "GET",
            path.format(endpoint="wines", name="wines", unknown="unknown"),
            None,
            header,
        ).status
        for path, role in SCORING_PORT.items()
        if role != OpenAccess.NONE
    }


def test_table_has_the_routes_of_the_gateway_and_no_other():
    served = {f"/{{endpoint}}/{path}".removesuffix("/") for path in Routes(GatewaySettings())._by_path}
    assert served | {"/", "/health"} == set(SCORING_PORT)


def test_health_of_the_gateway_needs_no_credential(gateway):
    for path in ("/", "/health"):
        assert gateway.request("GET", path, headers={"Authorization": ""}).status == 200


@pytest.mark.parametrize("credential", [None, "unknown", "expired", "revoked", "a.b.c", "ey.ey.ey"])
def test_every_route_is_401_without_a_valid_token(gateway, credential):
    sent = TOKENS.get(credential, credential) if credential else None
    assert set(walk(gateway, sent).values()) == {401}


def test_scorer_opens_every_route_and_a_reader_none(gateway):
    assert not {401, 403} & set(walk(gateway, TOKENS["scorer"]).values())
    assert set(walk(gateway, TOKENS["reader"]).values()) == {403}
    reply = gateway.score([1], headers={"Authorization": f"Bearer {TOKENS['reader']}"})
    assert reply.error["code"] == "AuthorizationFailed"


def derived(parent: str, seconds: float = 60.0, signer: DerivedTokenSigner = SIGNER) -> str:
    """A token that the control plane derived from the token with this name."""
    fingerprint = parent_fingerprint(token_digest(TOKENS[parent]))
    return signer.issue(DerivedToken(fingerprint, int(time.time() + seconds)))


def test_derived_token_has_the_role_of_its_parent(gateway):
    assert not {401, 403} & set(walk(gateway, derived("scorer")).values())
    assert set(walk(gateway, derived("reader")).values()) == {403}


@pytest.mark.parametrize("parent", ["expired", "revoked"])
def test_derived_token_ends_with_its_parent(gateway, parent):
    assert gateway.score([1], headers={"Authorization": f"Bearer {derived(parent)}"}).status == 401


def test_derived_token_that_has_expired_or_is_from_another_platform_is_401(gateway):
    for token in (derived("scorer", -1), derived("scorer", signer=DerivedTokenSigner(new_master_key()))):
        assert gateway.score([1], headers={"Authorization": f"Bearer {token}"}).status == 401


@pytest.mark.parametrize("role", Role)
def test_openid_token_opens_the_routes_when_its_claims_give_the_role_scorer(gateway, issuer, role):
    statuses = set(walk(gateway, issuer.token(roles=[role])).values())
    assert statuses == {403} if role == Role.READER else not statuses & {401, 403}


def test_openid_token_of_another_workspace_or_without_roles_is_403(gateway, issuer):
    assert set(walk(gateway, issuer.token(roles=["stranger"])).values()) == {403}
    assert set(walk(gateway, issuer.token()).values()) == {403}


@pytest.mark.parametrize("claims", [{"aud": "another"}, {"exp": 1}, {"iss": "https://another.example"}])
def test_openid_token_that_is_not_valid_is_401(gateway, issuer, claims):
    token = issuer.token(roles=["scorer"], **claims)
    assert gateway.score([1], headers={"Authorization": f"Bearer {token}"}).status == 401


def test_openid_token_expires_although_it_was_verified_before(gateway, issuer):
    # The clock skew of the settings is 30 s.
    token = issuer.token(roles=["scorer"], exp=int(time.time()) - 29)
    headers = {"Authorization": f"Bearer {token}"}
    assert gateway.score([1], headers=headers).status == 200
    deadline = time.monotonic() + 10
    while gateway.score([1], headers=headers).status == 200:
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_requests_with_a_verified_token_ask_the_issuer_for_nothing(gateway, issuer):
    headers = {"Authorization": f"Bearer {issuer.token(roles=['scorer'])}"}
    assert gateway.score([1], headers=headers).status == 200
    asked = len(issuer.requests)
    assert [gateway.score([1], headers=headers).status for _ in range(20)] == [200] * 20
    assert len(issuer.requests) == asked


def test_endpoint_with_keys_takes_neither_access_tokens_nor_openid_tokens(gateway, issuer):
    for token in (TOKENS["scorer"], issuer.token(roles=["owner"])):
        assert gateway.score([1], endpoint="keyed", headers={"Authorization": f"Bearer {token}"}).status == 401


def test_endpoint_of_a_host_of_the_release_before_takes_no_openid_token(gateway, issuer):
    headers = {"Authorization": f"Bearer {issuer.token(roles=['owner'])}"}
    assert gateway.score([1], endpoint="older", headers=headers).status == 401


def test_swagger_document_names_the_role_of_each_operation(gateway):
    headers = {"Authorization": f"Bearer {TOKENS['scorer']}"}
    for version in ("2", "3", "3.1"):
        document = gateway.request("GET", f"/wines/swagger.json?version={version}", headers=headers).json
        operations = [operation for item in document["paths"].values() for operation in item.values()]
        assert [operation["x-required-role"] for operation in operations] == ["scorer"] * 3
