"""An HTTP response, from handlers."""

from typing import NamedTuple

from data_plane.scoring.codecs.port import JSON, Headers


class Response(NamedTuple):
    status: int
    body: bytes
    headers: Headers


def json_response(body: bytes, status: int = 200) -> Response:
    return Response(status, body, [JSON])
