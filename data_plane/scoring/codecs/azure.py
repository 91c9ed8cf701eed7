"""`POST /{endpoint}/score`: Azure's envelope in, the bare result out."""

from typing import Any

import orjson

from data_plane.gateway.messages import Request, Response, json_response, refusal_response
from data_plane.gateway.routing_table import LiveDeployment
from data_plane.replicas.port import ScoreResponse
from data_plane.scoring.errors import InvalidBody, ScoringError, UnsupportedMediaType
from data_plane.scoring.payload.result_json import result_to_json
from data_plane.scoring.signature import Enforced, parse_json

_JSON = b"application/json"


class AzureEnvelope:
    def read(self, request: Request, body: bytes, deployment: LiveDeployment) -> Enforced:
        _check_media_type(request)
        document = _document(body)
        return deployment.signature.enforce(document["input_data"], document.get("params"))

    def write(self, request: Request, body: bytes, deployment: LiveDeployment, answer: ScoreResponse) -> Response:
        headers = [
            (b"x-ms-run-function-failed", b"False"),
            (b"x-ms-run-fn-exec-ms", b"%.3f" % (answer.model_seconds * 1000)),
        ]
        return json_response(result_to_json(answer.result), headers)

    def refuse(self, refusal: ScoringError) -> Response:
        return refusal_response(refusal)


def _check_media_type(request: Request) -> None:
    media_type = request.header(b"content-type") or b""
    if media_type != _JSON and media_type.partition(b";")[0].strip().lower() != _JSON:
        raise UnsupportedMediaType("send JSON, with the header 'Content-Type: application/json'")


def _document(body: bytes) -> dict[str, Any]:
    if not body:
        raise InvalidBody("the body is empty: send a JSON object with 'input_data'")
    try:
        document = parse_json(body)
    except orjson.JSONDecodeError as error:
        raise InvalidBody(f"the body is not JSON: {error}") from None
    if not isinstance(document, dict) or "input_data" not in document:
        raise InvalidBody("the body must be a JSON object with 'input_data' (and, if the model takes any, 'params')")
    return document
