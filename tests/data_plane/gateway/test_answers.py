"""Results of every kind, from a model in a worker, through each protocol, compared with MLflow's server."""

import io
import json
import math
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from mlflow.pyfunc.scoring_server import predictions_to_json

from tests.data_plane.gateway import answering_script
from tests.data_plane.gateway.answering_script import KINDS
from tests.data_plane.gateway.gateway_process import GatewayProcess, Reply

SCRIPT = Path(answering_script.__file__).read_text()

NUMBERS = [0, 1, 100]
SECOND = "2024-01-02T03:04:05"
# What MLflow cannot answer, or answers otherwise: NaN as such, bytes with line breaks, moments as nanoseconds.
OURS: dict[str, Any] = {
    "long double": [0.5],
    "bytes in an array": ["YWI=", "/w=="],
    "nanoseconds": [f"{SECOND}.500000", None, f"{SECOND}.123456789"],
    "durations": [1.5, None],
    "frame of anything": [{"a": value} for value in (1, "x", None, 2.5, [None], {"b": "YQ=="})],
    "frame of bytes": [{"a": "//4="}],
    "frame with names of several levels": [{"('a', 1)": 1}],
    "frame with moments for names": [{"2024-01-02T00:00:00": 1}],
    "frame with half a surrogate": [{"?": "?"}],
    "datetimes": [{"a": f"{SECOND}.500000"}, {"a": None}],
    "durations in a frame": [{"a": 90.0}, {"a": None}],
    "period": [{"a": "2024-01"}],
    "interval": [{"a": "(0, 1]"}],
    "index": [1, 2],
    "extension array": [1, None],
    "csr": [[0.0, 1.5], [None, 0.0]],
    "csc": [[0, 1]],
    "half a surrogate": ["a?b", {"?": "??"}],
    "bytes": "//4=",
    "many bytes": "A" * 132,
    "list of frames": [[{"a": 1}]],
    "dict of everything": {"frame": [{"a": 1}], "series": [{"0": 1}], "n": {"k": 0.5}},
    "dict with numpy's keys": {"2": "2024-01-02"},
    "collections": [[1], [2], [3], [0, 1], [4]],
    "NaT and NA": [None, None],
    "duration": 90.0,
    "Timedelta": 90.0,
    "decimals": [1.5, None, None, 0.5],
    "UUID": "00000000-0000-0000-0000-000000000001",
    "enum": "red",
    "dataclass": [{"name": "Rioja", "rating": None}],
    "chat response": {
        "choices": [{"index": 0, "message": {"role": "assistant", "content": "hi"}, "finish_reason": "stop"}],
        "model": "m",
        "object": "chat.completion",
        "created": 1,
    },
}
# What the caller is told of answers that have no JSON.
REFUSED = {
    "complex numbers": "holds a numpy.complex128, which JSON cannot express",
    "nested 100,000 times": "contains itself, or is nested too deep",
    "a list in itself": "contains itself, or is nested too deep",
    "a dict in itself": "contains itself, or is nested too deep",
    "generator": "holds a builtins.generator, which JSON cannot express",
    "function": "holds a builtins.builtin_function_or_method, which JSON cannot express",
    "module": "holds a builtins.module, which JSON cannot express",
    "tuple as a key": "holds a builtins.tuple, which JSON cannot express",
}
ANSWERED = [kind for kind in KINDS if kind not in REFUSED]


@pytest.fixture(scope="module")
def gateway(module_gateway: GatewayProcess) -> Iterator[GatewayProcess]:
    module_gateway.serve(SCRIPT)
    return module_gateway


def strict(text: bytes) -> Any:
    """Parse strict JSON."""
    return json.loads(text.decode(), parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))


def mlflows(kind: str) -> Any:
    """Return the answer of MLflow's server, with null for values that are not JSON."""
    written = io.StringIO()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "DataFrame columns are not unique", UserWarning)
        predictions_to_json(KINDS[kind](), written)
    return json.loads(written.getvalue(), parse_constant=lambda _: None)["predictions"]


def infer(gateway: GatewayProcess, kind: str) -> Reply:
    tensor = {"name": "x", "shape": [1], "datatype": "BYTES", "parameters": {"content_type": "str"}, "data": [kind]}
    body = json.dumps({"inputs": [tensor], "parameters": {"content_type": "str"}})
    return gateway.request("POST", "/wines/v2/models/wines/infer", body)


class TestResultOfAnyKind:
    @pytest.mark.parametrize("kind", ANSWERED)
    def test_result_of_any_kind_is_bare_json_for_azure(self, gateway: GatewayProcess, kind: str) -> None:
        reply = gateway.score(kind)
        assert reply.status == 200, reply.content
        assert strict(reply.content) == expected(kind)

    @pytest.mark.parametrize("kind", ANSWERED)
    def test_result_of_any_kind_is_under_predictions_for_mlflow(self, gateway: GatewayProcess, kind: str) -> None:
        reply = gateway.request("POST", "/wines/invocations", json.dumps({"inputs": [kind]}))
        assert reply.status == 200, reply.content
        assert strict(reply.content) == {"predictions": expected(kind)}

    @pytest.mark.parametrize("kind", ANSWERED)
    def test_result_of_any_kind_is_well_formed_tensors_for_open_inference(
        self, gateway: GatewayProcess, kind: str
    ) -> None:
        reply = infer(gateway, kind)
        assert reply.status == 200, reply.content
        outputs = strict(reply.content)["outputs"]
        assert len({output["name"] for output in outputs}) == len(outputs)
        for output in outputs:
            assert len(flat(output["data"])) == math.prod(output["shape"])


def expected(kind: str) -> Any:
    return OURS[kind] if kind in OURS else mlflows(kind)


def flat(data: Any) -> list[Any]:
    return [each for part in data for each in flat(part)] if isinstance(data, list) else [data]


# (name, datatype, shape, data) of each output.
TENSORS: dict[str, list[tuple[str, str, list[int], list[Any]]]] = {
    **{
        dtype: [("predict", datatype, [3, 1], NUMBERS)]
        for dtype, datatype in {
            "i1": "INT8",
            "i2": "INT16",
            "i4": "INT32",
            "i8": "INT64",
            ">i4": "INT32",
            "u1": "UINT8",
            "u2": "UINT16",
            "u4": "UINT32",
            "u8": "UINT64",
            "f2": "FP16",
            "f4": "FP32",
            "f8": "FP64",
            ">f8": "FP64",
        }.items()
    },
    "tenth as f4": [("predict", "FP32", [1, 1], [0.1])],
    "NaN in an array": [("predict", "FP64", [2, 2], [1.5, None, None, None])],
    "0-d": [("predict", "FP64", [1], [1.5])],
    "no rows": [("predict", "FP64", [0, 3], [])],
    "nanoseconds": [("predict", "BYTES", [3, 1], OURS["nanoseconds"])],
    "frame": [
        ("a", "INT64", [2, 1], [1, 2]),
        ("b", "BYTES", [2, 1], ["x", "y"]),
        ("c", "FP64", [2, 1], [0.5, None]),
        ("d", "BOOL", [2, 1], [True, False]),
    ],
    "frame with a name twice": [("a", "INT64", [1, 1], [2])],
    "datetimes": [("a", "BYTES", [2, 1], [f"{SECOND}.500000", None])],
    "Int64": [("a", "FP64", [2, 1], [1, None])],
    "series": [("n", "INT64", [2, 1], [1, 2])],
    "dict of arrays": [("a", "INT64", [2, 1], [1, 2]), ("b", "FP64", [2, 1], [0.5, None])],
    "number": [("predict", "FP64", [1, 1], [1.5])],
    "bytes": [("predict", "BYTES", [1, 1], ["//4="])],
    "nothing": [("predict", "BYTES", [1, 1], ["null"])],
    "enum": [("predict", "BYTES", [1, 1], ["red"])],
    "pydantic model": [("name", "BYTES", [1, 1], ["Gouda"]), ("age", "FP64", [1, 1], [2.0])],
}


class TestTensors:
    @pytest.mark.parametrize("kind", TENSORS)
    def test_output_tensors_have_datatype_and_shape_of_the_result(self, gateway: GatewayProcess, kind: str) -> None:
        outputs = infer(gateway, kind).json["outputs"]
        shown = [(each["name"], each["datatype"], each["shape"], flat(each["data"])) for each in outputs]
        assert shown == TENSORS[kind]


class TestDifferencesFromMlflow:
    @pytest.mark.parametrize("kind", OURS)
    def test_every_difference_from_mlflow_is_listed(self, kind: str) -> None:
        try:
            theirs = mlflows(kind)
        except (TypeError, RecursionError):
            return
        assert theirs != OURS[kind]


class TestResultWithoutJson:
    @pytest.mark.parametrize("kind", REFUSED)
    def test_result_without_json_is_a_model_failure(self, gateway: GatewayProcess, kind: str) -> None:
        reply = gateway.score(kind)
        assert reply.status == 424
        assert REFUSED[kind] in reply.error["message"]

    @pytest.mark.parametrize("kind", REFUSED)
    def test_result_without_json_is_a_model_failure_in_every_protocol(self, gateway: GatewayProcess, kind: str) -> None:
        invoked = gateway.request("POST", "/wines/invocations", json.dumps({"inputs": [kind]}))
        assert (invoked.status, invoked.json["error_code"]) == (400, "BAD_REQUEST")
        assert REFUSED[kind] in invoked.json["message"]
        inferred = infer(gateway, kind)
        assert inferred.status == 424
        assert REFUSED[kind] in inferred.json["error"]

    def test_result_without_json_leaves_the_worker_usable(self, gateway: GatewayProcess) -> None:
        assert gateway.score("a dict in itself").status == 424
        assert gateway.score("integer").json == 3
