"""Waiting for operations, and errors of the connection."""

import pytest

from modelyard.client import ApiError, ClientError
from modelyard.client.connection import Connection
from modelyard.client.errors import PlatformUnreachable
from modelyard.client.platform import Platform
from modelyard.client.watching import SilentWatcher


class Steps(SilentWatcher):
    def __init__(self) -> None:
        self.seen: list[str] = []

    def step(self, name: str) -> None:
        self.seen.append(name)


ENDPOINT = {"name": "iris", "auth_mode": "key"}


class TestWait:
    @pytest.fixture
    def deployment(self, client, model_folder):
        """A deployment with a running operation."""
        client.put_endpoint(ENDPOINT).wait()
        document = {"name": "blue", "endpoint_name": "iris", "model": {"path": str(model_folder)}}
        return client.put_deployment(document, model_folder)

    def test_every_step_is_reported_until_the_operation_ends(self, platform, deployment):
        platform.steps = ["resolving", "installing", "starting workers"]
        steps = Steps()
        deployment.wait(steps)
        assert steps.seen == ["resolving packages", "installing packages", "starting workers"]

    def test_failed_operation_raises_the_platforms_message(self, platform, deployment):
        platform.failure = "no room"
        with pytest.raises(ApiError, match="no room") as caught:
            deployment.wait()
        assert (caught.value.code, caught.value.status) == ("EnvironmentBuildFailure", None)

    def test_poll_is_repeated_after_a_cut_connection(self, client, platform):
        change = client.put_endpoint(ENDPOINT)
        platform.refuse_connections = 2
        change.wait()
        assert platform.refuse_connections == 0


class TestErrors:
    def test_arm_error_body_becomes_code_and_message(self, client, platform):
        body = {"error": {"code": "InvalidName", "message": "too short", "details": [{"message": "3 letters"}]}}
        platform.answers["PUT", "/onlineEndpoints/iris"] = (400, body)
        with pytest.raises(ApiError, match="too short") as caught:
            client.put_endpoint(ENDPOINT)
        assert (caught.value.code, caught.value.status) == ("InvalidName", 400)

    @pytest.mark.parametrize("body", [b"<html>Bad Gateway</html>", ["odd"], {"error": "text"}])
    def test_other_error_body_is_described_by_the_status(self, client, platform, body):
        platform.answers["PUT", "/onlineEndpoints/iris"] = (502, body)
        with pytest.raises(ApiError, match="502"):
            client.put_endpoint(ENDPOINT)

    def test_put_is_not_repeated_after_a_lost_response(self, client, platform):
        assert client.location == "local"
        platform.refuse_connections = 1
        with pytest.raises(PlatformUnreachable, match="closed the connection"):
            client.online_endpoints.put("iris", {})
        assert len(platform.said("PUT")) == 1

    def test_unreachable_platform_is_an_error_without_retries(self):
        connection = Connection(Platform("http://127.0.0.1:9", "t"))
        with pytest.raises(ClientError, match=r"no platform answers at http://127\.0\.0\.1:9: start it with"):
            connection.get("")
