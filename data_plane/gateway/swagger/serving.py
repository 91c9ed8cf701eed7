"""`GET /{endpoint}/swagger.json?version=2|3|3.1`, for the deployment that a scoring request would reach."""

import json
from urllib.parse import parse_qs
from weakref import WeakKeyDictionary

from data_plane.gateway.errors import InvalidQuery
from data_plane.gateway.request import Request
from data_plane.gateway.response import Response, json_response
from data_plane.gateway.routing_table import LiveEndpoint
from data_plane.gateway.swagger.dialect import DEFAULT, DIALECTS, Dialect
from data_plane.gateway.swagger.document import document
from data_plane.scoring.loaded_bundle import LoadedBundle


class Swagger:
    """Each document is made at its first request, and dropped with its deployment."""

    def __init__(self) -> None:
        self._made: WeakKeyDictionary[LoadedBundle, dict[str, bytes]] = WeakKeyDictionary()

    async def answer(self, request: Request, endpoint: LiveEndpoint) -> Response:
        dialect = _dialect(request.query)
        deployment = endpoint.choose(request.named_deployment)
        request.deployment = deployment.route.name
        return json_response(self._document(endpoint.name, deployment.loaded_bundle, dialect))

    def _document(self, endpoint: str, loaded: LoadedBundle, dialect: Dialect) -> bytes:
        made = self._made.setdefault(loaded, {})
        if dialect.version not in made:
            described = document(endpoint, loaded, dialect)
            made[dialect.version] = json.dumps(described, allow_nan=False).encode()
        return made[dialect.version]


def _dialect(query: bytes) -> Dialect:
    try:
        requested = parse_qs(query.decode("latin-1"), keep_blank_values=True, max_num_fields=20).get("version")
    except ValueError:
        raise InvalidQuery("the query is not valid: send ?version=2, 3 or 3.1") from None
    if requested is None:
        return DEFAULT
    dialect = DIALECTS.get(requested[-1])
    if dialect is None:
        raise InvalidQuery(f"the version of swagger.json must be one of {', '.join(DIALECTS)}")
    return dialect
