"""Who may ask: keys by digest, tokens by signature."""

import base64
import time

import pytest

from modelyard.core.domain.tokens import TokenKeys, issue_token
from tests.data_plane.gateway.gateway_process import KEY, MIRROR, FrontDoor, digest


def basic(password: str, user: str = "x") -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


KEYS = TokenKeys.generate()


@pytest.fixture(scope="module")
def door(module_door: FrontDoor) -> FrontDoor:
    blue, _ = module_door.deployment(MIRROR)
    module_door.endpoint(blue, token_public_key=KEYS.public)
    module_door.endpoint(blue, name="tokens", auth_mode="AMLToken", token_public_key=KEYS.public)
    module_door.endpoint(blue, name="closed", key_digests=())
    module_door.publish()
    return module_door


def status(door: FrontDoor, authorization: str, endpoint: str = "wines") -> int:
    reply = door.score([1], endpoint=endpoint, headers={"Authorization": authorization})
    if reply.status == 401:
        assert reply.headers["www-authenticate"] == "Bearer"
        assert reply.error["code"] == "Unauthorized"
    return reply.status


def token(endpoint: str = "tokens", seconds: float = 3600, keys: TokenKeys = KEYS) -> str:
    return "Bearer " + issue_token(keys.private, endpoint, int(time.time() + seconds))


class TestKeys:
    @pytest.mark.parametrize("authorization", [f"Bearer {KEY}", f"bearer {KEY}", "Bearer another key"])
    def test_each_valid_key_is_accepted(self, door: FrontDoor, authorization: str) -> None:
        assert status(door, authorization) == 200

    @pytest.mark.parametrize("user", ["x", "", "wines"])
    def test_key_is_accepted_as_the_password_of_any_user(self, door: FrontDoor, user: str) -> None:
        assert status(door, basic(KEY, user)) == 200
        assert status(door, basic("wrong", user)) == 401

    @pytest.mark.parametrize(
        "authorization",
        ["Basic", "Basic ", "Basic ====", "Basic é", basic("", KEY), basic(KEY)[:-4],
         "Basic " + base64.b64encode(KEY.encode()).decode()],
    )  # fmt: skip
    def test_malformed_basic_credentials_are_refused(self, door: FrontDoor, authorization: str) -> None:
        assert status(door, authorization) == 401

    @pytest.mark.parametrize(
        "authorization", ["", "Bearer", "Bearer ", "Bearer wrong", KEY, f"Basic {KEY}", f"Bearer {KEY}x"]
    )
    def test_any_other_authorization_header_is_refused(self, door: FrontDoor, authorization: str) -> None:
        assert status(door, authorization) == 401

    def test_digest_of_a_key_is_refused_as_a_key(self, door: FrontDoor) -> None:
        assert status(door, f"Bearer {digest(KEY)}") == 401

    def test_endpoint_without_keys_refuses_every_caller(self, door: FrontDoor) -> None:
        assert status(door, "Bearer ", "closed") == 401

    def test_token_is_refused_by_an_endpoint_with_key_authentication(self, door: FrontDoor) -> None:
        assert status(door, token("wines")) == 401


class TestTokens:
    def test_token_is_accepted_repeatedly_until_it_expires(self, door: FrontDoor) -> None:
        valid = token()
        assert [status(door, valid, "tokens") for _ in range(3)] == [200, 200, 200]
        assert status(door, token(seconds=-1), "tokens") == 401

    def test_token_is_accepted_as_a_password(self, door: FrontDoor) -> None:
        assert status(door, basic(token().removeprefix("Bearer ")), "tokens") == 200
        assert status(door, basic(token(seconds=-1).removeprefix("Bearer ")), "tokens") == 401

    def test_token_of_another_endpoint_or_signer_is_refused(self, door: FrontDoor) -> None:
        assert status(door, token("wines"), "tokens") == 401
        assert status(door, token(keys=TokenKeys.generate()), "tokens") == 401
        assert status(door, "Bearer a.b.c", "tokens") == 401
        assert status(door, "Bearer é", "tokens") == 401

    def test_key_is_refused_by_an_endpoint_with_token_authentication(self, door: FrontDoor) -> None:
        assert status(door, f"Bearer {KEY}", "tokens") == 401
