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


ENDPOINT = {"name": "iris", "auth_mode": "key"}


class TestWait:
    @pytest.fixture
    def deployment(self, client, model_folder):
        """A deployment whose operation has begun."""
        client.put_endpoint(ENDPOINT).wait()
        document = {"name": "blue", "endpoint_name": "iris", "model": {"path": str(model_folder)}}
        return client.put_deployment(document, model_folder)

    def test_it_tells_every_step_and_ends_with_the_operation(self, platform, deployment):
        platform.steps = ["resolving", "installing", "starting workers"]
        steps = Steps()
        deployment.wait(steps)
        assert steps.seen == ["resolving packages", "installing packages", "starting workers"]

    def test_a_failure_is_told_in_the_platforms_own_words(self, platform, deployment):
        platform.failure = "no room"
        with pytest.raises(ApiError, match="no room") as caught:
            deployment.wait()
        assert (caught.value.code, caught.value.status) == ("EnvironmentBuildFailure", None)

    def test_a_connection_cut_while_a_process_restarts_is_borne(self, client, platform):
        change = client.put_endpoint(ENDPOINT)
        platform.refuse_connections = 2
        change.wait()
        assert platform.refuse_connections == 0


class TestRefusals:
    def test_the_canonical_error_body_is_read(self, client, platform):
        body = {"error": {"code": "InvalidName", "message": "too short", "details": [{"message": "3 letters"}]}}
        platform.answers["PUT", "/onlineEndpoints/iris"] = (400, body)
        with pytest.raises(ApiError, match="too short") as caught:
            client.put_endpoint(ENDPOINT)
        assert (caught.value.code, caught.value.status) == ("InvalidName", 400)

    @pytest.mark.parametrize("body", [b"<html>Bad Gateway</html>", ["odd"], {"error": "text"}])
    def test_any_other_body_is_told_by_its_status(self, client, platform, body):
        platform.answers["PUT", "/onlineEndpoints/iris"] = (502, body)
        with pytest.raises(ApiError, match="502"):
            client.put_endpoint(ENDPOINT)

    def test_a_change_whose_answer_was_lost_is_not_made_twice(self, client, platform):
        assert client.location == "local"
        platform.refuse_connections = 1
        with pytest.raises(PlatformUnreachable, match="broke off"):
            client.online_endpoints.put("iris", {})
        assert len(platform.said("PUT")) == 1

    def test_a_platform_that_never_answered_is_not_waited_for(self):
        connection = Connection(Platform("http://127.0.0.1:9", "t"))
        with pytest.raises(ClientError, match=r"no platform answers at http://127\.0\.0\.1:9: start it with"):
            connection.get("")
