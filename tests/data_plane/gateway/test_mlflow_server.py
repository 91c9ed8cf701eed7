"""MLflow's paths beside scoring: health, version, errors, and MLflow's own client."""

import http.client
import json
from typing import Any

import numpy as np
import pandas as pd
import pytest
from mlflow.exceptions import RestException
from mlflow.pyfunc.scoring_server.client import ScoringServerClient

from tests.data_plane.gateway.conftest import StartGateway
from tests.data_plane.gateway.gateway_process import DOUBLES, KEY, MIRROR, GatewayProcess, Reply
from tests.data_plane.gateway.mlflow_peer import CSV, basic
from tests.data_plane.replicas.worker_harness import GATED, eventually

PARAMS = json.dumps([{"name": "k", "type": "long", "default": 5, "shape": None}])
ROW = {"dataframe_records": [{"alcohol": 12.5, "acidity": 0.5}]}


@pytest.fixture(scope="module")
def gateway(module_gateway: GatewayProcess) -> GatewayProcess:
    blue, _ = module_gateway.deployment(MIRROR, name="blue", inputs=DOUBLES, params=PARAMS, mlflow_version="2.17.2")
    old, _ = module_gateway.deployment(MIRROR, name="old")
    module_gateway.endpoint(blue, old)
    module_gateway.endpoint(name="idle")
    module_gateway.publish()
    # A snapshot is applied before the gateway has connected to the workers.
    eventually(lambda: module_gateway.request("GET", "/wines/ping").status == 200)
    return module_gateway


def invoke(gateway: GatewayProcess, body: Any, path: str = "/wines/invocations", **headers: str) -> Reply:
    content = body if isinstance(body, (str, bytes)) else json.dumps(body)
    return gateway.request("POST", path, content, {name.replace("_", "-"): value for name, value in headers.items()})


def error_code(reply: Reply) -> tuple[int, str]:
    assert reply.headers["content-type"] == "application/json"
    # Read by MLflow's own class.
    assert RestException(reply.json).error_code == reply.json["error_code"]
    return reply.status, reply.json["error_code"]


class TestHealthAndVersion:
    @pytest.mark.parametrize("path", ["ping", "health"])
    def test_ready_endpoint_answers_ping_with_an_empty_line(self, gateway: GatewayProcess, path: str) -> None:
        reply = gateway.request("GET", f"/wines/{path}")
        assert (reply.status, reply.content) == (200, b"\n")
        assert reply.headers["content-type"] == "application/json"

    def test_head_of_ping_is_a_200(self, gateway: GatewayProcess) -> None:
        assert gateway.request("HEAD", "/wines/ping").status == 200

    def test_version_is_the_mlflow_that_logged_the_model(self, gateway: GatewayProcess) -> None:
        reply = gateway.request("GET", "/wines/version")
        assert (reply.status, reply.content) == (200, b"2.17.2")

    def test_version_of_a_model_without_an_mlflow_version_is_a_404(self, gateway: GatewayProcess) -> None:
        reply = gateway.request("GET", "/wines/version", headers={"azureml-model-deployment": "old"})
        assert error_code(reply) == (404, "RESOURCE_DOES_NOT_EXIST")

    @pytest.mark.parametrize("path", ["ping", "health", "version", "invocations"])
    def test_every_mlflow_path_needs_the_key(self, gateway: GatewayProcess, path: str) -> None:
        method = "POST" if path == "invocations" else "GET"
        reply = gateway.request(method, f"/wines/{path}", headers={"Authorization": ""})
        assert error_code(reply) == (401, "UNAUTHENTICATED")
        assert reply.headers["www-authenticate"] == "Bearer"

    def test_ping_of_an_endpoint_without_traffic_is_a_404(self, gateway: GatewayProcess) -> None:
        reply = gateway.request("GET", "/idle/ping")
        assert error_code(reply) == (404, "RESOURCE_DOES_NOT_EXIST")

    def test_ping_without_a_ready_worker_is_a_503_with_retry_after(self, lent_gateway: GatewayProcess) -> None:
        gateway = lent_gateway
        starting, _ = gateway.deployment(MIRROR, instances=0)
        gateway.endpoint(starting)
        gateway.publish()
        reply = gateway.request("GET", "/wines/ping")
        assert error_code(reply) == (503, "TEMPORARILY_UNAVAILABLE")
        assert int(reply.headers["retry-after"]) >= 1


class TestErrors:
    def test_every_violation_is_in_the_message_and_listed(self, gateway: GatewayProcess) -> None:
        reply = invoke(gateway, {"dataframe_records": [{"alcohol": "strong"}], "params": {"k": 1.5}})
        assert error_code(reply) == (400, "INVALID_PARAMETER_VALUE")
        assert reply.json["error_class"] == "SCHEMA_ENFORCEMENT_FAILED"
        assert {each["target"] for each in reply.json["details"]} == {"alcohol", "acidity", "params.k"}
        assert all(each["message"] in reply.json["message"] for each in reply.json["details"])

    def test_unknown_deployment_or_endpoint_is_a_404(self, gateway: GatewayProcess) -> None:
        assert error_code(invoke(gateway, ROW, azureml_model_deployment="green")) == (404, "RESOURCE_DOES_NOT_EXIST")
        assert error_code(invoke(gateway, ROW, "/beers/invocations")) == (404, "RESOURCE_DOES_NOT_EXIST")

    def test_wrong_method_is_a_405_with_the_allowed_methods(self, gateway: GatewayProcess) -> None:
        reply = gateway.request("GET", "/wines/invocations")
        assert error_code(reply) == (405, "BAD_REQUEST")
        assert reply.headers["allow"] == "POST, OPTIONS"

    def test_body_over_the_limit_is_a_413(self, start_gateway: StartGateway) -> None:
        gateway = start_gateway(settings={"MODELYARD_GATEWAY_MAX_BODY_BYTES": "100"})
        gateway.serve(MIRROR)
        assert error_code(invoke(gateway, {"inputs": ["x" * 100]})) == (413, "BAD_REQUEST")

    def test_passed_deadline_is_a_504_and_too_many_requests_a_429(self, lent_gateway: GatewayProcess) -> None:
        gateway = lent_gateway
        gate = gateway.harness.data_dir.root / "gate"
        blue, _ = gateway.deployment(
            GATED, type_hints=True, request_timeout_seconds=1.0, max_concurrent_requests_per_instance=1,
            max_queue_wait_seconds=0.001,
        )  # fmt: skip
        gateway.endpoint(blue)
        gateway.publish()
        # A request that had to wait for the worker would be refused at once.
        eventually(lambda: gateway.request("GET", "/wines/ping").status == 200)
        first = gateway.connection()
        headers = {"Authorization": basic(), "Content-Type": "application/json"}
        first.request("POST", "/wines/invocations", json.dumps({"inputs": str(gate)}), headers)
        assert error_code(eventually(lambda: refused_as_too_many(gateway))) == (429, "RESOURCE_EXHAUSTED")
        assert error_code(answer_of(first)) == (504, "DEADLINE_EXCEEDED")
        gate.touch()
        first.close()

    def test_worker_death_has_the_error_code_of_a_failed_model(self, lent_gateway: GatewayProcess) -> None:
        gateway = lent_gateway
        gateway.serve("import os\ndef init(): pass\ndef run(x, params=None): os._exit(3)", instances=2, type_hints=True)
        assert error_code(invoke(gateway, {"inputs": 1})) == (400, "BAD_REQUEST")

    def test_extra_columns_are_named_in_a_header(self, gateway: GatewayProcess) -> None:
        reply = invoke(gateway, "alcohol,color,acidity\n1,red,2\n", Content_Type=CSV)
        assert reply.status == 200
        assert reply.headers["modelyard-extra-columns"] == "color"


def refused_as_too_many(gateway: GatewayProcess) -> Reply | None:
    reply = invoke(gateway, {"inputs": "never"})
    return reply if reply.status == 429 else None


def answer_of(connection: http.client.HTTPConnection) -> Reply:
    response = connection.getresponse()
    return Reply(response.status, {name.lower(): value for name, value in response.getheaders()}, response.read())


class TestMlflowsClient:
    """The client takes a host and a port and sends no header: key before the host, endpoint after the port."""

    @pytest.fixture
    def client(self, gateway: GatewayProcess) -> ScoringServerClient:
        return ScoringServerClient(f"x:{KEY}@127.0.0.1", f"{gateway.port}/wines")

    def test_mlflows_client_waits_pings_and_reads_the_version(self, client: ScoringServerClient) -> None:
        client.wait_server_ready(timeout=20)
        client.ping()
        assert client.get_version() == "2.17.2"

    def test_mlflows_client_sends_a_frame_with_missing_values_and_params(self, client: ScoringServerClient) -> None:
        frame = pd.DataFrame({"alcohol": [12.5, np.nan], "acidity": [0.5, 0.25]})
        answer = client.invoke(frame, params={"k": 7})
        assert answer["predictions"]["params"] == {"k": 7}
        assert answer["predictions"]["data"] == [
            {"alcohol": 12.5, "acidity": 0.5},
            {"alcohol": None, "acidity": 0.25},
        ]

    def test_mlflows_client_sends_arrays_and_lists(self, client: ScoringServerClient) -> None:
        expected = client.invoke(pd.DataFrame({"alcohol": [1.0], "acidity": [2.0]}))
        assert client.invoke(np.array([[1.0, 2.0]])) == expected
        assert client.invoke([{"acidity": 2, "alcohol": 1}]) == expected

    def test_mlflows_client_converts_predictions_to_an_array(self, client: ScoringServerClient) -> None:
        answer = client.invoke(pd.DataFrame({"alcohol": [1.0], "acidity": [2.0]}))
        assert answer.get_predictions("ndarray") is not None

    def test_mlflows_client_shows_the_violation(self, client: ScoringServerClient) -> None:
        with pytest.raises(
            Exception, match=r"error code 400.*missing required column 'acidity' \(double\); the input has 'alcohol'"
        ):
            client.invoke(pd.DataFrame({"alcohol": [1.0]}))

    def test_mlflows_client_without_the_key_gets_401(self, gateway: GatewayProcess) -> None:
        with pytest.raises(Exception, match="401"):
            ScoringServerClient("127.0.0.1", f"{gateway.port}/wines").ping()
