"""One rule for base64 on every route: MIME's line breaks, and missing padding where no bit is lost."""

import base64
import json
from typing import Any

import numpy as np
import pytest

from data_plane.batch.input.chunk_reader import read_chunks
from data_plane.batch.input.spans import Span
from data_plane.scoring.codecs.open_inference.codec import OpenInferenceCodec
from data_plane.scoring.errors import InvalidBody
from data_plane.scoring.payload.values import FramePayload
from data_plane.scoring.signature.base64_text import NotBase64, decode_base64
from tests.data_plane.batch.input_files import InMemory
from tests.data_plane.scoring.signature.signatures import columns, compiled, frame, refused, tensor
from tests.data_plane.scoring.test_number_grammar import decoded

LONG = bytes(range(256)) * 3
ACCEPTED: dict[str, tuple[str, bytes]] = {
    "one line": ("iVBORw==", b"\x89PNG"),
    "a line break at the end, as MLflow writes examples": ("iVBORw==\n", b"\x89PNG"),
    "MIME": (base64.encodebytes(LONG).decode(), LONG),
    "MIME of an e-mail": (base64.encodebytes(LONG).decode().replace("\n", "\r\n"), LONG),
    "a line break within the padding": ("iVBORw=\n=", b"\x89PNG"),
    "no padding": ("iVBORw", b"\x89PNG"),
    "half of the padding": ("iVBORw=", b"\x89PNG"),
    "no padding of one character": ("AAE", b"\0\1"),
    "nothing": ("", b""),
    "line breaks alone": ("\r\n", b""),
}
REFUSED: dict[str, tuple[str, str]] = {
    "cut off within a byte": ("iVBOR", "whose end is missing"),
    "cut off, with bits of another byte": ("iVBORz", "whose end is missing"),
    "one bit too many without padding": ("AAH", "whose end is missing"),
    "too much padding": ("iVBORw===", "too much padding"),
    "padding of nothing": ("====", "too much padding"),
    "padding in the middle": ("AA==AA==", "has '=' before its end"),
    "URL-safe alphabet": ("_-__", "has '_' where standard base64 has '/'"),
    "a blank": ("iVBO Rw==", "has ' '"),
    "a tabulator": ("iVBO\tRw==", r"has '\t'"),
    "a data URL": ("data:image/png;base64,iVBORw==", "has ':'"),
    "a letter outside of ASCII": ("éAAA", r"has '\xe9'"),
}


@pytest.mark.parametrize("name", ACCEPTED)
class TestAccepted:
    def test_text_gives_every_byte_on_every_route(self, name: str) -> None:
        text, content = ACCEPTED[name]
        assert decode_base64(text) == content
        assert frame(columns(x="binary"), [{"x": text}]) == {"x": [content]}
        nested = columns(x={"type": "array", "items": {"type": "binary"}})
        assert frame(nested, [{"x": [text]}]) == {"x": [[content]]}
        for content_type in ({}, {"parameters": {"content_type": "base64"}}):
            given = {"name": "x", "datatype": "BYTES", "shape": [1], "data": [text], **content_type}
            body = json.dumps({"inputs": [given]})
            payload = decoded(OpenInferenceCodec(), body, columns(x="binary"), "v2/models/m/infer").payload
            assert payload.columns[0].values == [content]

    def test_text_gives_every_byte_in_a_batch_job(self, name: str) -> None:
        text, content = ACCEPTED[name]
        # In CSV, an empty value is a missing one.
        files = {"a.jsonl": json.dumps({"x": text}), "a.csv": f'x,y\n"{text}",1\n'}
        for file, lines in files.items() if text else [("a.jsonl", files["a.jsonl"])]:
            (chunk,) = read_chunks(InMemory(lines.encode()), Span(file, file), columns(x="binary"))
            assert isinstance(chunk.enforced.payload, FramePayload)
            assert chunk.enforced.payload.columns[0].values == [content]

    def test_text_gives_every_byte_of_a_tensor(self, name: str) -> None:
        text, content = ACCEPTED[name]
        array = compiled([tensor("bytes", -1)]).enforce([text], None).payload.array  # type: ignore[union-attr]
        assert array.tolist() == np.array([content]).tolist()


@pytest.mark.parametrize("name", REFUSED)
class TestRefused:
    def test_refusal_says_what_is_wrong_with_the_text(self, name: str) -> None:
        text, reason = REFUSED[name]
        with pytest.raises(NotBase64):
            decode_base64(text)
        violation = refused("binary", text)
        assert violation.expected == "binary as base64 text"
        assert reason in violation.got
        assert len(violation.got) < 160

    def test_refusal_of_open_inference_says_what_is_wrong_with_the_text(self, name: str) -> None:
        text, reason = REFUSED[name]
        given: dict[str, Any] = {"name": "x", "datatype": "BYTES", "shape": [1], "data": [text]}
        body = json.dumps({"inputs": [{**given, "parameters": {"content_type": "base64"}}]})
        with pytest.raises(InvalidBody) as refusal:
            decoded(OpenInferenceCodec(), body, columns(x="binary"), "v2/models/m/infer")
        assert reason in refusal.value.message
