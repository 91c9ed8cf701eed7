"""`POST /{endpoint}/score`: Azure's envelope in, the bare result out."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import orjson

from data_plane.gateway.limits import Limits
from data_plane.gateway.messages import Request, Response, json_response
from data_plane.gateway.refusals import InputRefused, InvalidBody, UnsupportedMediaType
from data_plane.gateway.routing_table import LiveDeployment, LiveEndpoint
from data_plane.gateway.target import Answer, ScoreRequest
from data_plane.guests.codec import result_to_json
from data_plane.signature import SignatureViolations

_JSON = b"application/json"


def score_with(limits: Limits) -> Callable[[Request, LiveEndpoint], Coroutine[Any, Any, Response]]:
    async def score(request: Request, endpoint: LiveEndpoint) -> Response:
        deployment = endpoint.choose(named_deployment(request))
        request.deployment = deployment.route.name
        _check_media_type(request)
        document = _document(await request.body(limits.largest_body))
        deadline = asyncio.get_running_loop().time() + deployment.route.request_timeout_seconds
        question = _enforced(deployment, request, document)
        return _answered(await deployment.target.score(question, deadline))

    return score


def named_deployment(request: Request) -> str | None:
    named = request.header(b"azureml-model-deployment")
    return named.decode("latin-1") if named else None


def _check_media_type(request: Request) -> None:
    media_type = request.header(b"content-type") or b""
    if media_type != _JSON and media_type.partition(b";")[0].strip().lower() != _JSON:
        raise UnsupportedMediaType("send JSON, with the header 'Content-Type: application/json'")
    if (request.header(b"content-encoding") or b"identity").lower() != b"identity":
        raise UnsupportedMediaType("send the body without a Content-Encoding")


def _document(body: bytes) -> dict[str, Any]:
    if not body:
        raise InvalidBody("the body is empty: send a JSON object with 'input_data'")
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise InvalidBody(f"the body is not JSON: {error}") from None
    if not isinstance(document, dict) or "input_data" not in document:
        raise InvalidBody("the body must be a JSON object with 'input_data' (and, if the model takes any, 'params')")
    return document


def _enforced(deployment: LiveDeployment, request: Request, document: dict[str, Any]) -> ScoreRequest:
    try:
        payload, params = deployment.signature.enforce(document["input_data"], document.get("params"))
    except SignatureViolations as violations:
        raise InputRefused(violations) from None
    return ScoreRequest(request.id, payload, params)


def _answered(answer: Answer) -> Response:
    headers = [
        (b"x-ms-run-function-failed", b"False"),
        (b"x-ms-run-fn-exec-ms", b"%.3f" % (answer.seconds * 1000)),
    ]
    return json_response(result_to_json(answer.result), headers)
