"""`POST /{endpoint}/score`: Azure's JSON object in, the bare result out."""

import sys
from typing import Any

import orjson

from data_plane.scoring.codecs.port import Decoded, Encoded, RequestContent, encoded_json, unused_fields
from data_plane.scoring.errors import InvalidBody, ScoringError, UnsupportedMediaType
from data_plane.scoring.loaded_bundle import LoadedBundle
from data_plane.scoring.payload.result_json import result_to_json
from data_plane.scoring.payload.values import Result
from data_plane.scoring.signature import parse_json

_JSON = b"application/json"
_KEYS = frozenset({"input_data", "params"})
_SUCCEEDED = (b"x-ms-run-function-failed", b"False")


class AzureCodec:
    """A RequestCodec whose answers depend on nothing in the request."""

    def decode(self, content: RequestContent, bundle: LoadedBundle) -> Decoded[None]:
        _check_media_type(content.content_type)
        document = _document(content.body)
        enforced = bundle.signature.enforce(document["input_data"], document.get("params"))
        unused = unused_fields(document, _KEYS, enforced)
        return Decoded(enforced.payload, enforced.params, enforced.extra_columns, None, unused)

    def encode(self, result: Result, reply_context: None, max_bytes: int = sys.maxsize) -> Encoded:
        encoded = encoded_json(result_to_json(result, max_bytes))
        encoded.headers.append(_SUCCEEDED)
        return encoded

    def encode_error(self, error: ScoringError) -> Encoded:
        """Write the error object, and beside it the `message` that Azure's inference server has at the top."""
        described: dict[str, Any] = {"code": error.code, "message": error.message, "details": error.details}
        if error.target is not None:
            described["target"] = error.target
        return encoded_json(orjson.dumps({"error": described, "message": error.message}))


def _check_media_type(content_type: bytes | None) -> None:
    if content_type != _JSON and (content_type or b"").partition(b";")[0].strip().lower() != _JSON:
        raise UnsupportedMediaType("send JSON, with the header 'Content-Type: application/json'")


def _document(body: bytes) -> dict[str, Any]:
    if not body:
        raise InvalidBody("the body is empty: send a JSON object with 'input_data'")
    try:
        document = parse_json(body)
    except orjson.JSONDecodeError as error:
        raise InvalidBody(f"the body is not JSON: {error}") from None
    if not isinstance(document, dict) or "input_data" not in document:
        raise InvalidBody("the body must be a JSON object with 'input_data' (and 'params', for a model with params)")
    return document
