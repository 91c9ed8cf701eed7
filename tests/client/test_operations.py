"""Waiting for what the platform does by itself."""

import pytest

from modelyard.client import ApiError, ClientError
from modelyard.client.connection import Connection
from modelyard.client.errors import PlatformUnreachable
from modelyard.client.platform import Platform
from modelyard.client.watching import Unwatched


class Steps(Unwatched):
    def __init__(self) -> None:
        self.seen: list[str] = []

    def step(self, name: str) -> None:
        self.seen.append(name)


ENDPOINT = {"name": "e", "auth_mode": "key"}


class TestWait:
    def test_it_tells_every_step_and_ends_with_the_operation(self, client, server):
        server.steps = ["resolving", "installing", "starting workers"]
        steps = Steps()
        client.put_endpoint(ENDPOINT).wait(steps)
        assert steps.seen == ["resolving packages", "installing packages", "starting workers"]

    def test_a_failure_is_told_in_the_platforms_own_words(self, client, server):
        server.failure = {"code": "ResourceNotReady", "message": "no room", "details": [{"message": "line 1"}]}
        with pytest.raises(ApiError, match="no room") as caught:
            client.put_endpoint(ENDPOINT).wait()
        assert (caught.value.code, caught.value.details, caught.value.status) == ("ResourceNotReady", ("line 1",), None)

    def test_a_connection_cut_while_a_process_restarts_is_borne(self, client, server):
        change = client.put_endpoint(ENDPOINT)
        server.refuse_connections = 2
        change.wait()
        assert server.refuse_connections == 0


class TestRefusals:
    def test_the_canonical_error_body_is_read(self, client, server):
        body = {"error": {"code": "InvalidName", "message": "too short", "details": [{"message": "3 letters"}]}}
        server.answers["PUT", "/onlineEndpoints/e"] = (400, body)
        with pytest.raises(ApiError, match="too short") as caught:
            client.put_endpoint(ENDPOINT)
        assert (caught.value.code, caught.value.status) == ("InvalidName", 400)

    @pytest.mark.parametrize("body", [b"<html>Bad Gateway</html>", ["odd"], {"error": "text"}])
    def test_any_other_body_is_told_by_its_status(self, client, server, body):
        server.answers["PUT", "/onlineEndpoints/e"] = (502, body)
        with pytest.raises(ApiError, match="502"):
            client.put_endpoint(ENDPOINT)

    def test_a_change_whose_answer_was_lost_is_not_made_twice(self, client, server):
        assert client.location == "local"
        server.refuse_connections = 1
        with pytest.raises(PlatformUnreachable, match="broke off"):
            client.online_endpoints.put("e", {})
        assert len(server.said("PUT")) == 1

    def test_a_platform_that_never_answered_is_not_waited_for(self):
        connection = Connection(Platform("http://127.0.0.1:9", "t"))
        with pytest.raises(ClientError, match=r"no platform answers at http://127\.0\.0\.1:9: start it with"):
            connection.get("")
