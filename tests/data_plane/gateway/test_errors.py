"""Every way to be refused, and what the refusal says."""

import json
from typing import Any

import pytest

from tests.data_plane.gateway.gateway_process import DOUBLES, KEY, FrontDoor

RAISES = """
    def init():
        pass

    def run(input_data, params=None):
        raise ValueError("no such grape: " + str(len(input_data)))
"""
ECHO = """
    def init():
        pass

    def run(input_data, params=None):
        return len(input_data)
"""


@pytest.fixture(scope="module")
def door(module_door: FrontDoor) -> FrontDoor:
    blue, _ = module_door.deployment(ECHO, name="blue", inputs=DOUBLES)
    raising, _ = module_door.deployment(RAISES, name="raising")
    module_door.endpoint(blue, raising)
    module_door.endpoint(blue, name="idle", traffic={})
    module_door.publish()
    return module_door


class TestPathsAndMethods:
    @pytest.mark.parametrize(
        "path", ["/wines/predict", "/wines/score/more", "/wines/score/", "//score", "/wines//score", "/%00"]
    )
    def test_unknown_path_is_a_404(self, door: FrontDoor, path: str) -> None:
        assert door.request("POST", path, "{}").status == 404

    def test_an_unknown_endpoint_is_a_404_with_any_key(self, door: FrontDoor) -> None:
        reply = door.score([[1, 2]], endpoint="unknown")
        assert (reply.status, reply.error["code"]) == (404, "EndpointNotFound")
        assert door.score([[1, 2]], endpoint="unknown", headers={"Authorization": ""}).status == 404

    @pytest.mark.parametrize("method", ["GET", "PUT", "PATCH", "DELETE"])
    def test_only_post_scores(self, door: FrontDoor, method: str) -> None:
        reply = door.request(method, "/wines/score")
        assert (reply.status, reply.headers["allow"]) == (405, "POST, OPTIONS")

    def test_options_say_what_is_allowed_without_a_key(self, door: FrontDoor) -> None:
        reply = door.request("OPTIONS", "/wines/score", headers={"Authorization": ""})
        assert (reply.status, reply.headers["allow"], reply.content) == (200, "POST, OPTIONS", b"")

    @pytest.mark.parametrize("path", ["/", "/health"])
    def test_the_gateways_own_health_needs_no_key(self, door: FrontDoor, path: str) -> None:
        reply = door.request("GET", path, headers={"Authorization": ""})
        assert (reply.status, reply.content) == (200, b"Healthy")
        assert door.request("HEAD", path).content == b""
        assert door.request("POST", path).status == 405


class TestBodies:
    @pytest.mark.parametrize("media_type", ["", "text/csv", "application/x-www-form-urlencoded", "application/jsonp"])
    def test_anything_but_json_is_a_415(self, door: FrontDoor, media_type: str) -> None:
        body = '{"input_data": [[1, 2]]}'
        reply = door.request("POST", "/wines/score", body, {"Content-Type": media_type})
        assert (reply.status, reply.error["code"]) == (415, "UnsupportedMediaType")

    def test_json_may_say_its_charset(self, door: FrontDoor) -> None:
        media_type = {"Content-Type": "Application/JSON; charset=utf-8"}
        assert door.request("POST", "/wines/score", '{"input_data": [[1, 2]]}', media_type).status == 200

    @pytest.mark.parametrize(
        ("body", "word"),
        [
            ("", "empty"),
            ('{"input_data": [1,}', "column 19"),
            ("[1, 2]", "input_data"),
            ("{}", "input_data"),
            ('{"dataframe_split": {}}', "input_data"),
            ('{"input_data": NaN}', "not JSON"),
            (b"\xff\xfe", "not JSON"),
            ("[" * 5000, "not JSON"),
        ],
    )
    def test_what_is_no_json_object_with_input_data_is_a_400_that_says_why(
        self, door: FrontDoor, body: Any, word: str
    ) -> None:
        reply = door.request("POST", "/wines/score", body)
        assert (reply.status, reply.error["code"]) == (400, "BadArgument")
        assert word in reply.error["message"]

    def test_every_violation_of_the_signature_is_listed(self, door: FrontDoor) -> None:
        reply = door.score({"columns": ["alcohol", "acidity"], "data": [[1, "x"], ["y", 2], [True, None]]})
        assert (reply.status, reply.error["code"]) == (400, "SignatureViolation")
        assert [(detail["target"], detail["code"]) for detail in reply.error["details"]] == [
            ("alcohol", "SignatureViolation"),
            ("alcohol", "SignatureViolation"),
            ("acidity", "SignatureViolation"),
        ]
        assert "row 0: expected double" in reply.error["details"][2]["message"]

    def test_a_missing_column_is_named(self, door: FrontDoor) -> None:
        reply = door.score([{"alcohol": 1}])
        assert reply.error["details"][0]["target"] == "acidity"

    def test_more_violations_than_are_listed_are_counted(self, door: FrontDoor) -> None:
        error = door.score([["x", "y"]] * 100).error
        assert len(error["details"]) == 50
        assert "200 violations" in error["message"]


class TestTraffic:
    def test_no_deployment_with_a_positive_weight_is_a_404(self, door: FrontDoor) -> None:
        reply = door.score([[1, 2]], endpoint="idle")
        assert (reply.status, reply.error["code"]) == (404, "NoTraffic")

    def test_a_named_deployment_answers_without_traffic(self, door: FrontDoor) -> None:
        reply = door.score([[1, 2]], endpoint="idle", headers={"azureml-model-deployment": "Blue"})
        assert (reply.status, reply.headers["azureml-model-deployment"]) == (200, "blue")

    def test_a_named_deployment_that_does_not_exist_is_a_404(self, door: FrontDoor) -> None:
        reply = door.score([[1, 2]], headers={"azureml-model-deployment": "green"})
        assert (reply.status, reply.error["code"]) == (404, "DeploymentNotFound")
        assert "blue" in reply.error["message"]


def test_a_model_that_raises_is_a_424_with_a_reference_into_its_log(door: FrontDoor) -> None:
    reply = door.score([1, 2, 3], headers={"azureml-model-deployment": "raising"})
    assert reply.status == 424
    assert reply.headers["ms-azureml-model-error-statuscode"] == "500"
    assert reply.headers["ms-azureml-model-error-reason"] == "model_error"
    assert reply.headers["x-ms-run-function-failed"] == "True"
    assert reply.headers["azureml-model-deployment"] == "raising"
    assert "ValueError: no such grape: 3" in reply.error["message"]
    reference = reply.error["details"][0]["message"]
    logs = [log.read_text() for log in door.yard.data_dir.workers.glob("*.log")]
    assert any(reference in log and "no such grape" in log for log in logs)


def test_no_error_repeats_the_key(door: FrontDoor) -> None:
    for reply in (door.score("x"), door.score([[1, 2]], endpoint="unknown"), door.request("GET", "/wines/score")):
        assert KEY not in json.dumps(dict(reply.headers)) + reply.content.decode()


class TestHealth:
    def test_an_endpoint_whose_deployment_is_ready_is_healthy(self, door: FrontDoor) -> None:
        for path in ("/wines", "/wines/"):
            reply = door.request("GET", path)
            assert (reply.status, reply.content) == (200, b"Healthy")
            assert door.request("HEAD", path).status == 200

    def test_health_of_an_endpoint_needs_its_key(self, door: FrontDoor) -> None:
        assert door.request("GET", "/wines/", headers={"Authorization": ""}).status == 401
        assert door.request("GET", "/unknown/").status == 404
        assert door.request("POST", "/wines/").status == 405

    def test_endpoint_without_traffic_is_unhealthy(self, door: FrontDoor) -> None:
        assert door.request("GET", "/idle/").status == 404
        assert door.request("GET", "/idle/", headers={"azureml-model-deployment": "blue"}).status == 200
