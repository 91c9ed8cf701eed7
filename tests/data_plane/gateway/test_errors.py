"""The errors of the scoring path: status, code and message."""

import json
from pathlib import Path
from typing import Any, ClassVar

import pytest

from tests.data_plane.gateway.gateway_process import DOUBLES, KEY, GatewayProcess
from tests.data_plane.replicas.worker_harness import eventually

RAISES = """
    def init():
        pass

    def run(input_data, params=None):
        raise ValueError("no such grape: " + str(len(input_data)))
"""
# Raises as MLflow's validation of a type hint does, before any code of the model.
HINTED = """
    import os

    SERVING = "_MLFLOW_IS_IN_SERVING_ENVIRONMENT"
    MlflowException = type("MlflowException", (Exception,), {"get_http_status_code": lambda self: 400})
    MlflowException.__module__ = "mlflow.exceptions"
    validation = {"__name__": "mlflow.pyfunc.utils.data_validation", "MlflowException": MlflowException}
    exec("def validate(value): raise MlflowException('Expected type str, but got ' + str(value))", validation)

    def init():
        global loading
        loading = os.environ.get(SERVING)

    def run(input_data, params=None):
        if input_data != ["environment"]:
            return validation["validate"](input_data)
        return [loading, os.environ.get(SERVING)]
"""
ECHO = """
    def init():
        pass

    def run(input_data, params=None):
        return len(input_data)
"""


@pytest.fixture(scope="module")
def gateway(module_gateway: GatewayProcess) -> GatewayProcess:
    blue, _ = module_gateway.deployment(ECHO, name="blue", inputs=DOUBLES)
    raising, _ = module_gateway.deployment(RAISES, name="raising")
    hinted, _ = module_gateway.deployment(HINTED, name="hinted", type_hints=True)
    module_gateway.endpoint(blue, raising, hinted)
    module_gateway.endpoint(blue, name="idle", traffic={})
    module_gateway.publish()
    return module_gateway


class TestTypeHints:
    HEADERS: ClassVar = {"azureml-model-deployment": "hinted"}

    def test_input_that_a_type_hint_refuses_is_a_400_with_mlflows_reason(self, gateway: GatewayProcess) -> None:
        reply = gateway.score([5], headers=self.HEADERS)
        assert (reply.status, reply.error["code"]) == (400, "SignatureViolation")
        assert "Expected type str, but got [5]" in reply.error["message"]
        reply = gateway.request("POST", "/wines/invocations", '{"inputs": [5]}', self.HEADERS)
        assert (reply.status, reply.json["error_code"]) == (400, "INVALID_PARAMETER_VALUE")

    def test_worker_sets_mlflows_serving_variable_after_the_load(self, gateway: GatewayProcess) -> None:
        assert gateway.score(["environment"], headers=self.HEADERS).json == [None, "true"]


class TestPathsAndMethods:
    @pytest.mark.parametrize(
        "path", ["/wines/predict", "/wines/score/more", "/wines/score/", "//score", "/wines//score", "/%00"]
    )
    def test_unknown_path_is_a_404(self, gateway: GatewayProcess, path: str) -> None:
        assert gateway.request("POST", path, "{}").status == 404

    def test_unknown_endpoint_is_a_404_with_any_key(self, gateway: GatewayProcess) -> None:
        reply = gateway.score([[1, 2]], endpoint="unknown")
        assert (reply.status, reply.error["code"]) == (404, "EndpointNotFound")
        assert gateway.score([[1, 2]], endpoint="unknown", headers={"Authorization": ""}).status == 404

    @pytest.mark.parametrize("method", ["GET", "PUT", "PATCH", "DELETE"])
    def test_get_of_the_scoring_path_is_a_405(self, gateway: GatewayProcess, method: str) -> None:
        reply = gateway.request(method, "/wines/score")
        assert (reply.status, reply.headers["allow"]) == (405, "POST, OPTIONS")

    def test_options_lists_the_allowed_methods_without_a_key(self, gateway: GatewayProcess) -> None:
        reply = gateway.request("OPTIONS", "/wines/score", headers={"Authorization": ""})
        assert (reply.status, reply.headers["allow"], reply.content) == (200, "POST, OPTIONS", b"")

    @pytest.mark.parametrize("path", ["/", "/health"])
    def test_the_gateways_own_health_needs_no_key(self, gateway: GatewayProcess, path: str) -> None:
        reply = gateway.request("GET", path, headers={"Authorization": ""})
        assert (reply.status, reply.content) == (200, b"Healthy")
        assert gateway.request("HEAD", path).content == b""
        assert gateway.request("POST", path).status == 405


class TestBodies:
    @pytest.mark.parametrize("media_type", ["", "text/csv", "application/x-www-form-urlencoded", "application/jsonp"])
    def test_body_of_another_media_type_is_a_415(self, gateway: GatewayProcess, media_type: str) -> None:
        body = '{"input_data": [[1, 2]]}'
        reply = gateway.request("POST", "/wines/score", body, {"Content-Type": media_type})
        assert (reply.status, reply.error["code"]) == (415, "UnsupportedMediaType")

    def test_json_with_a_charset_is_accepted(self, gateway: GatewayProcess) -> None:
        media_type = {"Content-Type": "Application/JSON; charset=utf-8"}
        assert gateway.request("POST", "/wines/score", '{"input_data": [[1, 2]]}', media_type).status == 200

    @pytest.mark.parametrize(
        ("body", "word"),
        [
            ("", "empty"),
            ('{"input_data": [1,}', "column 19"),
            ("[1, 2]", "input_data"),
            ("{}", "input_data"),
            ('{"dataframe_split": {}}', "input_data"),
            ('{"input_data": NaN,}', "not JSON"),
            (b"\xff\xfe", "not JSON"),
            ("[" * 5000, "not JSON"),
        ],
    )
    def test_body_without_input_data_is_a_400_with_the_reason(
        self, gateway: GatewayProcess, body: Any, word: str
    ) -> None:
        reply = gateway.request("POST", "/wines/score", body)
        assert (reply.status, reply.error["code"]) == (400, "BadArgument")
        assert word in reply.error["message"]

    def test_every_violation_of_the_signature_is_listed(self, gateway: GatewayProcess) -> None:
        reply = gateway.score({"columns": ["alcohol", "acidity"], "data": [[1, "x"], ["y", 2], [True, None]]})
        assert (reply.status, reply.error["code"]) == (400, "SignatureViolation")
        assert [(detail["target"], detail["code"]) for detail in reply.error["details"]] == [
            ("alcohol", "SignatureViolation"),
            ("alcohol", "SignatureViolation"),
            ("acidity", "SignatureViolation"),
        ]
        assert "row 0: expected double" in reply.error["details"][2]["message"]

    def test_missing_column_is_named(self, gateway: GatewayProcess) -> None:
        reply = gateway.score([{"alcohol": 1}])
        assert reply.error["details"][0]["target"] == "acidity"

    def test_violations_beyond_the_listed_are_counted(self, gateway: GatewayProcess) -> None:
        error = gateway.score([["x", "y"]] * 100).error
        assert len(error["details"]) == 50
        assert "200 violations" in error["message"]


class TestTraffic:
    def test_endpoint_without_traffic_is_a_404(self, gateway: GatewayProcess) -> None:
        reply = gateway.score([[1, 2]], endpoint="idle")
        assert (reply.status, reply.error["code"]) == (404, "NoTraffic")

    def test_named_deployment_answers_without_traffic(self, gateway: GatewayProcess) -> None:
        reply = gateway.score([[1, 2]], endpoint="idle", headers={"azureml-model-deployment": "Blue"})
        assert (reply.status, reply.headers["azureml-model-deployment"]) == (200, "blue")

    def test_unknown_named_deployment_is_a_404(self, gateway: GatewayProcess) -> None:
        reply = gateway.score([[1, 2]], headers={"azureml-model-deployment": "green"})
        assert (reply.status, reply.error["code"]) == (404, "DeploymentNotFound")
        assert "blue" in reply.error["message"]


def test_model_that_raises_is_a_424_with_a_reference_into_its_log(gateway: GatewayProcess) -> None:
    reply = gateway.score([1, 2, 3], headers={"azureml-model-deployment": "raising"})
    assert reply.status == 424
    assert reply.headers["ms-azureml-model-error-statuscode"] == "500"
    assert reply.headers["ms-azureml-model-error-reason"] == "model_error"
    assert reply.headers["x-ms-run-function-failed"] == "True"
    assert reply.headers["azureml-model-deployment"] == "raising"
    assert "ValueError: no such grape: 3" in reply.error["message"]
    reference = reply.error["details"][0]["message"]
    logs = list(gateway.harness.data_dir.workers.glob("*.log"))
    eventually(lambda: any(reference in text and "no such grape" in text for text in map(Path.read_text, logs)))


def test_no_error_repeats_the_key(gateway: GatewayProcess) -> None:
    for reply in (
        gateway.score("x"),
        gateway.score([[1, 2]], endpoint="unknown"),
        gateway.request("GET", "/wines/score"),
    ):
        assert KEY not in json.dumps(dict(reply.headers)) + reply.content.decode()


class TestHealth:
    def test_endpoint_with_a_ready_deployment_is_healthy(self, gateway: GatewayProcess) -> None:
        for path in ("/wines", "/wines/"):
            reply = gateway.request("GET", path)
            assert (reply.status, reply.content) == (200, b"Healthy")
            assert gateway.request("HEAD", path).status == 200

    def test_health_of_an_endpoint_needs_its_key(self, gateway: GatewayProcess) -> None:
        assert gateway.request("GET", "/wines/", headers={"Authorization": ""}).status == 401
        assert gateway.request("GET", "/unknown/").status == 404
        assert gateway.request("POST", "/wines/").status == 405

    def test_endpoint_without_traffic_is_unhealthy(self, gateway: GatewayProcess) -> None:
        assert gateway.request("GET", "/idle/").status == 404
        assert gateway.request("GET", "/idle/", headers={"azureml-model-deployment": "blue"}).status == 200
