"""`GET /{endpoint}/swagger.json?version=2|3|3.1`, of the deployment that a request would reach."""

import json
from urllib.parse import parse_qs
from weakref import WeakKeyDictionary

from data_plane.gateway.messages import Request, Response, json_response
from data_plane.gateway.routing_table import LiveEndpoint, LoadedBundle
from data_plane.gateway.swagger.dialect import DIALECTS, USUAL, Dialect
from data_plane.gateway.swagger.document import document
from data_plane.scoring.errors import InvalidQuery


class Swagger:
    """Each document is made once, when it is first asked for, and forgotten with its deployment."""

    def __init__(self) -> None:
        self._made: WeakKeyDictionary[LoadedBundle, dict[str, bytes]] = WeakKeyDictionary()

    async def answer(self, request: Request, endpoint: LiveEndpoint) -> Response:
        dialect = _dialect(request.query)
        deployment = endpoint.choose(request.named_deployment)
        request.deployment = deployment.route.name
        return json_response(self._document(endpoint.name, deployment.readable, dialect), [])

    def _document(self, endpoint: str, contents: LoadedBundle, dialect: Dialect) -> bytes:
        made = self._made.setdefault(contents, {})
        if dialect.version not in made:
            described = document(endpoint, contents.bundle, contents.signature, dialect)
            made[dialect.version] = json.dumps(described, allow_nan=False).encode()
        return made[dialect.version]


def _dialect(query: bytes) -> Dialect:
    try:
        asked = parse_qs(query.decode("latin-1"), keep_blank_values=True, max_num_fields=20).get("version")
    except ValueError:
        raise InvalidQuery("the query cannot be read") from None
    if asked is None:
        return USUAL
    dialect = DIALECTS.get(asked[-1])
    if dialect is None:
        raise InvalidQuery(f"the version of swagger.json is one of {', '.join(DIALECTS)}")
    return dialect
