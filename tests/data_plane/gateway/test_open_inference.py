"""`/{endpoint}/v2/…`: metadata of server and models, the model that a path means, and errors."""

import json
from typing import Any

import pytest

from tests.data_plane.gateway.gateway_process import DOUBLES, GatewayProcess, Reply

OUTPUTS = json.dumps([{"type": "double", "name": "quality", "required": True}])
TYPES = ("boolean", "integer", "long", "float", "double", "string", "binary", "datetime", "any")
EVERY_TYPE = json.dumps([{"type": each, "name": f"a {each}", "required": True} for each in TYPES])
UNNAMED = json.dumps([{"type": "long"}, {"type": "string"}])
TENSOR = json.dumps([{"type": "tensor", "tensor-spec": {"dtype": "float32", "shape": [-1, 3]}}])

# Doubles the first column, and raises for a negative number.
SCRIPT = """
    import numpy as np

    def init():
        pass

    def run(input_data, params=None):
        first = input_data["alcohol"].to_numpy()
        if first[0] < 0:
            raise ValueError("no such grape")
        return first * 2
"""


@pytest.fixture(scope="module")
def gateway(module_gateway: GatewayProcess) -> GatewayProcess:
    blue, _ = module_gateway.deployment(SCRIPT, name="blue", inputs=DOUBLES, outputs=OUTPUTS)
    green, _ = module_gateway.deployment(SCRIPT, name="green", inputs=DOUBLES, model_version="2")
    typed, _ = module_gateway.deployment(SCRIPT, name="typed", inputs=EVERY_TYPE, outputs=UNNAMED)
    tensor, _ = module_gateway.deployment(SCRIPT, name="tensor", inputs=TENSOR, outputs=TENSOR)
    starting, _ = module_gateway.deployment(SCRIPT, name="starting", instances=0)
    module_gateway.endpoint(blue, green, typed, tensor, starting, traffic={"blue": 50, "green": 50})
    module_gateway.endpoint(starting, name="cold")
    module_gateway.publish()
    return module_gateway


def column(name: str, *values: float) -> dict[str, Any]:
    return {"name": name, "shape": [len(values)], "datatype": "FP64", "data": list(values)}


def infer(gateway: GatewayProcess, model: str = "wines", *, headers: Any = None, **body: Any) -> Reply:
    asked = {"inputs": [column("alcohol", 1.5, 2), column("acidity", 0, 0)], **body}
    return gateway.request("POST", f"/wines/v2/models/{model}/infer", json.dumps(asked), headers)


class TestServer:
    def test_server_metadata_lists_the_binary_tensor_extension(self, gateway: GatewayProcess) -> None:
        said = gateway.request("GET", "/wines/v2").json
        assert said["name"] == "modelyard"
        assert said["version"]
        assert said["extensions"] == ["binary_tensor_data"]

    def test_server_is_live_without_a_worker_and_ready_with_a_worker(self, gateway: GatewayProcess) -> None:
        assert gateway.request("GET", "/wines/v2/health/live").json == {"live": True}
        assert gateway.request("GET", "/wines/v2/health/ready").json == {"ready": True}
        assert gateway.request("GET", "/cold/v2/health/live").status == 200
        unready = gateway.request("GET", "/cold/v2/health/ready")
        assert (unready.status, unready.headers["retry-after"], list(unready.json)) == (503, "1", ["error"])

    def test_repository_index_lists_models_with_their_readiness(self, gateway: GatewayProcess) -> None:
        ready = {"name": "wine", "state": "READY", "reason": ""}
        listed = gateway.request("POST", "/wines/v2/repository/index", "{}").json
        assert listed == [{**ready, "version": "1"}, {**ready, "version": "2"}]
        (cold,) = gateway.request("POST", "/cold/v2/repository/index").json
        assert cold["state"] == "UNAVAILABLE"

    @pytest.mark.parametrize("path", ["v2", "v2/health/live", "v2/health/ready", "v2/models/wines", "v2/nowhere"])
    def test_every_v2_path_needs_the_key(self, gateway: GatewayProcess, path: str) -> None:
        reply = gateway.request("GET", f"/wines/{path}", headers={"Authorization": ""})
        assert (reply.status, list(reply.json)) == (401, ["error"])

    def test_unknown_v2_path_is_a_404_with_an_error(self, gateway: GatewayProcess) -> None:
        for path in ("v2/nowhere", "v2/models", "v2/models/wines/config", "v2/models/wines/versions", "v2/health"):
            assert list(gateway.request("GET", f"/wines/{path}").json) == ["error"]
            assert gateway.request("GET", f"/wines/{path}").status == 404

    def test_wrong_method_is_a_405_with_the_allowed_methods(self, gateway: GatewayProcess) -> None:
        reply = gateway.request("GET", "/wines/v2/models/wines/infer")
        assert (reply.status, reply.headers["allow"], list(reply.json)) == (405, "POST, OPTIONS", ["error"])
        assert gateway.request("HEAD", "/wines/v2/models/wines").status == 200


class TestModelMetadata:
    def test_model_metadata_has_a_tensor_for_each_column(self, gateway: GatewayProcess) -> None:
        said = gateway.request("GET", "/wines/v2/models/blue").json
        double = {"datatype": "FP64", "shape": [-1, 1], "parameters": {"content_type": "np"}}
        assert said == {
            "name": "blue",
            "versions": ["1"],
            "platform": "mlflow_sklearn",
            "inputs": [{"name": "alcohol", **double}, {"name": "acidity", **double}],
            "outputs": [{"name": "quality", **double}],
        }

    def test_model_metadata_has_datatype_and_content_type_of_every_declared_type(self, gateway: GatewayProcess) -> None:
        said = gateway.request("GET", "/wines/v2/models/typed").json
        assert [(each["name"], each["datatype"], each["parameters"]["content_type"]) for each in said["inputs"]] == [
            ("a boolean", "BOOL", "np"),
            ("a integer", "INT32", "np"),
            ("a long", "INT64", "np"),
            ("a float", "FP32", "np"),
            ("a double", "FP64", "np"),
            ("a string", "BYTES", "str"),
            ("a binary", "BYTES", "base64"),
            ("a datetime", "BYTES", "datetime"),
            ("a any", "BYTES", "pd_json"),
        ]

    def test_model_metadata_names_unnamed_tensors(self, gateway: GatewayProcess) -> None:
        tensor = gateway.request("GET", "/wines/v2/models/tensor").json
        assert [(each["name"], each["shape"]) for each in tensor["inputs"]] == [("input-0", [-1, 3])]
        assert [(each["name"], each["datatype"]) for each in tensor["outputs"]] == [("predict", "FP32")]
        typed = gateway.request("GET", "/wines/v2/models/typed").json
        assert [each["name"] for each in typed["outputs"]] == ["output-0", "output-1"]

    def test_model_ready_tells_the_readiness_of_its_deployment(self, gateway: GatewayProcess) -> None:
        assert gateway.request("GET", "/wines/v2/models/wine/ready").json == {"name": "wine", "ready": True}
        assert gateway.request("GET", "/wines/v2/models/starting/ready").status == 503


class TestModelName:
    def test_endpoint_name_in_the_path_chooses_by_the_traffic(self, gateway: GatewayProcess) -> None:
        answered = {infer(gateway).headers["azureml-model-deployment"] for _ in range(40)}
        assert answered == {"blue", "green"}

    def test_registered_model_name_in_the_path_chooses_by_the_traffic(self, gateway: GatewayProcess) -> None:
        answered = {infer(gateway, "wine").headers["azureml-model-deployment"] for _ in range(40)}
        assert answered == {"blue", "green"}

    @pytest.mark.parametrize("name", ["wine", "wines"])
    def test_version_in_the_path_chooses_a_deployment_of_that_version(self, gateway: GatewayProcess, name: str) -> None:
        for version, deployment in (("1", "blue"), ("2", "green")):
            reply = infer(gateway, f"{name}/versions/{version}")
            assert reply.headers["azureml-model-deployment"] == deployment
            assert reply.json["model_version"] == version

    def test_deployment_name_in_the_path_chooses_it_without_traffic(self, gateway: GatewayProcess) -> None:
        assert infer(gateway, "green").headers["azureml-model-deployment"] == "green"
        assert infer(gateway, "green/versions/2").status == 200
        assert gateway.request("GET", "/wines/v2/models/tensor").json["versions"] == ["1"]

    def test_deployment_header_decides_over_the_name_in_the_path(self, gateway: GatewayProcess) -> None:
        green = {"azureml-model-deployment": "green"}
        for name in ("wine", "wines", "wine/versions/2"):
            assert infer(gateway, name, headers=green).headers["azureml-model-deployment"] == "green"
        assert infer(gateway, "wine/versions/1", headers=green).status == 404
        assert infer(gateway, "blue", headers=green).status == 404

    @pytest.mark.parametrize("name", ["cider", "wine/versions/3", "green/versions/1", "w%69ne%20", "%F0%9F%8D%B7"])
    def test_unknown_model_name_in_the_path_is_a_404(self, gateway: GatewayProcess, name: str) -> None:
        for reply in (infer(gateway, name), gateway.request("GET", f"/wines/v2/models/{name}")):
            assert (reply.status, list(reply.json)) == (404, ["error"])

    def test_model_name_in_the_path_may_be_percent_encoded(self, gateway: GatewayProcess) -> None:
        assert infer(gateway, "w%69ne").json["model_name"] == "wine"


class TestAnswer:
    def test_answer_has_the_declared_output_name_and_the_shape_of_a_column(self, gateway: GatewayProcess) -> None:
        reply = infer(gateway, "blue", id="order 66")
        assert reply.headers["content-type"] == "application/json"
        assert float(reply.headers["x-ms-run-fn-exec-ms"]) >= 0
        assert reply.json == {
            "model_name": "blue",
            "model_version": "1",
            "id": "order 66",
            "outputs": [
                {
                    "name": "quality",
                    "datatype": "FP64",
                    "shape": [2, 1],
                    "parameters": {"content_type": "np"},
                    "data": [3.0, 4.0],
                }
            ],
        }

    def test_answer_without_a_requested_id_has_the_request_id(self, gateway: GatewayProcess) -> None:
        reply = infer(gateway)
        assert reply.json["id"] == reply.headers["x-request-id"]

    def test_answer_has_the_requested_outputs(self, gateway: GatewayProcess) -> None:
        assert [each["name"] for each in infer(gateway, "blue", outputs=[{"name": "quality"}]).json["outputs"]] == [
            "quality"
        ]
        assert [each["name"] for each in infer(gateway, "green", outputs=[]).json["outputs"]] == ["predict"]
        unknown = infer(gateway, "blue", outputs=[{"name": "price"}])
        assert unknown.status == 400
        assert "'price'" in unknown.json["error"]
        assert "'quality'" in unknown.json["error"]


class TestErrors:
    def test_error_lists_every_violation_of_the_signature(self, gateway: GatewayProcess) -> None:
        reply = infer(gateway, inputs=[{"name": "alcohol", "shape": [1], "datatype": "BYTES", "data": ["strong"]}])
        assert (reply.status, list(reply.json)) == (400, ["error"])
        assert "column 'alcohol', row 0: expected double" in reply.json["error"]
        assert "missing required column 'acidity' (double)" in reply.json["error"]

    def test_model_that_raises_is_a_424_with_its_exception(self, gateway: GatewayProcess) -> None:
        reply = infer(gateway, inputs=[column("alcohol", -1), column("acidity", 0)])
        assert (reply.status, list(reply.json)) == (424, ["error"])
        assert reply.headers["ms-azureml-model-error-statuscode"] == "500"
        assert "ValueError: no such grape" in reply.json["error"]

    @pytest.mark.parametrize(
        "body",
        [
            "",
            "{",
            "[]",
            "{}",
            '{"inputs": []}',
            '{"inputs": {}}',
            '{"inputs": [5]}',
            '{"inputs": [{}]}',
            '{"inputs": [{"name": 5}]}',
            '{"inputs": [{"name": "x"}]}',
            '{"inputs": [{"name": "x", "datatype": "FP64"}]}',
            '{"inputs": [{"name": "x", "datatype": "FP64", "shape": [1]}]}',
            '{"inputs": [{"name": "x", "datatype": "FP64", "shape": [1], "data": {}}]}',
            '{"inputs": [{"name": "x", "datatype": "FP64", "shape": [2], "data": [1]}]}',
            '{"inputs": [{"name": "x", "datatype": "FP64", "shape": [-1], "data": [1]}]}',
            '{"inputs": [{"name": "x", "datatype": "FP64", "shape": [true], "data": [1]}]}',
            '{"inputs": [{"name": "x", "datatype": "FP64", "shape": 1, "data": [1]}]}',
            '{"inputs": [{"name": "x", "datatype": "FP64", "shape": [0, 9000000000], "data": []}]}',
            '{"inputs": [{"name": "x", "datatype": "FP64", "shape": [3], "data": [[1], [2, 3]]}]}',
            '{"inputs": [{"name": "x", "datatype": "FP64", "shape": [2], "data": [1, [2]]}]}',
            '{"inputs": [{"name": "x", "datatype": "FP64", "shape": [1], "data": ["abc"]}]}',
            '{"inputs": [{"name": "x", "datatype": "INT64", "shape": [1], "data": [1.5]}]}',
            '{"inputs": [{"name": "x", "datatype": "INT8", "shape": [1], "data": [128]}]}',
            '{"inputs": [{"name": "x", "datatype": "UINT8", "shape": [1], "data": [-1]}]}',
            '{"inputs": [{"name": "x", "datatype": "FP16", "shape": [1], "data": [70000.5]}]}',
            '{"inputs": [{"name": "x", "datatype": "BOOL", "shape": [1], "data": [2]}]}',
            '{"inputs": [{"name": "x", "datatype": "BYTES", "shape": [1], "data": [1]}]}',
            '{"inputs": [{"name": "x", "datatype": "BF16", "shape": [1], "data": [1]}]}',
            '{"inputs": [{"name": "x", "datatype": "fp64", "shape": [1], "data": [1]}]}',
            '{"inputs": [{"name": "x", "datatype": 64, "shape": [1], "data": [1]}]}',
            '{"inputs": [{"name": "x", "datatype": "FP64", "shape": [1], "parameters": {"binary_data_size": 8}}]}',
            '{"inputs": [{"name": "x", "datatype": "FP64", "shape": [1], "parameters": {"binary_data_size": -1}}]}',
            '{"inputs": [{"name": "x", "datatype": "FP64", "shape": [1], "parameters": 5, "data": [1]}]}',
            '{"inputs": [{"name": "x", "datatype": "FP64", "shape": [1], "data": [NaN}]}',
        ],
    )
    def test_malformed_infer_request_is_a_400_with_a_message(self, gateway: GatewayProcess, body: str) -> None:
        reply = gateway.request("POST", "/wines/v2/models/wines/infer", body)
        assert (reply.status, list(reply.json)) == (400, ["error"])
        assert reply.json["error"]

    @pytest.mark.parametrize(
        "more",
        [
            {"inputs": [column("alcohol", 1), column("alcohol", 1)]},
            {"outputs": 5},
            {"outputs": [5]},
            {"outputs": [{"name": "predict", "parameters": {"binary_data": "yes"}}]},
            {"outputs": [{"name": "predict", "parameters": {"classification": 3}}]},
            {"parameters": []},
            {"parameters": {"binary_data_output": 1}},
            {"id": 66},
        ],
    )
    def test_invalid_field_of_an_infer_request_is_a_400(self, gateway: GatewayProcess, more: dict[str, Any]) -> None:
        reply = infer(gateway, **more)
        assert (reply.status, list(reply.json)) == (400, ["error"])

    @pytest.mark.parametrize("length", ["-1", "x", "9999", "1" * 40, "4.0"])
    def test_invalid_json_length_header_is_a_400(self, gateway: GatewayProcess, length: str) -> None:
        reply = infer(gateway, headers={"Inference-Header-Content-Length": length})
        assert (reply.status, list(reply.json)) == (400, ["error"])

    def test_unknown_deployment_is_a_404(self, gateway: GatewayProcess) -> None:
        reply = infer(gateway, headers={"azureml-model-deployment": "red"})
        assert (reply.status, list(reply.json)) == (404, ["error"])
        assert list(gateway.request("GET", "/nowhere/v2/models/wine").json) == ["error"]
