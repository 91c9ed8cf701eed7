"""The ASGI application: from a request to its handler, and from whatever happens to a response."""

import asyncio
import logging
import time
from http import HTTPStatus

from data_plane.gateway.content_coding import packed
from data_plane.gateway.envelope import Refuse
from data_plane.gateway.health import HEALTHY
from data_plane.gateway.limits import Limits
from data_plane.gateway.messages import (
    ClientGone,
    Receive,
    Request,
    Response,
    Scope,
    Send,
    refusal_response,
)
from data_plane.gateway.routes import GATEWAY_HEALTH_PATHS, Route, Routes, split_path
from data_plane.gateway.routing_table import RoutingTable
from data_plane.scoring.errors import BadCredentials, GatewayStops, MethodNotAllowed, ScoringError, UnknownPath

_log = logging.getLogger(__name__)


class GatewayApp:
    def __init__(self, table: RoutingTable, limits: Limits) -> None:
        self._table = table
        self._routes = Routes(limits)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        try:
            response = await packed(await self._response(request), request)
        except ClientGone:
            return
        headers = [
            *response.headers,
            (b"content-length", b"%d" % len(response.body)),
            *request.tracing_headers(),
        ]
        await send({"type": "http.response.start", "status": int(response.status), "headers": headers})
        await send({"type": "http.response.body", "body": response.body})

    async def _response(self, request: Request) -> Response:
        if request.path in GATEWAY_HEALTH_PATHS:
            return _gateway_health(request)
        name, below = split_path(request.path)
        route = self._routes.find(below)
        refuse: Refuse = refusal_response if route is None else route.refuse
        try:
            return await self._handled(request, name, route)
        except ScoringError as refusal:
            return refuse(refusal)
        except asyncio.CancelledError:
            # Either the caller is gone, and does not see this, or the gateway's time is up.
            return refuse(GatewayStops())
        except Exception:  # noqa: BLE001 - whatever it is, the caller gets an answer and the log the rest
            _log.exception("Request %s to %s failed", request.id, request.path)
            return refuse(ScoringError(f"the gateway failed; its log says why under request {request.id}"))

    async def _handled(self, request: Request, name: str, route: Route | None) -> Response:
        if route is None:
            raise UnknownPath
        if request.method == "OPTIONS":
            return _options(route.allowed)
        endpoint = self._table.endpoint(name)
        if not endpoint.credentials.accept(request.header(b"authorization"), time.time()):
            raise BadCredentials
        handler = route.handler(request.method)
        if handler is None:
            raise MethodNotAllowed(route.allowed)
        return await handler(request, endpoint)


def _gateway_health(request: Request) -> Response:
    match request.method:
        case "GET" | "HEAD":
            return HEALTHY
        case "OPTIONS":
            return _options("GET, HEAD, OPTIONS")
        case _:
            return refusal_response(MethodNotAllowed("GET, HEAD, OPTIONS"))


def _options(methods: str) -> Response:
    return Response(HTTPStatus.OK, b"", [(b"allow", methods.encode())])
