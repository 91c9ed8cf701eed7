"""Fields of a scoring body that change nothing are named in the answer, on every route."""

import json
from types import SimpleNamespace
from typing import Any, cast

import pytest

from data_plane.scoring.codecs.azure import AzureCodec
from data_plane.scoring.codecs.mlflow.codec import MlflowCodec
from data_plane.scoring.codecs.open_inference.codec import OpenInferenceCodec
from data_plane.scoring.codecs.port import RequestCodec, RequestContent
from data_plane.scoring.loaded_bundle import LoadedBundle
from data_plane.scoring.payload.values import JsonResult
from data_plane.scoring.pipeline import finish, prepare
from data_plane.scoring.signature import CompiledSignature, compile_signature
from modelyard.core.domain.mlmodel import RawSignature

COLUMN = json.dumps([{"name": "x", "type": "double"}])
PARAMS = json.dumps([{"name": "k", "type": "long", "default": 1, "shape": None}])
DECLARED = compile_signature(RawSignature(COLUMN, None, PARAMS), type_hints=False)
WITHOUT_PARAMS = compile_signature(RawSignature(COLUMN, None, None), type_hints=False)
TYPE_HINT = compile_signature(RawSignature('[{"type": "double"}]', None, None), type_hints=True)
AZURE, MLFLOW, OPEN = AzureCodec(), MlflowCodec(lambda body: body), OpenInferenceCodec()
X = [{"x": 1.0}]
TENSOR = {"inputs": [{"name": "x", "datatype": "FP64", "shape": [1], "data": [1.0]}]}


def warning(codec: RequestCodec[Any], body: Any, signature: CompiledSignature) -> str | None:
    bundle = SimpleNamespace(
        signature=signature, bundle=SimpleNamespace(model=SimpleNamespace(version="1"), signature=None)
    )
    content = RequestContent(json.dumps(body).encode(), b"application/json", None, "v2/models/m/infer", "id")
    _, _, context = prepare(codec, content, cast(LoadedBundle, bundle))
    headers = dict(finish(JsonResult(b"[1]"), context).headers)
    return headers[b"warning"].decode() if b"warning" in headers else None


@pytest.mark.parametrize(
    ("codec", "body", "signature", "named"),
    [
        (AZURE, {"input_data": X, "parameters": {"k": 2}}, DECLARED, "parameters"),
        (AZURE, {"input_data": X, "params": {"k": 2, "temperature": 0.5}}, DECLARED, "params.temperature"),
        (AZURE, {"input_data": X, "params": {"k": 2}}, WITHOUT_PARAMS, "params.k"),
        (AZURE, {"a,b": 1, "input_data": X, "größe": 2}, DECLARED, "a%2Cb,gr%C3%B6%C3%9Fe"),
        (MLFLOW, {"dataframe_records": X, "param": {"k": 2}}, DECLARED, "param"),
        (MLFLOW, {"inputs": X, "params": {"K": 2}, "signature_name": "s"}, DECLARED, "signature_name,params.K"),
        (MLFLOW, {"inputs": [1.0], "instances": [2.0]}, TYPE_HINT, "instances"),
        (OPEN, {**TENSOR, "parameters": {"temperature": 1}}, DECLARED, "parameters.temperature"),
    ],
)
def test_unused_field_is_named(codec, body, signature, named):
    assert warning(codec, body, signature) == f'299 modelyard "these fields have no effect: {named}"'


@pytest.mark.parametrize(
    ("codec", "body"),
    [
        (AZURE, {"input_data": X}),
        (AZURE, {"input_data": X, "params": {"k": 2}}),
        (AZURE, {"input_data": X, "params": None}),
        (MLFLOW, {"dataframe_records": X, "params": {"k": 2}}),
        (OPEN, {**TENSOR, "parameters": {"k": 2, "content_type": "pd"}}),
    ],
)
def test_body_whose_fields_are_read_has_no_warning(codec, body):
    assert warning(codec, body, DECLARED) is None


def test_listing_is_bounded():
    found = warning(AZURE, {"input_data": X, **{f"key-{number}": 1 for number in range(10_000)}}, DECLARED)
    assert found is not None
    assert len(found) < 1200
