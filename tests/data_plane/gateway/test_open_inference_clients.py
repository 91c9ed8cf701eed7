"""Clients of the Open Inference Protocol: Triton's client in the test's process, MLServer's types in an environment."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tritonclient.http as triton
from tritonclient.utils import InferenceServerException

from tests.cached_environments import cached_environment
from tests.data_plane.gateway.gateway_process import DOUBLES, KEY, GatewayProcess
from tests.data_plane.replicas.worker_harness import PATIENCE

OUTPUTS = json.dumps([{"type": "double", "name": "quality", "required": True}])
TEXT = json.dumps([{"type": "string", "name": "text", "required": True}])
TENSOR = json.dumps([{"type": "tensor", "tensor-spec": {"dtype": "float32", "shape": [-1, 2]}}])
MLSERVER = ("mlserver==1.7.1", "pandas==2.3.3")

SUMS = """
    def init():
        pass

    def run(input_data, params=None):
        return (input_data["alcohol"] + input_data["acidity"]).to_numpy()
"""
SHOUTS = """
    def init():
        pass

    def run(input_data, params=None):
        return [text.upper() for text in input_data["text"]]
"""
DOUBLES_IT = """
    def init():
        pass

    def run(input_data, params=None):
        return input_data * 2
"""


@pytest.fixture(scope="module")
def gateway(module_gateway: GatewayProcess) -> GatewayProcess:
    sums, _ = module_gateway.deployment(SUMS, name="sums", inputs=DOUBLES, outputs=OUTPUTS)
    shouts, _ = module_gateway.deployment(SHOUTS, name="shouts", inputs=TEXT)
    tensor, _ = module_gateway.deployment(DOUBLES_IT, name="tensor", inputs=TENSOR)
    frame, _ = module_gateway.deployment(DOUBLES_IT, name="frame")
    module_gateway.endpoint(sums, shouts, tensor, frame)
    module_gateway.publish()
    return module_gateway


@pytest.fixture
def client(gateway: GatewayProcess) -> Iterator[triton.InferenceServerClient]:
    with triton.InferenceServerClient(
        f"127.0.0.1:{gateway.port}/wines", connection_timeout=PATIENCE, network_timeout=PATIENCE
    ) as client:
        yield client


def with_key() -> dict[str, str]:
    """Return a new dict for each call, because the client adds headers to the dict."""
    return {"Authorization": f"Bearer {KEY}"}


def tensor(name: str, array: Any, datatype: str, *, binary: bool) -> triton.InferInput:
    made = triton.InferInput(name, list(array.shape), datatype)
    made.set_data_from_numpy(array, binary_data=binary)
    return made


@pytest.mark.parametrize("binary", [True, False], ids=["binary", "json"])
class TestInferWithTritonsClient:
    def test_tritons_client_sends_a_tensor_for_each_column(
        self, client: triton.InferenceServerClient, binary: bool
    ) -> None:
        inputs = [tensor("acidity", np.array([0.5, 1]), "FP64", binary=binary)]
        inputs.append(tensor("alcohol", np.array([9.4, 10], "float32"), "FP32", binary=binary))
        outputs = [triton.InferRequestedOutput("quality", binary_data=binary)]
        answer = client.infer("wine", inputs, "1", outputs, request_id="7", headers=with_key())
        expected = np.array([[9.4], [10]], "float32").astype(float) + np.array([[0.5], [1]])
        np.testing.assert_array_equal(answer.as_numpy("quality"), expected)
        assert answer.get_response()["id"] == "7"

    def test_tritons_client_sends_a_tensor_of_rows(self, client: triton.InferenceServerClient, binary: bool) -> None:
        rows = np.arange(6, dtype="float32").reshape(3, 2)
        outputs = [triton.InferRequestedOutput("predict", binary_data=binary)]
        answer = client.infer("tensor", [tensor("x", rows, "FP32", binary=binary)], outputs=outputs, headers=with_key())
        np.testing.assert_array_equal(answer.as_numpy("predict"), rows * 2)
        assert answer.as_numpy("predict").dtype == "float32"

    def test_tritons_client_sends_and_receives_text(self, client: triton.InferenceServerClient, binary: bool) -> None:
        texts = np.array(["merlot", "rosé"], dtype=object)
        outputs = [triton.InferRequestedOutput("predict", binary_data=binary)]
        answer = client.infer(
            "shouts", [tensor("text", texts, "BYTES", binary=binary)], outputs=outputs, headers=with_key()
        )
        given = answer.as_numpy("predict").ravel().tolist()
        assert [each.decode() if isinstance(each, bytes) else each for each in given] == ["MERLOT", "ROSÉ"]

    @pytest.mark.parametrize(
        "dtype",
        ["bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "float16", "float64"],
    )
    def test_tritons_client_sends_every_datatype(
        self, client: triton.InferenceServerClient, binary: bool, dtype: str
    ) -> None:
        if dtype == "float16" and not binary:
            # The client itself has no JSON for it.
            return
        limits = (
            [0, 1] if dtype in ("bool", "float16", "float64") else [np.iinfo(dtype).min // 2, np.iinfo(dtype).max // 2]
        )
        array = np.array(limits, dtype)
        datatype = {"bool": "BOOL", "float16": "FP16", "float64": "FP64"}.get(dtype, dtype.upper())
        answer = client.infer("frame", [tensor("x", array, datatype, binary=binary)], headers=with_key())
        np.testing.assert_array_equal(answer.as_numpy("predict").ravel(), array * 2)

    def test_tritons_client_receives_missing_numbers(self, client: triton.InferenceServerClient, binary: bool) -> None:
        rows = np.array([[1, np.nan]], dtype="float32")
        answer = client.infer("tensor", [tensor("x", rows, "FP32", binary=binary)], headers=with_key())
        np.testing.assert_array_equal(answer.as_numpy("predict"), rows * 2)


class TestTritonsClient:
    def test_tritons_client_finds_server_and_model_live_and_ready(self, client: triton.InferenceServerClient) -> None:
        assert client.is_server_live(headers=with_key())
        assert client.is_server_ready(headers=with_key())
        assert client.is_model_ready("wine", "1", headers=with_key())
        assert not client.is_model_ready("cider", headers=with_key())
        assert not client.is_server_live()

    def test_tritons_client_reads_metadata_and_index(self, client: triton.InferenceServerClient) -> None:
        assert client.get_server_metadata(headers=with_key())["extensions"] == ["binary_tensor_data"]
        metadata = client.get_model_metadata("sums", "1", headers=with_key())
        assert [each["name"] for each in metadata["inputs"]] == ["alcohol", "acidity"]
        (model,) = client.get_model_repository_index(headers=with_key())
        assert (model["name"], model["version"], model["state"]) == ("wine", "1", "READY")

    def test_tritons_client_raises_the_gateways_error(self, client: triton.InferenceServerClient) -> None:
        with pytest.raises(InferenceServerException, match=r"missing required column 'alcohol' \(double\)") as refused:
            client.infer("sums", [tensor("acidity", np.array([1.0]), "FP64", binary=True)], headers=with_key())
        assert refused.value.status() == "400"
        with pytest.raises(InferenceServerException, match="'cider'"):
            client.get_model_metadata("cider", headers=with_key())


# Sends requests with MLServer's types and codecs, in an environment with MLServer's pandas and pydantic.
PEER = """
import json
import sys
import urllib.request

import numpy as np
import pandas as pd
from mlserver.codecs import NumpyCodec, NumpyRequestCodec, PandasCodec, StringCodec, StringRequestCodec
from mlserver.types import (
    InferenceRequest, InferenceResponse, MetadataModelResponse, MetadataServerResponse, Parameters,
    RepositoryIndexResponse, RequestInput,
)

base, key = sys.argv[1:]


def call(path, body=None):
    headers = {"Authorization": "Bearer " + key, "Content-Type": "application/json"}
    request = urllib.request.Request(base + path, body, headers)
    with urllib.request.urlopen(request) as response:
        return response.read()


def infer(model, request):
    answer = call("/v2/models/" + model + "/infer", request.model_dump_json().encode())
    return InferenceResponse.model_validate_json(answer)


frame = pd.DataFrame({"acidity": [0.5, 1.0], "alcohol": [9.4, 10.0]})
seen = {}
seen["server"] = MetadataServerResponse.model_validate_json(call("/v2")).name
seen["model"] = [each.name for each in MetadataModelResponse.model_validate_json(call("/v2/models/wine")).inputs]
seen["index"] = [each.name for each in RepositoryIndexResponse.model_validate_json(call("/v2/repository/index", b"{}"))]

answer = infer("wine", PandasCodec.encode_request(frame, use_bytes=False))
seen["sums"] = NumpyCodec.decode_output(answer.outputs[0]).tolist()
seen["named"] = [answer.model_name, answer.model_version, answer.outputs[0].name]

rows = np.array([[1.5, 2.5]], dtype="float32")
answer = infer("tensor", NumpyRequestCodec.encode_request(rows))
seen["rows"] = NumpyRequestCodec.decode_response(answer).tolist()

answer = infer("shouts", StringRequestCodec.encode_request(["merlot", "rosé"], use_bytes=False))
seen["shouts"] = StringCodec.decode_output(answer.outputs[0])

mixed = pd.DataFrame({"n": [1, 2], "s": ["a", "b"]})
answer = infer("frame", PandasCodec.encode_request(mixed, use_bytes=False))
decoded = {each.name: (NumpyCodec if each.parameters.content_type == "np" else StringCodec).decode_output(each)
           for each in answer.outputs}
seen["frame"] = [np.ravel(decoded["n"]).tolist(), decoded["s"], answer.parameters.content_type]

request = InferenceRequest(id="66", parameters=Parameters(content_type="pd"), inputs=[
    RequestInput(name="n", shape=[1], datatype="INT64", data=[21], parameters=Parameters(content_type="np"))])
answer = infer("frame", request)
seen["hand made"] = [answer.id, answer.outputs[0].data.root]
print(json.dumps(seen))
"""


@pytest.fixture(scope="module")
def mlserver_python() -> Path:
    """The python of an environment with MLServer."""
    return cached_environment(sys.executable, MLSERVER)


class TestMlserversTypes:
    def test_mlservers_types_encode_requests_and_decode_answers(
        self, gateway: GatewayProcess, mlserver_python: Path
    ) -> None:
        command = [mlserver_python, "-c", PEER, f"http://127.0.0.1:{gateway.port}/wines", KEY]
        peer = subprocess.run(command, capture_output=True, text=True, check=False, timeout=5 * PATIENCE)
        assert peer.returncode == 0, peer.stderr
        assert json.loads(peer.stdout) == {
            "server": "modelyard",
            "model": ["alcohol", "acidity"],
            "index": ["wine"],
            "sums": [[9.9], [11.0]],
            "named": ["wine", "1", "quality"],
            "rows": [[3.0, 5.0]],
            "shouts": ["MERLOT", "ROSÉ"],
            "frame": [[2, 4], ["aa", "bb"], "pd"],
            "hand made": ["66", [42]],
        }
