"""Refusals as the protocol has them: one text under `error`."""

import orjson

from data_plane.gateway.messages import Response, json_response
from data_plane.scoring.errors import InputRefused, ScoringError


def error_response(refusal: ScoringError) -> Response:
    return json_response(orjson.dumps({"error": _message(refusal)}), refusal.headers, refusal.status)


def _message(refusal: ScoringError) -> str:
    """There is no place but this one for the violations."""
    if not isinstance(refusal, InputRefused):
        return refusal.message
    listed = "; ".join(each["message"] for each in refusal.details)
    return f"the input does not fit the model's signature: {listed}"
