"""Which handler answers what. All but the gateway's own health lies below an endpoint's name."""

from collections.abc import Callable, Coroutine, Mapping
from typing import Any

from data_plane.gateway.health import health
from data_plane.gateway.limits import Limits
from data_plane.gateway.messages import Request, Response
from data_plane.gateway.routing_table import LiveEndpoint
from data_plane.gateway.score import score_with

Handler = Callable[[Request, LiveEndpoint], Coroutine[Any, Any, Response]]
Methods = Mapping[str, Handler]

GATEWAY_HEALTH_PATHS = frozenset({"/", "/health"})


def endpoint_routes(limits: Limits) -> Mapping[str, Methods]:
    """Handlers by method, by the path below the endpoint."""
    return {
        "": {"GET": health, "HEAD": health},
        "score": {"POST": score_with(limits)},
    }


def split_path(path: str) -> tuple[str, str]:
    """(endpoint, the path below it)"""
    endpoint, _, below = path[1:].partition("/")
    return endpoint, below


def allowed(methods: Methods) -> str:
    return ", ".join([*methods, "OPTIONS"])
