"""The sample request of a deployment is accepted: by this platform's codec and rules, and by MLflow's."""

import json
import re
import shlex
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from data_plane.scoring.codecs.azure import AzureCodec
from data_plane.scoring.codecs.port import RequestContent
from data_plane.scoring.loaded_bundle import LoadedBundle
from data_plane.scoring.pipeline import prepare
from data_plane.scoring.sample_request import sample_request
from data_plane.scoring.signature import compile_signature
from modelyard.cli.deploy import curl_line
from modelyard.client.deploying import Deployed
from modelyard.core.domain.bundle import Bundle, BundledEnvironment, BundledModel
from modelyard.core.domain.mlmodel import RawSignature
from modelyard.core.domain.model_manifest import ModelManifest

SCALARS = ("boolean", "integer", "long", "float", "double", "string", "binary", "datetime")
NAMES = (
    "it's",
    'say "hi"',
    "two words",
    "größe 漢字 🙂",
    "a\\b",
    "$HOME `id` $(id)",
    "new\nline",
    "{}[],:",
    "!x",
    "\x7f",
)
DTYPES = (
    "bool", "int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64", "float16", "float32", "float64",
    "str", "<U5", "object", "datetime64[ns]",
)  # fmt: skip
SHAPES = ([-1], [-1, 2], [-1, 2, 3], [2, 2], [-1, -1], [1])
POINT = {"type": "object", "properties": {"x": {"type": "double"}, "at": {"type": "datetime", "required": False}}}


def array(items: Any) -> dict[str, Any]:
    return {"type": "array", "items": items}


def mapping(values: Any) -> dict[str, Any]:
    return {"type": "map", "values": values}


NESTED: dict[str, dict[str, Any]] = {
    **{f"array of {kind}": array({"type": kind}) for kind in SCALARS},
    **{f"map of {kind}": mapping({"type": kind}) for kind in ("long", "binary", "datetime")},
    "any": {"type": "any"},
    "array of any": array({"type": "any"}),
    "object": POINT,
    "array of array": array(array({"type": "long"})),
    "array of object": array(POINT),
    "map of array of object": mapping(array(POINT)),
    "object of map": {"type": "object", "properties": {"m": mapping(array({"type": "string"}))}},
}


def tensor(dtype: str, shape: list[int], **name: str) -> dict[str, Any]:
    return {"type": "tensor", "tensor-spec": {"dtype": dtype, "shape": shape}, **name}


def signatures() -> Iterator[tuple[str, list[dict[str, Any]]]]:
    for kind in SCALARS:
        yield f"column {kind}", [{"name": "a", "type": kind}]
        yield f"unnamed {kind}", [{"type": kind}]
        yield f"optional {kind}", [{"name": "a", "type": kind, "required": False}, {"name": "b", "type": "long"}]
    yield "all scalars", [{"name": kind, "type": kind} for kind in SCALARS]
    yield "unnamed scalars", [{"type": kind} for kind in SCALARS]
    yield "unnamed by an empty text", [{"name": "", "type": "long"}, {"name": "b", "type": "long"}]
    yield "strange names", [{"name": name, "type": "double"} for name in NAMES]
    for label, rule in NESTED.items():
        yield f"column {label}", [{"name": "a", **rule}, {"name": "b", "type": "string"}]
    for dtype in DTYPES:
        yield f"tensor {dtype}", [tensor(dtype, [-1, 2])]
    for shape in SHAPES:
        yield f"tensor of shape {shape}", [tensor("float32", shape)]
    yield "named tensors", [tensor("uint8", [-1, 2, 2], name="img"), tensor("bool", [-1], name="mask")]
    yield "named tensors of texts", [tensor("str", [-1, 1], name="it's"), tensor("int64", [-1], name="$x")]


SIGNATURES = dict(signatures())


def loaded(inputs: Any = None, example: Any = None, *, type_hints: bool = False) -> LoadedBundle:
    signature = RawSignature(json.dumps(inputs), None, None) if inputs is not None else None
    bundle = Bundle(
        endpoint="e",
        deployment="d",
        generation=1,
        model=BundledModel("m", "1", ModelManifest.from_list([]), "model"),
        environment=BundledEnvironment("s", "l", "3.11", ""),
        flavor="sklearn",
        loader_module="mlflow.sklearn",
        predict_fn="predict",
        mlflow_version="3.17.2",
        signature=signature,
        type_hints=type_hints,
        input_example=example,
    )
    return LoadedBundle(bundle, compile_signature(signature, type_hints=type_hints))


def sent_by_curl(sample: Any) -> bytes:
    """The body that a shell sends after the printed line was pasted."""
    printed = curl_line(Deployed("http://localhost:8001/e/score", "a'key", sample, changed=True, named=None))
    words = shlex.split(printed)
    assert words[words.index("-H") + 1] == "Authorization: Bearer a'key"
    return words[words.index("-d") + 1].encode()


def accepted(bundle: LoadedBundle, body: bytes) -> Any:
    return prepare(AzureCodec(), RequestContent(body, b"application/json", None, "score", ""), bundle)


class TestSignatures:
    @pytest.mark.parametrize("label", SIGNATURES)
    def test_printed_request_is_accepted_after_the_shell(self, label):
        bundle = loaded(SIGNATURES[label])
        sample = sample_request(bundle)
        body = sent_by_curl(sample)
        assert json.loads(body) == sample
        payload, _, _ = accepted(bundle, body)
        assert payload is not None

    @pytest.mark.parametrize("hint", ["string", "datetime", "boolean", *NESTED])
    def test_sample_of_a_type_hint_is_a_list_of_its_items(self, hint):
        rule = NESTED.get(hint, {"type": hint})
        (value,) = sample_request(loaded([{**rule, "required": True}], type_hints=True))["input_data"]
        assert isinstance(value, {"array": list, "object": dict, "map": dict, "boolean": bool}.get(rule["type"], str))

    def test_pydantic_model_gets_no_text_for_a_datetime(self):
        """MLflow validates pydantic models in strict mode, so an optional datetime is left out of the sample."""
        optional, required = {**POINT, "required": True}, {"type": "object", "properties": {"at": {"type": "datetime"}}}
        assert sample_request(loaded([optional], type_hints=True)) == {"input_data": [{"x": 1.0}]}
        assert sample_request(loaded([required], type_hints=True)) is None
        assert sample_request(loaded([required], {"input_data": [{"at": "2024-01-01"}]}, type_hints=True)) is None
        assert sample_request(loaded([mapping({"type": "datetime"})], type_hints=True)) is not None

    def test_model_without_signature_and_example_has_no_sample(self):
        assert sample_request(loaded()) is None

    def test_huge_tensor_has_no_sample(self):
        assert sample_request(loaded([tensor("float32", [-1, 10**6, 10**6])])) is None


# MLflow's server itself refuses each request to these models: JSON's numbers and texts do not become the nested types.
_NOT_IN_MLFLOW = re.compile("unnamed|array of (integer|float|datetime)|map of datetime|object$|tensor <U5")


@pytest.mark.filterwarnings("ignore")  # MLflow warns while it is imported
class TestMlflow:
    @pytest.mark.parametrize("label", [label for label in SIGNATURES if not _NOT_IN_MLFLOW.search(label)])
    def test_mlflow_accepts_the_sample(self, label):
        from mlflow.models.utils import _enforce_schema
        from mlflow.pyfunc.scoring_server import infer_and_parse_data
        from mlflow.types import Schema

        schema = Schema.from_json(json.dumps(SIGNATURES[label]))
        value = sample_request(loaded(SIGNATURES[label]))["input_data"]
        wrapper = "dataframe_split" if isinstance(value, dict) and "columns" in value else "inputs"
        parsed = infer_and_parse_data({wrapper: value}, schema)
        assert len(_enforce_schema(parsed, schema)) >= 1


ROWS = [[1.5, "a"], [2.5, "b"], [3.5, "c"]]
TWO = [{"name": "x", "type": "long"}, {"name": "t", "type": "string"}]


class TestExamples:
    def test_short_example_stays_whole(self):
        example = {"input_data": {"columns": ["x", "t"], "data": [[1, "a"], [2, "b"], [3, "c"]]}}
        assert sample_request(loaded(TWO, example)) == example

    def test_long_example_is_cut_to_two_rows(self):
        rows = [[number, "text"] for number in range(1000)]
        example = {"input_data": {"columns": ["x", "t"], "data": rows}, "params": {"k": 1}}
        cut = {"columns": ["x", "t"], "data": rows[:2]}
        assert sample_request(loaded(TWO, example)) == {"input_data": cut, "params": {"k": 1}}

    def test_long_example_of_named_tensors_is_cut(self):
        inputs = [tensor("float64", [-1, 4], name="a"), tensor("int64", [-1], name="b")]
        example = {"input_data": {"a": np.zeros((500, 4)).tolist(), "b": list(range(500))}}
        assert sample_request(loaded(inputs, example)) == {"input_data": {"a": [[0.0] * 4] * 2, "b": [0, 1]}}

    def test_row_without_a_missing_value_is_found(self):
        """An example with NaN has null, which a long column refuses."""
        example = {
            "input_data": {"columns": ["x", "t"], "data": [[None, "a"], [None, "b"], [3, "c"]], "index": [7, 8, 9]}
        }
        assert sample_request(loaded(TWO, example)) == {"input_data": {"columns": ["x", "t"], "data": [[3, "c"]]}}

    def test_example_that_the_rules_refuse_gives_way_to_the_signature(self):
        example = {"input_data": {"columns": ["y"], "data": [["a"]]}}
        assert sample_request(loaded(TWO, example)) == {"input_data": {"columns": ["x", "t"], "data": [[1, "text"]]}}

    @pytest.mark.parametrize("example", [[], {}, {"columns": ["x", "t"], "data": []}])
    def test_empty_example_gives_way_to_the_signature(self, example):
        sample = sample_request(loaded(TWO, {"input_data": example}))
        assert sample == {"input_data": {"columns": ["x", "t"], "data": [[1, "text"]]}}

    def test_example_of_another_type_than_the_hint_gives_way_to_the_hint(self):
        bundle = loaded([{"type": "string"}], {"input_data": [["text"]]}, type_hints=True)
        assert sample_request(bundle) == {"input_data": ["text"]}

    def test_example_without_a_signature_is_shown(self):
        example = {"input_data": {"columns": ["a b", "c'd"], "data": [[1, None]]}}
        assert sample_request(loaded(None, example)) == example
