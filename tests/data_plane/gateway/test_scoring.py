"""`POST /{endpoint}/score`: the input of the model, and the answer for the caller."""

import json
import uuid
from typing import Any

import pytest

from tests.data_plane.gateway.gateway_process import DOUBLES, MIRROR, GatewayProcess

PARAMS = json.dumps([{"name": "k", "type": "long", "default": 5, "shape": None}])
TENSOR = json.dumps([{"type": "tensor", "tensor-spec": {"dtype": "float64", "shape": [-1, 3]}}])
TENSORS = json.dumps(
    [{"name": "x", "type": "tensor", "tensor-spec": {"dtype": "float32", "shape": [-1, 2]}},
     {"name": "mask", "type": "tensor", "tensor-spec": {"dtype": "int64", "shape": [-1]}}]
)  # fmt: skip

# Answers with the named kind of value.
ANSWERS = """
    import datetime
    import numpy as np
    import pandas as pd

    ANSWERS = {
        "ndarray": lambda: np.array([[1.5, float("nan")], [float("inf"), 2.0]]),
        "integers": lambda: np.array([1, 2]),
        "frame": lambda: pd.DataFrame({"a": [1.0, float("nan")], "b": ["x", None]}),
        "series": lambda: pd.Series([1, 2], name="n"),
        "scalar": lambda: np.float32(0.5),
        "bytes": lambda: [b"\\x00\\xff"],
        "datetime": lambda: pd.DataFrame({"t": pd.to_datetime(["2024-05-31T12:00:00"])}),
        "nested": lambda: {"labels": ["a"], "score": float("-inf")},
    }

    def init():
        pass

    def run(input_data, params=None):
        return ANSWERS[input_data]()
"""


@pytest.fixture(scope="module")
def gateway(module_gateway: GatewayProcess) -> GatewayProcess:
    blue, _ = module_gateway.deployment(MIRROR, name="blue", inputs=DOUBLES, params=PARAMS)
    single, _ = module_gateway.deployment(MIRROR, name="single", inputs=TENSOR)
    named, _ = module_gateway.deployment(MIRROR, name="named", inputs=TENSORS)
    unsigned, _ = module_gateway.deployment(MIRROR, name="unsigned")
    answers, _ = module_gateway.deployment(ANSWERS, name="answers")
    module_gateway.endpoint(blue, single, named, unsigned, answers)
    module_gateway.publish()
    return module_gateway


def ask(gateway: GatewayProcess, deployment: str, input_data: Any, **more: Any) -> Any:
    reply = gateway.score(input_data, headers={"azureml-model-deployment": deployment}, **more)
    assert reply.status == 200, reply
    return reply.json


class TestModelInput:
    ROWS = ((1, 2.5), (3, None))

    @pytest.mark.parametrize(
        "input_data",
        [
            {"columns": ["alcohol", "acidity"], "index": [7, 8], "data": ROWS},
            {"columns": ["alcohol", "acidity"], "data": ROWS},
            {"columns": ["acidity", "surplus", "alcohol"], "data": [[2.5, "x", 1], [None, "y", 3]]},
            [{"alcohol": 1, "acidity": 2.5}, {"alcohol": 3, "acidity": None}],
            ROWS,
            {"alcohol": [1, 3], "acidity": [2.5, None]},
        ],
        ids=["split", "split without index", "reordered with surplus", "records", "rows", "columns"],
    )
    def test_column_signature_makes_a_frame_of_every_layout(self, gateway: GatewayProcess, input_data: Any) -> None:
        assert ask(gateway, "blue", input_data) == {
            "kind": "DataFrame",
            "data": [{"alcohol": 1.0, "acidity": 2.5}, {"alcohol": 3.0, "acidity": None}],
            "dtypes": ["float64", "float64"],
            "params": {"k": 5},
        }

    def test_tensor_signature_makes_an_array(self, gateway: GatewayProcess) -> None:
        assert ask(gateway, "single", [[1, 2, 3]]) == {"kind": "ndarray", "data": [[1.0, 2.0, 3.0]], "params": None}

    def test_named_tensors_make_a_dict_of_arrays(self, gateway: GatewayProcess) -> None:
        answer = ask(gateway, "named", {"mask": [1], "x": [[1, 2]], "surplus": 5})
        assert answer == {"kind": "dict", "data": {"x": [[1.0, 2.0]], "mask": [1]}, "params": None}

    @pytest.mark.parametrize(
        ("input_data", "kind"),
        [
            ({"columns": ["a"], "data": [[1]]}, "DataFrame"),
            ({"a": [1]}, "dict"),
            ([[1, 2]], "ndarray"),
            (["x", 1], "list"),
        ],
    )
    def test_without_a_signature_the_shape_of_the_body_decides(
        self, gateway: GatewayProcess, input_data: Any, kind: str
    ) -> None:
        assert ask(gateway, "unsigned", input_data)["kind"] == kind

    def test_declared_params_are_cast_and_undeclared_params_left_out(self, gateway: GatewayProcess) -> None:
        assert ask(gateway, "blue", [[1, 2]], params={"k": 9.0, "other": 1})["params"] == {"k": 9}
        assert ask(gateway, "unsigned", [[1, 2]], params={"k": 9})["params"] == {}
        assert ask(gateway, "unsigned", [[1, 2]])["params"] is None


class TestAnswer:
    @pytest.mark.parametrize(
        ("kind", "expected"),
        [
            ("ndarray", [[1.5, None], [None, 2.0]]),
            ("integers", [1, 2]),
            ("frame", [{"a": 1.0, "b": "x"}, {"a": None, "b": None}]),
            ("series", [{"n": 1}, {"n": 2}]),
            ("scalar", 0.5),
            ("bytes", ["AP8="]),
            ("datetime", [{"t": "2024-05-31T12:00:00"}]),
            ("nested", {"labels": ["a"], "score": None}),
        ],
    )
    def test_result_is_bare_with_nan_and_infinity_as_null(
        self, gateway: GatewayProcess, kind: str, expected: Any
    ) -> None:
        assert ask(gateway, "answers", kind) == expected

    def test_headers_name_the_deployment_and_the_models_time(self, gateway: GatewayProcess) -> None:
        headers = gateway.score([[1, 2]]).headers
        assert headers["content-type"] == "application/json"
        assert headers["azureml-model-deployment"] == "blue"
        assert headers["x-ms-run-function-failed"] == "False"
        assert float(headers["x-ms-run-fn-exec-ms"]) >= 0

    def test_every_answer_has_a_new_request_id(self, gateway: GatewayProcess) -> None:
        sent = {"x-request-id": str(uuid.uuid4())}
        ids = {gateway.score([[1, 2]], headers=sent).headers["x-request-id"] for _ in range(2)}
        ids.add(gateway.score("refused", headers=sent).headers["x-request-id"])
        assert len(ids) == 3
        assert sent["x-request-id"] not in ids
        assert all(str(uuid.UUID(each)) == each for each in ids)

    def test_valid_client_request_id_is_returned(self, gateway: GatewayProcess) -> None:
        def echoed(sent: str) -> str | None:
            return gateway.score([[1, 2]], headers={"x-ms-client-request-id": sent}).headers.get(
                "x-ms-client-request-id"
            )

        assert echoed("order-66_b") == "order-66_b"
        assert echoed("x" * 60) == "x" * 40
        assert echoed("two words") is None
        assert echoed("<script>") is None

    def test_large_body_is_scored(self, gateway: GatewayProcess) -> None:
        rows = [[0.5, 1.5]] * 50_000
        assert len(ask(gateway, "blue", rows)["data"]) == 50_000

    def test_requests_on_one_connection_are_answered_in_order(self, gateway: GatewayProcess) -> None:
        def request(value: int) -> bytes:
            body = json.dumps({"input_data": [[value, 0]]}).encode()
            head = "POST /wines/score HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer a key of the endpoint wines\r\n"
            head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n"
            return (head + ("Connection: close\r\n" if value == 4 else "") + "\r\n").encode() + body

        with gateway.raw() as connection:
            connection.sendall(b"".join(map(request, range(5))))
            received = b"".join(iter(lambda: connection.recv(1 << 16), b"")).decode()
        places = [received.index(f'"alcohol":{value}.0') for value in range(5)]
        assert places == sorted(places)
