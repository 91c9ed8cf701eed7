"""Every route reads the same numbers: JSON's, exact integers, and Python's NaN, Infinity and -Infinity."""

import json
import math
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import orjson
import pytest

from data_plane.batch.failures import UnreadableFile
from data_plane.batch.input.chunk_reader import read_chunks
from data_plane.batch.input.spans import Span
from data_plane.scoring.codecs.azure import AzureCodec
from data_plane.scoring.codecs.mlflow.codec import MlflowCodec
from data_plane.scoring.codecs.open_inference.codec import OpenInferenceCodec
from data_plane.scoring.codecs.port import RequestCodec, RequestContent
from data_plane.scoring.errors import InvalidRequest
from data_plane.scoring.loaded_bundle import LoadedBundle
from data_plane.scoring.payload.large_json import LARGE
from data_plane.scoring.payload.values import BlockPayload, FramePayload, JsonPayload, Payload
from data_plane.scoring.signature import CompiledSignature, json_values, parse_json
from data_plane.scoring.wire.encode import encode_score
from data_plane.worker.frames import FrameReader, unpack_meta
from data_plane.worker.inputs import read_input, read_params
from tests.data_plane.batch.input_files import InMemory
from tests.data_plane.scoring.signature.signatures import columns, compiled, frame, refused, tensor

ACCEPTED = ["NaN", "Infinity", "-Infinity", "-0.0", "-0", "0", "1e-400", "1E5", "1.5e+2", "18446744073709551616"]
REFUSED = [
    "1e400", "-1e400", "9" * 400, "9" * 5000, "18446744073709551617", "01", "-01", "+1", ".5", "1.", "1e", "0x10",
    "1_0", "-NaN", "+Infinity", "nan", "inf", "NaN1", "1NaN", "NaN NaN", "Infinit", "-", "1 2",
]  # fmt: skip


def decoded(codec: RequestCodec[Any], body: str, signature: CompiledSignature, path: str = "score") -> Any:
    bundle = SimpleNamespace(
        signature=signature, bundle=SimpleNamespace(model=SimpleNamespace(version="1"), signature=None)
    )
    content = RequestContent(body.encode(), b"application/json", None, path, "id")
    return codec.decode(content, cast(LoadedBundle, bundle))


def by_azure(rows: list[str], signature: CompiledSignature) -> Payload:
    listed = ", ".join(f"[{row}]" for row in rows)
    return decoded(AzureCodec(), f'{{"input_data": {{"columns": ["x"], "data": [{listed}]}}}}', signature).payload


def by_mlflow(rows: list[str], signature: CompiledSignature) -> Payload:
    listed = ", ".join(f'{{"x": {row}}}' for row in rows)
    return decoded(MlflowCodec(lambda body: body), f'{{"dataframe_records": [{listed}]}}', signature).payload


def by_open_inference(rows: list[str], signature: CompiledSignature) -> Payload:
    given = f'{{"name": "x", "datatype": "FP64", "shape": [{len(rows)}], "data": [{", ".join(rows)}]}}'
    return decoded(OpenInferenceCodec(), f'{{"inputs": [{given}]}}', signature, "v2/models/m/infer").payload


def by_batch(rows: list[str], signature: CompiledSignature) -> Payload:
    lines = "\n".join(f'{{"x": {row}}}' for row in rows).encode()
    (chunk,) = read_chunks(InMemory(lines), Span("a.jsonl", "a.jsonl"), signature)
    return chunk.enforced.payload


def by_csv_of_nested_values(rows: list[str], signature: CompiledSignature) -> Payload:
    nested = columns(x={"type": "array", "items": {"type": "double"}})
    lines = "\n".join(["x,y", *(f'"[{row}]",' for row in rows)]).encode()
    (chunk,) = read_chunks(InMemory(lines), Span("a.csv", "a.csv"), nested)
    (column,) = cast(FramePayload, chunk.enforced.payload).columns
    return FramePayload((column._replace(type="double", values=[number for (number,) in column.values]),), len(rows))


ROUTES: dict[str, Callable[[list[str], CompiledSignature], Payload]] = {
    "score": by_azure,
    "invocations": by_mlflow,
    "open inference": by_open_inference,
    "json lines of a batch job": by_batch,
    "nested values in csv": by_csv_of_nested_values,
}


def in_the_model(payload: Payload) -> Any:
    (read,) = FrameReader().feed(b"".join(encode_score(payload, request_id=1)))
    return read_input(unpack_meta(read.meta)["payload"], read.body)


@pytest.mark.parametrize("route", ROUTES)
class TestEveryRoute:
    @pytest.mark.parametrize("text", ACCEPTED)
    def test_number_is_read_as_by_pythons_json(self, route: str, text: str) -> None:
        for rows in ([text], [text, "NaN"], ["1.5", text]):
            payload = cast(BlockPayload, ROUTES[route](rows, columns(x="double")))
            (column,) = payload.columns
            assert [float(value).hex() for value in column.values] == [float(json.loads(row)).hex() for row in rows]

    @pytest.mark.parametrize("text", REFUSED, ids=lambda text: text[:24])
    def test_number_outside_the_grammar_is_refused_alone_and_beside_nan(self, route: str, text: str) -> None:
        for rows in ([text], [text, "NaN"], ["NaN", "Infinity", text]):
            with pytest.raises((InvalidRequest, UnreadableFile)):
                ROUTES[route](rows, columns(x="double"))


class TestTypes:
    @pytest.mark.parametrize("kind", ["float", "double"])
    @pytest.mark.parametrize("beside", [1.5, 1, "2", None, -math.inf])
    def test_infinity_is_a_number_of_float_types_beside_any_number(self, kind: str, beside: Any) -> None:
        assert frame(columns(x=kind), [{"x": math.inf}, {"x": beside}])["x"][0] == math.inf

    @pytest.mark.parametrize("text", ["1e39", 1e39, 10**39, "1e400"])
    def test_number_too_large_for_a_float_becomes_no_infinity(self, text: Any) -> None:
        assert "float" in refused("float", text).got

    @pytest.mark.parametrize("number", [math.nan, math.inf])
    @pytest.mark.parametrize("kind", ["integer", "long", "boolean", "string", "binary", "datetime"])
    def test_nan_is_no_value_of_a_type_without_nan(self, kind: str, number: float) -> None:
        assert refused(kind, number).got == f"the number {json.dumps(number)}"

    @pytest.mark.parametrize("kind", ["long?", "boolean?", "string?", "binary?", "datetime?"])
    def test_nan_is_missing_in_an_optional_column_without_nan(self, kind: str) -> None:
        assert frame(columns(x=kind), [{"x": math.nan}, {"x": None}])["x"] == [None, None]

    def test_tensor_holds_nan_and_infinity(self) -> None:
        array = compiled([tensor("float32", -1, 2)]).enforce([[math.nan, math.inf]], None).payload.array  # type: ignore[union-attr]
        assert np.isnan(array[0, 0])
        assert np.isinf(array[0, 1])


class TestUndeclared:
    """Values that travel as JSON stay what they are: null and NaN are different values."""

    @pytest.mark.parametrize("value", [math.nan, [None, math.inf, "null"], {"a": [-math.inf, {"b": None}]}])
    def test_nan_and_null_reach_a_model_of_any_input(self, value: Any) -> None:
        assert repr(in_the_model(JsonPayload(value))) == repr(value)
        hinted = compiled(type_hints=True).enforce([value], None).payload
        assert repr(in_the_model(hinted)) == repr([value])
        nested = columns(x={"type": "any"}).enforce([{"x": value}], None).payload
        assert repr(in_the_model(nested)["x"].tolist()) == repr([value])

    def test_param_that_is_nan_reaches_the_model(self) -> None:
        declared = [{"name": "k", "type": "double", "default": 1.0, "shape": None}]
        signature = compiled(params=declared)
        enforced = signature.enforce([1.0], {"k": math.nan})
        (read,) = FrameReader().feed(b"".join(encode_score(enforced.payload, request_id=1, params=enforced.params)))
        assert repr(read_params(unpack_meta(read.meta))) == "{'k': nan}"


class TestParsing:
    @pytest.mark.parametrize(
        "text",
        [
            '{"NaN": "NaN", "Infinity": "-Infinity, NaN"}',
            '["a \\" NaN", NaN]',
            "[NaN,Infinity,-Infinity]",
            "NaN",
            "[18446744073709551617, NaN]",
        ],
    )
    def test_constants_are_read_outside_of_strings_alone(self, text: str) -> None:
        assert repr(parse_json(text.encode())) == repr(json.loads(text))

    @pytest.mark.parametrize(
        "text",
        [
            '["\\ud800", NaN]', "[NaN,]", '{"a": NaN', "[NaN" + "[" * 2000, "[NaN, \x0c 1]", '["\t", NaN]', "-NaN",
            "[1e400, NaN]",
        ],
    )  # fmt: skip
    def test_text_beside_a_constant_follows_the_grammar_of_any_other_text(self, text: str) -> None:
        with pytest.raises(orjson.JSONDecodeError):
            parse_json(text.encode())

    def test_error_beside_a_constant_names_its_position(self) -> None:
        with pytest.raises(orjson.JSONDecodeError) as refusal:
            parse_json(b'{"a": -Infinity, "b": [1, 2}')
        assert refusal.value.pos == 27

    def test_byte_order_mark_is_skipped(self) -> None:
        assert parse_json(b"\xef\xbb\xbf[1, NaN]")[0] == 1

    @pytest.mark.parametrize("document", [{"data": [[math.nan, 1.5]] * 120_000}, {"inputs": [math.inf, 2] * 150_000}])
    def test_large_document_with_nan_is_parsed_in_small_pieces(
        self, document: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        sizes: list[int] = []

        def measured(text: bytes, parse: Callable[[bytes], Any] = json_values._with_constants) -> Any:
            sizes.append(len(text))
            return parse(text)

        monkeypatch.setattr(json_values, "_with_constants", measured)
        text = json.dumps(document).encode()
        assert len(text) > LARGE
        assert repr(parse_json(text)) == repr(document)
        assert max(sizes) < LARGE // 2
