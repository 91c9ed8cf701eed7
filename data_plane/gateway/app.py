"""The application behind the connections: from a request to its handler, from a result or an error to a response."""

import asyncio
import logging
import time
from http import HTTPStatus

from data_plane.gateway.content_coding import compressed, may_be_compressed
from data_plane.gateway.errors import BadCredentials, GatewayStops, MethodNotAllowed, UnknownPath, error_response
from data_plane.gateway.health import HEALTHY
from data_plane.gateway.request import ClientGone, Request
from data_plane.gateway.response import Response
from data_plane.gateway.routes import GATEWAY_HEALTH_PATHS, Routes
from data_plane.gateway.routing_table import RoutingTable
from data_plane.scoring.codecs.azure import AzureCodec
from data_plane.scoring.errors import ScoringError
from modelyard.core.settings import GatewaySettings
from modelyard.process.http_exchange import HttpExchange

_log = logging.getLogger(__name__)

_AZURE = AzureCodec()


class GatewayApp:
    def __init__(self, table: RoutingTable, limits: GatewaySettings) -> None:
        self._table = table
        self._routes = Routes(limits)

    async def __call__(self, exchange: HttpExchange) -> None:
        request = Request(exchange)
        try:
            response = await self._response(request)
        except ClientGone:
            return
        if may_be_compressed(response, request):
            response = await compressed(response, request)
        await exchange.respond(response.status, response.headers + request.tracing_headers(), response.body)

    async def _response(self, request: Request) -> Response:
        if request.path in GATEWAY_HEALTH_PATHS:
            return _gateway_health(request)
        route = self._routes.find(request.path_below)
        codec = _AZURE if route is None else route.codec
        try:
            if route is None:
                raise UnknownPath
            if request.method == "OPTIONS":
                return _options(route.allowed)
            endpoint = self._table.endpoint(request.endpoint)
            authorization, credentials = request.header(b"authorization"), endpoint.credentials
            if not (
                credentials.accept(authorization, route.required_role, time.time())
                or (credentials.takes_openid and await credentials.accept_openid(authorization, route.required_role))
            ):
                raise BadCredentials
            handler = route.handler(request.method)
            if handler is None:
                raise MethodNotAllowed(route.allowed)
            return await handler(request, endpoint)
        except ScoringError as error:
            return error_response(error, codec)
        except asyncio.CancelledError:
            # The caller is gone and does not see the response, or the gateway stops.
            return error_response(GatewayStops(), codec)
        except Exception:  # noqa: BLE001 - the caller gets an answer, and the log the traceback
            _log.exception("Request %s to %s failed", request.id, request.path)
            failure = ScoringError(f"the gateway failed; its log says why under request {request.id}")
            return error_response(failure, codec)


def _gateway_health(request: Request) -> Response:
    match request.method:
        case "GET" | "HEAD":
            return HEALTHY
        case "OPTIONS":
            return _options("GET, HEAD, OPTIONS")
        case _:
            return error_response(MethodNotAllowed("GET, HEAD, OPTIONS"), _AZURE)


def _options(methods: str) -> Response:
    return Response(HTTPStatus.OK, b"", [(b"allow", methods.encode())])
