"""The model's input from the tensors of an infer request, as JSON and as binary data, and the output tensors."""

import base64
import json
import struct
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from tests.data_plane.gateway.gateway_process import GatewayProcess, Reply

WINE = {
    "fixed acidity": 7.4,
    "volatile acidity": 0.7,
    "citric acid": 0,
    "residual sugar": 1.9,
    "chlorides": 0.076,
    "free sulfur dioxide": 11,
    "total sulfur dioxide": 34,
    "density": 0.9978,
    "pH": 3.51,
    "sulphates": 0.56,
    "alcohol": 9.4,
}

# Describes the input, down to the dtypes.
WITNESS = """
    import base64
    import numpy as np
    import pandas as pd

    def shown(value):
        if isinstance(value, pd.DataFrame):
            columns = {str(name): [shown(each) for each in value[name].tolist()] for name in value.columns}
            return {"frame": columns, "dtypes": [str(dtype) for dtype in value.dtypes]}
        if isinstance(value, np.ndarray):
            return {"array": shown(value.tolist()), "dtype": str(value.dtype)}
        if isinstance(value, dict):
            return {str(name): shown(each) for name, each in value.items()}
        if isinstance(value, (list, tuple)):
            return [shown(each) for each in value]
        if isinstance(value, bytes):
            return "bytes " + base64.b64encode(value).decode()
        if value is None or value is pd.NaT or (isinstance(value, float) and value != value):
            return None
        return value.isoformat() if hasattr(value, "isoformat") else value

    def init():
        pass

    def run(input_data, params=None):
        return {"given": shown(input_data), "params": params}
"""

# Returns the kind of value that the only text of the input names.
ANSWERS = """
    import sys
    import numpy as np
    import pandas as pd

    sys.setrecursionlimit(5000)
    DEEP = []
    for _ in range(1100):
        DEEP = [DEEP]

    KINDS = {
        "deep": lambda: DEEP,
        "vector": lambda: np.array([1.5, float("nan"), float("inf")]),
        "matrix": lambda: np.arange(4, dtype="int32").reshape(2, 2),
        "cube": lambda: np.zeros((2, 1, 2), dtype="uint8"),
        "scalar array": lambda: np.array(7, dtype="int64"),
        "narrow": lambda: np.array([0.1], dtype="float32"),
        "half": lambda: np.array([0.5], dtype="float16"),
        "booleans": lambda: np.array([True, False]),
        "empty": lambda: np.zeros((0, 3)),
        "frame": lambda: pd.DataFrame({"a": [1.5, float("nan")], "b": ["x", None], 3: [1, 2], "d": [True, False]}),
        "moments": lambda: pd.DataFrame({"t": pd.to_datetime(["2024-05-31T12:00:00"]), "n": [1]}),
        "optional": lambda: pd.DataFrame({"a": pd.array([1, None], dtype="Int64")}),
        "series": lambda: pd.Series([1, 2], name="n"),
        "texts": lambda: ["a", "\\u00e9"],
        "text": lambda: "a",
        "number": lambda: 0.5,
        "list": lambda: [1, 2.5, None],
        "nested list": lambda: [[1, 2], [3, 4]],
        "ragged": lambda: [[1], [2, 3]],
        "mixed": lambda: [1, "a", {"k": None}],
        "object": lambda: {"label": "a", "score": 0.5},
        "object of lists": lambda: {"label": ["a", "b"], "score": [0.5, 1.5]},
        "nothing": lambda: None,
        "labels": lambda: [{"label": "a", "score": 0.5}, {"label": "b", "score": 1}],
    }

    def init():
        pass

    def run(input_data, params=None):
        return KINDS[str(np.asarray(input_data).ravel()[0])]()
"""


def columns(**types: str) -> str:
    return json.dumps(
        [{"name": name, "type": kind.removesuffix("?"), "required": "?" not in kind} for name, kind in types.items()]
    )


SIGNATURES = {
    "wine": json.dumps([{"type": "double", "name": name, "required": True} for name in WINE]),
    "mixed": columns(
        d="double", f="float?", l="long?", i="integer?", b="boolean?", s="string?", x="binary?", t="datetime?"
    ),
    "text": columns(text="string"),
    "nested": json.dumps([{"name": "v", "type": "array", "items": {"type": "double"}, "required": True}]),
    "tensor": json.dumps([{"type": "tensor", "tensor-spec": {"dtype": "float32", "shape": [-1, 2]}}]),
    "texts": json.dumps([{"type": "tensor", "tensor-spec": {"dtype": "str", "shape": [-1]}}]),
    "tensors": json.dumps(
        [{"name": "x", "type": "tensor", "tensor-spec": {"dtype": "float64", "shape": [-1, 2]}},
         {"name": "mask", "type": "tensor", "tensor-spec": {"dtype": "int64", "shape": [-1]}}]
    ),
}  # fmt: skip
PARAMS = json.dumps([{"name": "k", "type": "long", "default": 5, "shape": None}])


@pytest.fixture(scope="module")
def gateway(module_gateway: GatewayProcess) -> GatewayProcess:
    deployments = [
        module_gateway.deployment(WITNESS, name=name, inputs=inputs, params=PARAMS)[0]
        for name, inputs in SIGNATURES.items()
    ]
    deployments.append(module_gateway.deployment(WITNESS, name="unsigned")[0])
    deployments.append(module_gateway.deployment(WITNESS, name="hinted", type_hints=True)[0])
    deployments.append(module_gateway.deployment(ANSWERS, name="answers")[0])
    module_gateway.endpoint(*deployments)
    module_gateway.publish()
    return module_gateway


def tensor(
    name: str, datatype: str, data: Any, shape: Sequence[int] | None = None, **parameters: Any
) -> dict[str, Any]:
    return {
        "name": name,
        "datatype": datatype,
        "shape": list(np.shape(data) if shape is None else shape),
        "data": data,
        "parameters": parameters,
    }


def elements(*values: bytes) -> bytes:
    return b"".join(struct.pack("<I", len(value)) + value for value in values)


def post(gateway: GatewayProcess, model: str, inputs: list[dict[str, Any]], **more: Any) -> Reply:
    """Send an infer request; data given as bytes is sent as binary data."""
    described, binary = [], b""
    for each in inputs:
        if isinstance(each["data"], bytes):
            binary += each["data"]
            parameters = {**each["parameters"], "binary_data_size": len(each["data"])}
            each = {name: value for name, value in each.items() if name != "data"} | {"parameters": parameters}
        described.append(each)
    header = json.dumps({"inputs": described, **more}).encode()
    headers = {"Content-Type": "application/octet-stream", "Inference-Header-Content-Length": str(len(header))}
    path = f"/wines/v2/models/{model}/infer"
    return gateway.request("POST", path, header + binary, headers if binary else None)


def given(gateway: GatewayProcess, model: str, *inputs: dict[str, Any], **more: Any) -> Any:
    reply = post(gateway, model, list(inputs), **more)
    assert reply.status == 200, reply
    return json.loads(reply.json["outputs"][0]["data"][0])["given"]


def refused(gateway: GatewayProcess, model: str, *inputs: dict[str, Any], **more: Any) -> str:
    reply = post(gateway, model, list(inputs), **more)
    assert reply.status == 400, reply
    error: str = reply.json["error"]
    return error


class TestColumnSignature:
    def test_wine_request_of_mlservers_documentation_is_accepted(self, gateway: GatewayProcess) -> None:
        frame = given(gateway, "wine", *(tensor(name, "FP32", [value]) for name, value in WINE.items()))
        assert frame["dtypes"] == ["float64"] * 11
        assert frame["frame"] == {name: [float(np.float32(value))] for name, value in WINE.items()}

    def test_tensor_per_column_is_accepted_in_any_order_with_one_or_two_dimensions(
        self, gateway: GatewayProcess
    ) -> None:
        inputs = [tensor(name, "FP64", [[value], [2 * value]]) for name, value in reversed(WINE.items())]
        assert given(gateway, "wine", *inputs)["frame"] == {name: [value, 2 * value] for name, value in WINE.items()}

    def test_tensor_of_rows_is_read_by_position(self, gateway: GatewayProcess) -> None:
        rows = [list(WINE.values())] * 2
        expected = {name: [value, value] for name, value in WINE.items()}
        assert given(gateway, "wine", tensor("anything", "FP64", rows))["frame"] == expected
        flat = [value for row in rows for value in row]
        assert given(gateway, "wine", tensor("anything", "FP64", flat, [2, 11]))["frame"] == expected
        binary = np.array(rows).tobytes()
        assert given(gateway, "wine", tensor("anything", "FP64", binary, [2, 11]))["frame"] == expected

    def test_binary_data_gives_the_same_columns_as_json(self, gateway: GatewayProcess) -> None:
        content = b"\xff\x00"
        binary = [
            tensor("d", "FP32", np.array([0.1, np.nan], "<f4").tobytes(), [2]),
            tensor("f", "FP16", np.array([0.1, np.inf], "<f2").tobytes(), [2, 1]),
            tensor("l", "UINT32", np.array([7, 2**32 - 1], "<u4").tobytes(), [2]),
            tensor("i", "INT8", np.array([-7, 7], "i1").tobytes(), [2]),
            tensor("b", "BOOL", b"\x01\x00", [2]),
            tensor("s", "BYTES", elements("é".encode(), b""), [2]),
            tensor("x", "BYTES", elements(content, b""), [2]),
            tensor("t", "BYTES", elements(b"2024-05-31T12:00:00Z", b"2024-05-31"), [2]),
        ]
        frame = given(gateway, "mixed", *binary)
        assert frame["frame"] == {
            "d": [float(np.float32(0.1)), None],
            "f": [float(np.float16(0.1)), None],
            "l": [7, 2**32 - 1],
            "i": [-7, 7],
            "b": [True, False],
            "s": ["é", ""],
            "x": ["bytes " + base64.b64encode(content).decode(), "bytes "],
            "t": ["2024-05-31T12:00:00", "2024-05-31T00:00:00"],
        }
        assert frame["dtypes"][:5] == ["float64", "float32", "int64", "int32", "bool"]

    def test_request_may_mix_binary_and_json_inputs(self, gateway: GatewayProcess) -> None:
        frame = given(
            gateway,
            "mixed",
            tensor("d", "FP64", np.array([1.5]).tobytes(), [1]),
            tensor("s", "BYTES", ["a"]),
            tensor("l", "INT64", np.array([2**62], "<i8").tobytes(), [1]),
        )
        assert frame["frame"] == {"d": [1.5], "l": [2**62], "s": ["a"]}

    def test_null_is_accepted_in_an_optional_column(self, gateway: GatewayProcess) -> None:
        inputs = [tensor("d", "FP64", [None, 1]), tensor("l", "INT64", [None, 1]), tensor("s", "BYTES", [None, "a"])]
        assert given(gateway, "mixed", *inputs)["frame"] == {"d": [None, 1.0], "l": [None, 1], "s": [None, "a"]}
        assert "column 'text', row 0: expected string, got null" in refused(
            gateway, "text", tensor("text", "BYTES", [None])
        )

    def test_value_of_any_datatype_is_accepted_if_the_declared_type_holds_it(self, gateway: GatewayProcess) -> None:
        frame = given(
            gateway, "mixed", tensor("d", "INT64", [3]), tensor("l", "FP64", [63.0]), tensor("b", "BYTES", ["True"])
        )
        assert frame["frame"] == {"d": [3.0], "l": [63], "b": [True]}
        assert "column 'l', row 0: expected long" in refused(
            gateway, "mixed", tensor("d", "FP64", [1]), tensor("l", "FP64", [0.5])
        )

    def test_mlservers_content_types_of_bytes_are_decoded(self, gateway: GatewayProcess) -> None:
        frame = given(
            gateway,
            "mixed",
            tensor("d", "FP64", [1], content_type="np"),
            tensor("s", "BYTES", elements(b"a"), [1, 1], content_type="str"),
            tensor("x", "BYTES", elements(base64.b64encode(b"\xff")), [1, 1], content_type="base64"),
            tensor("t", "BYTES", ["2024-05-31T12:00:00"], content_type="datetime"),
            parameters={"content_type": "pd"},
        )
        assert frame["frame"] == {"d": [1.0], "s": ["a"], "x": ["bytes /w=="], "t": ["2024-05-31T12:00:00"]}
        wrong = tensor("x", "BYTES", ["%"], content_type="base64")
        assert "'base64'" in refused(gateway, "mixed", tensor("d", "FP64", [1]), wrong)
        assert "'str'" in refused(gateway, "mixed", tensor("d", "FP64", [1], content_type="str"))

    def test_nested_values_come_as_json_text_or_as_a_tensor(self, gateway: GatewayProcess) -> None:
        expected = {"v": [[1.0, 2.5], []]}
        texts = ["[1, 2.5]", "[]"]
        assert given(gateway, "nested", tensor("v", "BYTES", texts))["frame"] == expected
        assert given(gateway, "nested", tensor("v", "BYTES", texts, content_type="pd_json"))["frame"] == expected
        assert given(gateway, "nested", tensor("v", "INT32", [[1, 2], [3, 4]]))["frame"] == {
            "v": [[1.0, 2.0], [3.0, 4.0]]
        }
        assert "'pd_json'" in refused(gateway, "nested", tensor("v", "BYTES", ["["], content_type="pd_json"))

    def test_single_column_accepts_a_single_tensor_of_any_name(self, gateway: GatewayProcess) -> None:
        for shape in ([2], [2, 1]):
            frame = given(
                gateway, "text", tensor("input-0", "BYTES", ["a", "b"], shape), parameters={"content_type": "str"}
            )
            assert frame["frame"] == {"text": ["a", "b"]}

    def test_extra_columns_are_ignored_and_named_in_a_header(self, gateway: GatewayProcess) -> None:
        reply = post(gateway, "text", [tensor("text", "BYTES", ["a"]), tensor("more of it", "FP64", [1])])
        assert (reply.status, reply.headers["modelyard-extra-columns"]) == (200, "more%20of%20it")

    def test_columns_without_rows_are_accepted(self, gateway: GatewayProcess) -> None:
        frame = given(gateway, "mixed", *(tensor(name, "FP16", [], [0, 1]) for name in "dfli"))
        assert frame["frame"] == {"d": [], "f": [], "l": [], "i": []}

    def test_columns_of_different_lengths_are_refused(self, gateway: GatewayProcess) -> None:
        assert "of different lengths" in refused(
            gateway, "mixed", tensor("d", "FP64", [1, 2]), tensor("l", "INT64", [1])
        )

    def test_params_come_from_the_requests_parameters(self, gateway: GatewayProcess) -> None:
        def params(**parameters: Any) -> Any:
            reply = post(gateway, "text", [tensor("text", "BYTES", ["a"])], parameters=parameters)
            return json.loads(reply.json["outputs"][0]["data"][0])["params"]

        assert params() == {"k": 5}
        assert params(k=9, content_type="pd", priority=3) == {"k": 9}
        assert "param 'k'" in refused(gateway, "text", tensor("text", "BYTES", ["a"]), parameters={"k": 1.5})


class TestTensorSignature:
    def test_single_tensor_may_be_nested_flat_or_binary(self, gateway: GatewayProcess) -> None:
        expected = {"array": [[1.0, 2.0], [3.0, 4.0]], "dtype": "float32"}
        assert given(gateway, "tensor", tensor("any", "FP32", [[1, 2], [3, 4]])) == expected
        assert given(gateway, "tensor", tensor("any", "FP64", [1, 2, 3, 4], [2, 2])) == expected
        assert given(gateway, "tensor", tensor("any", "INT8", bytes([1, 2, 3, 4]), [2, 2])) == expected

    def test_tensor_of_another_shape_is_refused(self, gateway: GatewayProcess) -> None:
        assert "expected a tensor of float32" in refused(gateway, "tensor", tensor("any", "FP32", [1, 2]))
        assert "got the shape (1, 3)" in refused(gateway, "tensor", tensor("any", "FP32", [[1, 2, 3]]))

    def test_text_tensor_is_accepted(self, gateway: GatewayProcess) -> None:
        expected = {"array": ["a", "é"], "dtype": "<U1"}
        assert given(gateway, "texts", tensor("any", "BYTES", ["a", "é"])) == expected
        assert given(gateway, "texts", tensor("any", "BYTES", elements(b"a", "é".encode()), [2])) == expected

    def test_named_tensors_are_accepted(self, gateway: GatewayProcess) -> None:
        inputs = [tensor("mask", "INT64", [1]), tensor("x", "FP64", [[1, 2]])]
        assert given(gateway, "tensors", *inputs) == {
            "x": {"array": [[1.0, 2.0]], "dtype": "float64"},
            "mask": {"array": [1], "dtype": "int64"},
        }
        assert "missing required tensor 'mask' (int64 of the shape (-1,)); the input has 'x'" in refused(
            gateway, "tensors", inputs[1]
        )

    def test_empty_tensor_is_accepted(self, gateway: GatewayProcess) -> None:
        assert given(gateway, "tensor", tensor("any", "FP32", [], [0, 2])) == {"array": [], "dtype": "float32"}


class TestWithoutASignature:
    def test_single_tensor_without_a_signature_is_an_array_of_its_datatype(self, gateway: GatewayProcess) -> None:
        for datatype, dtype in (("FP16", "float16"), ("FP32", "float32"), ("UINT64", "uint64"), ("INT8", "int8")):
            assert given(gateway, "unsigned", tensor("x", datatype, [[1, 2]])) == {"array": [[1, 2]], "dtype": dtype}
        assert given(gateway, "unsigned", tensor("x", "BOOL", [True])) == {"array": [True], "dtype": "bool"}
        assert given(gateway, "unsigned", tensor("x", "BYTES", ["a", "bc"])) == {"array": ["a", "bc"], "dtype": "<U2"}
        assert given(gateway, "unsigned", tensor("x", "BYTES", elements(b"\xff"), [1])) == {
            "array": ["bytes /w=="],
            "dtype": "|S1",
        }

    def test_several_columns_without_a_signature_are_a_frame_of_their_datatypes(self, gateway: GatewayProcess) -> None:
        inputs = [tensor("a", "FP32", [[1], [2]]), tensor("b", "BYTES", ["x", "y"]), tensor("c", "INT64", [1, None])]
        frame = given(gateway, "unsigned", *inputs)
        assert frame["frame"] == {"a": [1.0, 2.0], "b": ["x", "y"], "c": [1.0, None]}
        assert frame["dtypes"][0] == "float32"

    def test_other_tensors_without_a_signature_stay_named_arrays(self, gateway: GatewayProcess) -> None:
        assert given(gateway, "unsigned", tensor("a", "INT32", [[1, 2]]), tensor("b", "INT32", [1])) == {
            "a": {"array": [[1, 2]], "dtype": "int32"},
            "b": {"array": [1], "dtype": "int32"},
        }

    def test_content_type_of_the_request_decides_the_form_of_the_input(self, gateway: GatewayProcess) -> None:
        def asked(content_type: str, *inputs: dict[str, Any]) -> Any:
            return given(gateway, "unsigned", *inputs, parameters={"content_type": content_type})

        one, two = tensor("a", "INT64", [1]), tensor("b", "INT64", [2])
        assert asked("pd", one)["frame"] == {"a": [1]}
        assert asked("np", one) == {"array": [1], "dtype": "int64"}
        assert asked("dict", one) == {"a": {"array": [1], "dtype": "int64"}}
        assert sorted(asked("dict", one, two)) == ["a", "b"]
        assert asked("str", tensor("a", "BYTES", ["x", "y"], [2, 1])) == ["x", "y"]
        moment = tensor("t", "BYTES", ["2024-05-31T12:00:00"], content_type="datetime")
        assert asked("pd", moment)["frame"] == {"t": ["2024-05-31T12:00:00"]}
        content = tensor("x", "BYTES", ["/w=="], content_type="base64")
        assert asked("pd", content)["frame"] == {"x": ["bytes /w=="]}

    @pytest.mark.parametrize(
        ("content_type", "inputs"),
        [
            ("np", [tensor("a", "INT64", [1]), tensor("b", "INT64", [1])]),
            ("str", [tensor("a", "BYTES", elements(b"\xff"), [1])]),
            ("pd", [tensor("a", "INT64", [[1, 2]])]),
            ("pd", [tensor("a", "INT64", [1]), tensor("b", "INT64", [1, 2])]),
            ("pd", [tensor("a", "BYTES", ["yesterday"], content_type="datetime")]),
            ("np", [tensor("a", "INT64", [None])]),
            ("np", [tensor("a", "BYTES", elements(b"\xff\x00"), [1])]),
        ],
    )
    def test_content_type_that_does_not_fit_the_tensors_is_refused(
        self, gateway: GatewayProcess, content_type: str, inputs: list[Any]
    ) -> None:
        assert refused(gateway, "unsigned", *inputs, parameters={"content_type": content_type})


class TestTypeHint:
    def test_type_hint_model_gets_a_list_of_values_or_of_objects(self, gateway: GatewayProcess) -> None:
        assert given(gateway, "hinted", tensor("x", "BYTES", elements(b"a", b"b"), [2, 1])) == ["a", "b"]
        assert given(gateway, "hinted", tensor("x", "FP64", [[1.5, 2]])) == [[1.5, 2.0]]
        rows = given(gateway, "hinted", tensor("name", "BYTES", ["a", "b"]), tensor("age", "INT64", [1, 2]))
        assert rows == [{"name": "a", "age": 1}, {"name": "b", "age": 2}]


class TestBinaryData:
    @pytest.mark.parametrize(
        "wrong",
        [
            tensor("any", "FP32", b"\0" * 7, [1, 2]),
            tensor("any", "FP32", b"\0" * 16, [1, 2]),
            tensor("any", "BOOL", b"\x01\x02", [1, 2]),
            tensor("any", "BYTES", b"\x01\0\0\0", [1]),
            tensor("any", "BYTES", b"\xff\xff\xff\xff", [1]),
            tensor("any", "BYTES", b"\x01", [1]),
            tensor("any", "BYTES", elements(b"a", b"b"), [1]),
        ],
    )
    def test_binary_data_of_another_size_than_its_shape_is_refused(
        self, gateway: GatewayProcess, wrong: dict[str, Any]
    ) -> None:
        assert "any" in refused(gateway, "tensor", wrong)

    def test_binary_data_beyond_the_inputs_is_refused(self, gateway: GatewayProcess) -> None:
        header = json.dumps({"inputs": [tensor("any", "FP32", [[1, 2]])]}).encode()
        path, headers = "/wines/v2/models/tensor/infer", {"Inference-Header-Content-Length": str(len(header))}
        reply = gateway.request("POST", path, header + b"more", headers)
        assert (reply.status, "4 bytes more" in reply.json["error"]) == (400, True)


def answered(gateway: GatewayProcess, kind: str, **more: Any) -> list[dict[str, Any]]:
    reply = post(gateway, "answers", [tensor("kind", "BYTES", [kind])], **more)
    assert reply.status == 200, reply
    outputs: list[dict[str, Any]] = reply.json["outputs"]
    return outputs


class TestAnswer:
    @pytest.mark.parametrize(
        ("kind", "datatype", "shape", "data", "content_type"),
        [
            ("vector", "FP64", [3, 1], [1.5, None, None], "np"),
            ("matrix", "INT32", [2, 2], [0, 1, 2, 3], "np"),
            ("cube", "UINT8", [2, 1, 2], [0, 0, 0, 0], "np"),
            ("scalar array", "INT64", [1], [7], "np"),
            ("narrow", "FP32", [1, 1], [0.1], "np"),
            ("half", "FP16", [1, 1], [0.5], "np"),
            ("booleans", "BOOL", [2, 1], [True, False], "np"),
            ("empty", "FP64", [0, 3], [], "np"),
            ("texts", "BYTES", [2, 1], ["a", "é"], "str"),
            ("text", "BYTES", [1, 1], ["a"], "str"),
            ("number", "FP64", [1, 1], [0.5], "np"),
            ("list", "FP64", [3, 1], [1.0, 2.5, None], "np"),
            ("nested list", "INT64", [2, 2], [1, 2, 3, 4], "np"),
            ("ragged", "BYTES", [2, 1], ["[1]", "[2,3]"], "hg_jsonlist"),
            ("mixed", "BYTES", [3, 1], ["1", '"a"', '{"k":null}'], "hg_jsonlist"),
            ("object", "BYTES", [1, 1], ['{"label":"a","score":0.5}'], "hg_json"),
            ("nothing", "BYTES", [1, 1], ["null"], "hg_json"),
        ],
    )
    def test_result_without_columns_is_one_output(
        self, gateway: GatewayProcess, kind: str, datatype: str, shape: list[int], data: list[Any], content_type: str
    ) -> None:
        assert answered(gateway, kind) == [
            {
                "name": "predict",
                "datatype": datatype,
                "shape": shape,
                "parameters": {"content_type": content_type},
                "data": data,
            }
        ]

    @pytest.mark.parametrize(
        ("kind", "expected"),
        [
            (
                "frame",
                [
                    ("a", "FP64", [1.5, None]),
                    ("b", "BYTES", ["x", None]),
                    ("3", "INT64", [1, 2]),
                    ("d", "BOOL", [True, False]),
                ],
            ),
            ("moments", [("t", "BYTES", ["2024-05-31T12:00:00"]), ("n", "INT64", [1])]),
            ("series", [("n", "INT64", [1, 2])]),
            ("object of lists", [("label", "BYTES", ["a", "b"]), ("score", "FP64", [0.5, 1.5])]),
            ("labels", [("label", "BYTES", ["a", "b"]), ("score", "FP64", [0.5, 1.0])]),
        ],
    )
    def test_result_with_columns_has_an_output_for_each_column(
        self, gateway: GatewayProcess, kind: str, expected: list[Any]
    ) -> None:
        outputs = answered(gateway, kind)
        assert [(each["name"], each["datatype"], each["data"]) for each in outputs] == expected
        assert {tuple(each["shape"]) for each in outputs} == {(len(expected[0][2]), 1)}

    def test_result_nested_too_deeply_to_be_read_is_refused(self, gateway: GatewayProcess) -> None:
        reply = post(gateway, "answers", [tensor("kind", "BYTES", ["deep"])])
        assert (reply.status, reply.json) == (500, {"error": "the model worker's result is nested too deeply"})

    def test_requested_outputs_come_in_the_requested_order(self, gateway: GatewayProcess) -> None:
        outputs = answered(gateway, "frame", outputs=[{"name": "d"}, {"name": "a"}])
        assert [each["name"] for each in outputs] == ["d", "a"]

    def test_binary_output_keeps_nan_and_infinities(self, gateway: GatewayProcess) -> None:
        reply = post(gateway, "answers", [tensor("kind", "BYTES", ["vector"])], parameters={"binary_data_output": True})
        header, binary = _parts(reply)
        assert header["outputs"][0]["parameters"] == {"binary_data_size": 24}
        np.testing.assert_array_equal(np.frombuffer(binary), [1.5, np.nan, np.inf])

    def test_output_is_binary_on_request(self, gateway: GatewayProcess) -> None:
        asked = [{"name": "d", "parameters": {"binary_data": True}}, {"name": "3"}]
        header, binary = _parts(post(gateway, "answers", [tensor("kind", "BYTES", ["frame"])], outputs=asked))
        assert [each["parameters"].get("binary_data_size") for each in header["outputs"]] == [2, None]
        assert (binary, header["outputs"][1]["data"]) == (b"\x01\x00", [1, 2])
        more = {"outputs": [{"name": "predict"}], "parameters": {"binary_data_output": True}}
        header, binary = _parts(post(gateway, "answers", [tensor("kind", "BYTES", ["texts"])], **more))
        assert binary == elements(b"a", "é".encode())

    def test_output_with_missing_values_stays_json_without_a_binary_form(self, gateway: GatewayProcess) -> None:
        reply = post(gateway, "answers", [tensor("kind", "BYTES", ["frame"])], parameters={"binary_data_output": True})
        header, _ = _parts(reply)
        as_json = [each["name"] for each in header["outputs"] if "data" in each]
        assert (as_json, header["outputs"][1]["data"]) == (["b"], ["x", None])


def _parts(reply: Reply) -> tuple[dict[str, Any], bytes]:
    assert reply.status == 200, reply
    assert reply.headers["content-type"] == "application/octet-stream"
    length = int(reply.headers["inference-header-content-length"])
    return json.loads(reply.content[:length]), reply.content[length:]
