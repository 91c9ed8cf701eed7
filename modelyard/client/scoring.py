"""A scoring request, as any program would send it, and its refusals in readable words."""

import json
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

from modelyard.client.connection import Connection
from modelyard.client.errors import ScoringRefused
from modelyard.client.transport import Reply

_DEPLOYMENT_HEADER = "azureml-model-deployment"
# For answers that come without words, from a proxy on the way for example.
_MEANINGS: Mapping[int, str] = {
    HTTPStatus.UNAUTHORIZED: "the endpoint does not accept this key or token",
    HTTPStatus.NOT_FOUND: "no deployment receives this request: name one, or give one traffic",
    HTTPStatus.REQUEST_TIMEOUT: "the model took longer than the deployment's request_timeout_ms",
    HTTPStatus.FAILED_DEPENDENCY: "the model itself failed; its traceback is in the deployment's logs",
    HTTPStatus.TOO_MANY_REQUESTS: "too many requests are waiting; try again in a moment",
    HTTPStatus.SERVICE_UNAVAILABLE: "no worker of the deployment is ready; try again in a moment",
}


def score(connection: Connection, scoring_uri: str, bearer: str, body: bytes, deployment: str | None = None) -> str:
    """POST a request body as it is. Returns the answer as it is; raises ScoringRefused for any other."""
    headers = {"Authorization": f"Bearer {bearer}", "Content-Type": "application/json"}
    if deployment:
        headers[_DEPLOYMENT_HEADER] = deployment
    reply = connection.send("POST", scoring_uri, headers=headers, content=body)
    if reply.is_success:
        return reply.text
    raise _refusal(reply)


def _refusal(reply: Reply) -> ScoringRefused:
    message, violations = _said(reply)
    if violations:
        message = "the request does not fit the model's signature"
    sentence = message or _MEANINGS.get(reply.status, "the endpoint gave no reason")
    return ScoringRefused(reply.status, f"{sentence} ({reply.status})", violations)


def _said(reply: Reply) -> tuple[str, Sequence[str]]:
    """The message in an error body, and the violations of the signature, whichever of the known shapes it has."""
    try:
        document = json.loads(reply.text)
    except ValueError:
        return " ".join(reply.text.split())[:200], ()
    error = document.get("error", document) if isinstance(document, Mapping) else {}
    if not isinstance(error, Mapping):
        return str(error), ()
    details = error.get("details") or () if reply.status == HTTPStatus.BAD_REQUEST else ()
    return str(error.get("message") or ""), [_sentence(detail) for detail in details]


def _sentence(detail: Any) -> str:
    return str(detail.get("message", detail)) if isinstance(detail, Mapping) else str(detail)
