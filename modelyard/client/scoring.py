"""Scoring requests, and error responses in readable words."""

import json
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

from modelyard.client.connection import Connection
from modelyard.client.documents.reading import look_up
from modelyard.client.errors import PlatformUnreachable, ScoringError
from modelyard.client.transport import Response

DEPLOYMENT_HEADER = "azureml-model-deployment"
# For error responses without a message, for example from a proxy.
_MEANINGS: Mapping[int, str] = {
    HTTPStatus.UNAUTHORIZED: "the endpoint does not accept this key or token",
    HTTPStatus.NOT_FOUND: "no deployment receives this request: pass --deployment-name, or set the traffic",
    HTTPStatus.REQUEST_TIMEOUT: "the model took longer than the deployment's request_timeout_ms",
    HTTPStatus.FAILED_DEPENDENCY: "the model itself failed; its traceback is in the deployment's logs",
    HTTPStatus.TOO_MANY_REQUESTS: "too many requests are waiting; try again in a moment",
    HTTPStatus.SERVICE_UNAVAILABLE: "no worker of the deployment is ready; try again in a moment",
}


def score(connection: Connection, scoring_uri: str, bearer: str, body: bytes, deployment: str | None = None) -> str:
    """POST a request body. Returns the response body; raises ScoringError for an error response."""
    headers = {"Authorization": f"Bearer {bearer}", "Content-Type": "application/json"}
    if deployment:
        headers[DEPLOYMENT_HEADER] = deployment
    response = connection.send("POST", scoring_uri, headers=headers, content=body)
    if response.is_success:
        return response.text
    raise _scoring_error(response)


def sample_request(connection: Connection, swagger_uri: str, bearer: str, deployment: str) -> Mapping[str, Any] | None:
    """Return the request body in the deployment's swagger.json, which the platform has checked by its own rules.

    None: the platform shows none for the model, or the deployment does not answer yet.
    """
    headers = {"Authorization": f"Bearer {bearer}", DEPLOYMENT_HEADER: deployment}
    try:
        response = connection.send("GET", swagger_uri, headers=headers)
        example = look_up(response.json(), "definitions.ServiceInput.example") if response.is_success else None
    except (PlatformUnreachable, ValueError):
        return None
    return example if isinstance(example, Mapping) else None


def _scoring_error(response: Response) -> ScoringError:
    message, violations = _message_and_violations(response)
    if violations:
        message = "the request does not fit the model's signature"
    sentence = message or _MEANINGS.get(response.status, "the endpoint gave no reason")
    return ScoringError(response.status, f"{sentence} ({response.status})", violations)


def _message_and_violations(response: Response) -> tuple[str, Sequence[str]]:
    """Return the message and the signature violations of an error body, in each of the known shapes."""
    try:
        document = json.loads(response.text)
    except ValueError:
        return " ".join(response.text.split())[:200], ()
    error = document.get("error", document) if isinstance(document, Mapping) else {}
    if not isinstance(error, Mapping):
        return str(error), ()
    details = error.get("details") or () if response.status == HTTPStatus.BAD_REQUEST else ()
    return str(error.get("message") or ""), [_sentence(detail) for detail in details]


def _sentence(detail: Any) -> str:
    return str(detail.get("message", detail)) if isinstance(detail, Mapping) else str(detail)
