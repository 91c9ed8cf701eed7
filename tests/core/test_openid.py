"""Verification of OpenID Connect tokens against a real issuer on loopback."""

import asyncio
import base64
import hashlib
import hmac
import json
import logging
import time
from collections.abc import Iterator
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from pydantic import ValidationError

from modelyard.core.adapters.openid import OpenIdVerifier
from modelyard.core.domain.openid_roles import read_rules
from modelyard.core.domain.roles import Role, RoleAssignment
from modelyard.core.settings import OpenIdSettings
from tests.openid_issuer import AUDIENCE, Issuer, openid_issuer

DEFAULT = (
    "/subscriptions/00000000-0000-0000-0000-000000000000/resourceGroups/local/providers/"
    "Microsoft.MachineLearningServices/workspaces/default"
)


@pytest.fixture
def issuer() -> Iterator[Issuer]:
    with openid_issuer() as running:
        yield running


def verifier(issuer: Issuer, **settings: Any) -> OpenIdVerifier:
    roles = "ml=contributor@default,ops=owner@*"
    return OpenIdVerifier(OpenIdSettings(**{"issuer": issuer.url, "audience": AUDIENCE, "roles": roles, **settings}))


def subject_of(checked: OpenIdVerifier, token: str) -> str | None:
    identity = asyncio.run(checked.identify(token))
    return None if identity is None else identity.subject


def unsigned(header: dict[str, Any], claims: dict[str, Any]) -> str:
    parts = (base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode() for part in (header, claims))
    return ".".join(parts)


def claims_of(issuer: Issuer) -> dict[str, Any]:
    return jwt.decode(issuer.token(), options={"verify_signature": False})


class TestValidTokens:
    def test_claims_give_the_subject_and_the_roles(self, issuer):
        identity = asyncio.run(verifier(issuer).identify(issuer.token(roles=["ml", "unknown"])))
        assert identity is not None
        assert identity.subject == "ada"
        assert identity.roles == {RoleAssignment(Role.CONTRIBUTOR, DEFAULT)}

    @pytest.mark.parametrize(
        ("claims", "path"),
        [
            ({"groups": ["ops"]}, "groups"),
            ({"realm_access": {"roles": ["ops"]}}, "realm_access.roles"),
            ({"scope": "openid ops"}, "scope"),
            ({"https://example.org/roles": ["ops"]}, "https://example.org/roles"),
        ],
    )
    def test_roles_are_read_from_the_configured_claim(self, issuer, claims, path):
        identity = asyncio.run(verifier(issuer, roles_claim=path).identify(issuer.token(**claims)))
        assert identity is not None
        assert identity.roles == {RoleAssignment(Role.OWNER, "*")}

    @pytest.mark.parametrize("roles", [None, [], "unknown", 7, {"ops": True}, [["ops"]], [None]])
    def test_token_without_a_known_value_of_the_claim_has_no_roles(self, issuer, roles):
        identity = asyncio.run(verifier(issuer).identify(issuer.token(roles=roles)))
        assert identity is not None
        assert identity.roles == frozenset()

    def test_rule_for_every_token_holds_without_the_claim(self, issuer):
        identity = asyncio.run(verifier(issuer, roles="*=reader@default").identify(issuer.token()))
        assert identity is not None
        assert identity.roles == {RoleAssignment(Role.READER, DEFAULT)}

    def test_elliptic_key_is_accepted_too(self, issuer):
        issuer.add_key("second", "ES256")
        assert subject_of(verifier(issuer), issuer.token(key_id="second")) == "ada"

    def test_subject_comes_from_the_configured_claim(self, issuer):
        checked = verifier(issuer, subject_claim="email")
        assert subject_of(checked, issuer.token(email="ada@example.org")) == "ada@example.org"
        assert subject_of(checked, issuer.token()) is None

    def test_times_allow_for_the_clock_skew(self, issuer):
        now = int(time.time())
        assert subject_of(verifier(issuer), issuer.token(exp=now - 10, nbf=now + 10)) == "ada"


class TestRefusedTokens:
    @pytest.mark.parametrize(
        "claims",
        [
            {"aud": "another"},
            {"aud": None},
            {"iss": "https://another.example"},
            {"iss": None},
            {"exp": 1},
            {"exp": None},
            {"exp": "soon"},
            {"nbf": 4_000_000_000},
            {"iat": 4_000_000_000},
            {"sub": None},
            {"sub": "admin"},
            {"sub": "system:host"},
            {"sub": "a\nb"},
            {"sub": "x" * 300},
        ],
    )
    def test_token_with_a_wrong_claim_is_refused(self, issuer, claims):
        now = int(time.time())
        sent = {"iss": issuer.url, "aud": AUDIENCE, "sub": "ada", "exp": now + 3600, **claims}
        payload = json.dumps({name: value for name, value in sent.items() if value is not None}).encode()
        _, private = issuer._private["first"]
        token = jwt.PyJWS().encode(payload, private, algorithm="RS256", headers={"kid": "first"})
        assert subject_of(verifier(issuer), token) is None

    def test_token_without_a_signature_is_refused(self, issuer):
        token = unsigned({"alg": "none", "typ": "JWT", "kid": "first"}, claims_of(issuer))
        assert subject_of(verifier(issuer), f"{token}.") is None
        assert subject_of(verifier(issuer), f"{token}.e30") is None

    def test_public_key_as_a_shared_secret_is_refused(self, issuer):
        signed = unsigned({"alg": "HS256", "typ": "JWT", "kid": "first"}, claims_of(issuer))
        mac = hmac.new(issuer.public_pem(), signed.encode(), hashlib.sha256).digest()
        signature = base64.urlsafe_b64encode(mac).rstrip(b"=").decode()
        assert subject_of(verifier(issuer), f"{signed}.{signature}") is None

    @pytest.mark.parametrize("algorithm", ["ES256", "EdDSA", "PS256", "RS512", "HS256", "none", "", 7, None])
    def test_algorithm_that_is_not_the_keys_is_refused(self, issuer, algorithm):
        _, claims, signature = issuer.token().split(".")
        header = base64.urlsafe_b64encode(json.dumps({"alg": algorithm, "kid": "first"}).encode()).rstrip(b"=").decode()
        assert subject_of(verifier(issuer), f"{header}.{claims}.{signature}") is None

    @pytest.mark.parametrize("algorithm", ["ES256", "EdDSA", "PS256", "RS512"])
    def test_key_without_a_named_algorithm_refuses_algorithms_of_other_kinds_of_keys(self, issuer, algorithm):
        del issuer.keys[0]["alg"]
        _, claims, signature = issuer.token().split(".")
        header = base64.urlsafe_b64encode(json.dumps({"alg": algorithm, "kid": "first"}).encode()).rstrip(b"=").decode()
        assert subject_of(verifier(issuer), f"{header}.{claims}.{signature}") is None

    def test_token_of_another_signer_with_the_same_key_id_is_refused(self, issuer):
        token = issuer.token(signer=generate_private_key(65537, 2048))
        assert subject_of(verifier(issuer), token) is None

    @pytest.mark.parametrize("claim", ["sub", "aud", "exp"])
    def test_changed_claim_is_refused(self, issuer, claim):
        header, _, signature = issuer.token().split(".")
        changed = {**claims_of(issuer), claim: {"sub": "eve", "aud": [AUDIENCE], "exp": 4_000_000_000}[claim]}
        body = base64.urlsafe_b64encode(json.dumps(changed).encode()).rstrip(b"=").decode()
        assert subject_of(verifier(issuer), f"{header}.{body}.{signature}") is None

    @pytest.mark.parametrize(
        "text", ["", "a", "ey.ey.ey", "ey..", "e30.e30.e30", "ey" + "a" * 20_000 + ".b.c", "eyé.b.c"]
    )
    def test_text_that_is_not_a_token_is_refused_without_a_fetch(self, issuer, text):
        assert subject_of(verifier(issuer), text) is None
        assert issuer.requests == []

    def test_encryption_and_symmetric_keys_of_the_issuer_are_left_out(self, issuer):
        issuer.keys[0]["use"] = "enc"
        issuer.keys += [{"kty": "oct", "k": "c2VjcmV0", "kid": "first"}, {"kty": "new", "kid": "first"}, 7]
        assert subject_of(verifier(issuer), issuer.token()) is None

    def test_token_is_refused_without_an_issuer_in_the_settings(self, issuer):
        assert subject_of(OpenIdVerifier(OpenIdSettings()), issuer.token()) is None
        assert issuer.requests == []


class TestKeys:
    def test_keys_are_fetched_once_for_many_tokens(self, issuer):
        checked = verifier(issuer)
        assert [subject_of(checked, issuer.token(nonce=number)) for number in range(5)] == ["ada"] * 5
        assert issuer.requests == ["/.well-known/openid-configuration", "/keys"]

    def test_new_key_is_fetched_when_a_token_names_it(self, issuer):
        checked = verifier(issuer, key_refresh_min_seconds=0.001)
        assert subject_of(checked, issuer.token()) == "ada"
        issuer.add_key("second", "ES256")
        assert subject_of(checked, issuer.token(key_id="second")) == "ada"

    def test_flood_of_unknown_key_ids_causes_one_fetch(self, issuer):
        checked = verifier(issuer)

        async def flood() -> list[Any]:
            tokens = [
                unsigned({"alg": "RS256", "kid": f"k{number}"}, claims_of(issuer)) + ".e30" for number in range(200)
            ]
            at_once = await asyncio.gather(*map(checked.identify, tokens[:100]))
            return [*at_once, *[await checked.identify(token) for token in tokens[100:]]]

        assert asyncio.run(flood()) == [None] * 200
        assert issuer.requests.count("/keys") == 1

    def test_withdrawn_key_ends_its_verified_tokens_at_the_next_refresh(self, issuer):
        checked = verifier(issuer, key_refresh_seconds=0.001, key_refresh_min_seconds=0.001)
        token = issuer.token()

        async def withdraw() -> list[bool]:
            before = await checked.identify(token)
            issuer.withdraw_key("first")
            issuer.add_key("second", "ES256")
            for _ in range(500):
                if await checked.identify(token) is None:
                    break
                await asyncio.sleep(0.01)
            return [before is not None, await checked.identify(token) is None]

        assert asyncio.run(withdraw()) == [True, True]

    def test_known_keys_work_while_the_issuer_is_away(self, caplog):
        with openid_issuer() as issuer:
            checked = verifier(issuer, key_refresh_seconds=0.001, key_refresh_min_seconds=0.001)
            token, another = issuer.token(), issuer.token(nonce=1)
            assert subject_of(checked, token) == "ada"
        assert subject_of(checked, token) == "ada"
        assert subject_of(checked, another) == "ada"

    def test_unreachable_issuer_refuses_tokens_and_says_why_in_the_log(self, caplog):
        with openid_issuer() as issuer:
            token = issuer.token()
            checked = verifier(issuer)
        with caplog.at_level(logging.WARNING):
            assert subject_of(checked, token) is None
        assert issuer.url in caplog.text

    def test_discovery_document_of_another_issuer_is_refused(self, issuer):
        issuer.discovery["issuer"] = "https://another.example"
        assert subject_of(verifier(issuer), issuer.token()) is None
        assert "/keys" not in issuer.requests

    @pytest.mark.parametrize("url", ["http://example.org/keys", "file:///etc/passwd", "ftp://127.0.0.1/k", None, 7, ""])
    def test_keys_at_an_unsafe_url_are_not_fetched(self, issuer, url):
        issuer.discovery["jwks_uri"] = url
        assert subject_of(verifier(issuer), issuer.token()) is None

    def test_redirect_is_not_followed(self, issuer):
        with openid_issuer() as target:
            issuer.redirect = f"{target.url}/.well-known/openid-configuration"
            assert subject_of(verifier(issuer), issuer.token()) is None
            assert target.requests == []


class TestSettings:
    @pytest.mark.parametrize(
        "settings",
        [
            {"issuer": "http://example.org", "audience": "a"},
            {"issuer": "ftp://example.org", "audience": "a"},
            {"issuer": "https://user@example.org", "audience": "a"},
            {"issuer": "https://example.org"},
            {"algorithms": "HS256"},
            {"algorithms": "none"},
            {"algorithms": "RS256,none"},
            {"roles": "ml"},
            {"roles": "ml=god@default"},
            {"roles": "ml=reader@"},
        ],
    )
    def test_unsafe_setting_is_refused(self, settings):
        with pytest.raises(ValidationError):
            OpenIdSettings(**settings)

    def test_rules_are_read(self):
        rules = read_rules(f"a=b=reader@team-a, ops=OWNER@*,x=scorer@{DEFAULT},")
        assert [(rule.claim_value, rule.assignment.role) for rule in rules] == [
            ("a=b", Role.READER),
            ("ops", Role.OWNER),
            ("x", Role.SCORER),
        ]
        assert [rule.assignment.scope for rule in rules] == [DEFAULT.replace("default", "team-a"), "*", DEFAULT]
