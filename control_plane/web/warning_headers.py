"""`Warning: 299 modelyard "…"` for each field of a request without effect, as Kubernetes' API server sends them."""

import json
from typing import Any

from fastapi import Response
from fastapi.routing import APIRoute

from control_plane.resources.arm_body import ArmBody
from control_plane.resources.without_effect import body_in, notes_on
from control_plane.web.lenient_json import LenientRequest

HEADER = "Warning"
_PREFIX = "299 modelyard "
_MOST = 20


async def add_warnings(route: APIRoute, request: LenientRequest, response: Response) -> None:
    """Name the fields without effect in the response to a successful request."""
    requested = body_in(route.body_field.field_info.annotation) if route.body_field else None
    body = await request.body() if requested else b""
    if requested is None or not body or response.status_code >= 400:
        return
    notes = notes_on(await request.json(), requested, _answer_of(route, request.method))
    sentences = [str(note) for note in notes[:_MOST]]
    if len(notes) > _MOST:
        sentences.append(f"{len(notes) - _MOST} further fields have no effect")
    for sentence in sentences:
        # A JSON string is a quoted string of HTTP, in ASCII whatever the request's spelling of a name.
        response.headers.append(HEADER, f"{_PREFIX}{json.dumps(sentence)}")


def _answer_of(route: APIRoute, method: str) -> type[ArmBody] | None:
    """The body of the same resource in responses: a PUT alone holds the whole resource."""
    model: Any = route.response_model
    return body_in(model) if method == "PUT" else None
