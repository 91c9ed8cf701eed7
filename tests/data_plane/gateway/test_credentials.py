"""Authentication of callers: keys by digest, tokens by signature."""

import base64
import time

import pytest

from modelyard.core.domain.tokens import TokenKeys, issue_token
from tests.data_plane.gateway.gateway_process import KEY, MIRROR, GatewayProcess, digest, reply


def basic(password: str, user: str = "x") -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


KEYS = TokenKeys.generate()


@pytest.fixture(scope="module")
def gateway(module_gateway: GatewayProcess) -> GatewayProcess:
    blue, _ = module_gateway.deployment(MIRROR)
    module_gateway.endpoint(blue, token_public_key=KEYS.public)
    module_gateway.endpoint(blue, name="tokens", auth_mode="AMLToken", token_public_key=KEYS.public)
    module_gateway.endpoint(blue, name="closed", key_digests=())
    module_gateway.publish()
    return module_gateway


def status(gateway: GatewayProcess, authorization: str, endpoint: str = "wines") -> int:
    reply = gateway.score([1], endpoint=endpoint, headers={"Authorization": authorization})
    if reply.status == 401:
        assert reply.headers["www-authenticate"] == "Bearer"
        assert reply.error["code"] == "Unauthorized"
    return reply.status


def token(endpoint: str = "tokens", seconds: float = 3600, keys: TokenKeys = KEYS) -> str:
    return "Bearer " + issue_token(keys.private, endpoint, int(time.time() + seconds))


class TestKeys:
    @pytest.mark.parametrize("authorization", [f"Bearer {KEY}", f"bearer {KEY}", "Bearer another key"])
    def test_each_valid_key_is_accepted(self, gateway: GatewayProcess, authorization: str) -> None:
        assert status(gateway, authorization) == 200

    @pytest.mark.parametrize("user", ["x", "", "wines"])
    def test_key_is_accepted_as_the_password_of_any_user(self, gateway: GatewayProcess, user: str) -> None:
        assert status(gateway, basic(KEY, user)) == 200
        assert status(gateway, basic("wrong", user)) == 401

    @pytest.mark.parametrize(
        "authorization",
        ["Basic", "Basic ", "Basic ====", "Basic é", basic("", KEY), basic(KEY)[:-4],
         "Basic " + base64.b64encode(KEY.encode()).decode()],
    )  # fmt: skip
    def test_malformed_basic_credentials_are_refused(self, gateway: GatewayProcess, authorization: str) -> None:
        assert status(gateway, authorization) == 401

    @pytest.mark.parametrize(
        "authorization", ["", "Bearer", "Bearer ", "Bearer wrong", KEY, f"Basic {KEY}", f"Bearer {KEY}x"]
    )
    def test_any_other_authorization_header_is_refused(self, gateway: GatewayProcess, authorization: str) -> None:
        assert status(gateway, authorization) == 401

    def test_key_that_was_taken_away_is_refused_on_an_open_connection(self, gateway: GatewayProcess) -> None:
        blue = gateway.endpoints["wines"].deployments["blue"]
        connection = gateway.connection()

        def ask() -> int:
            headers = {"Authorization": f"Bearer {KEY}", "Content-Type": "application/json"}
            connection.request("POST", "/rotated/score", '{"input_data": [1]}', headers)
            return reply(connection).status

        for digests, status in (((digest(KEY),), 200), ((digest("a new key"),), 401), ((digest(KEY),), 200)):
            gateway.endpoint(blue, name="rotated", key_digests=digests)
            gateway.publish()
            assert [ask() for _ in range(4)] == [status] * 4
        connection.close()

    def test_digest_of_a_key_is_refused_as_a_key(self, gateway: GatewayProcess) -> None:
        assert status(gateway, f"Bearer {digest(KEY)}") == 401

    def test_endpoint_without_keys_refuses_every_caller(self, gateway: GatewayProcess) -> None:
        assert status(gateway, "Bearer ", "closed") == 401

    def test_token_is_refused_by_an_endpoint_with_key_authentication(self, gateway: GatewayProcess) -> None:
        assert status(gateway, token("wines")) == 401


class TestTokens:
    def test_token_is_accepted_repeatedly_until_it_expires(self, gateway: GatewayProcess) -> None:
        valid = token()
        assert [status(gateway, valid, "tokens") for _ in range(3)] == [200, 200, 200]
        assert status(gateway, token(seconds=-1), "tokens") == 401

    def test_token_is_accepted_as_a_password(self, gateway: GatewayProcess) -> None:
        assert status(gateway, basic(token().removeprefix("Bearer ")), "tokens") == 200
        assert status(gateway, basic(token(seconds=-1).removeprefix("Bearer ")), "tokens") == 401

    def test_token_of_another_endpoint_or_signer_is_refused(self, gateway: GatewayProcess) -> None:
        assert status(gateway, token("wines"), "tokens") == 401
        assert status(gateway, token(keys=TokenKeys.generate()), "tokens") == 401
        assert status(gateway, "Bearer a.b.c", "tokens") == 401
        assert status(gateway, "Bearer é", "tokens") == 401

    def test_key_is_refused_by_an_endpoint_with_token_authentication(self, gateway: GatewayProcess) -> None:
        assert status(gateway, f"Bearer {KEY}", "tokens") == 401
