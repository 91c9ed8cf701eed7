"""Paths below an endpoint that begin with `v2`: the route of each, and the model in it."""

import re
from typing import NamedTuple

UNKNOWN = "v2/{unknown}"
_MODEL = re.compile(r"v2/models/(?P<name>[^/]+)(?:/versions/(?P<version>[^/]+))?(?P<action>/ready|/infer)?")
_PREFIX = "v2"
_PLAIN = frozenset({"v2", "v2/health/live", "v2/health/ready", "v2/repository/index"})


class RequestedModel(NamedTuple):
    name: str
    version: str | None


def route_of(below: str) -> str:
    """Return the path without a model's name and version, or UNKNOWN for a path below v2 without a route."""
    path = below.removesuffix("/")
    if path != _PREFIX and not path.startswith(_PREFIX + "/"):
        return below
    model = _MODEL.fullmatch(path)
    if model is not None:
        return f"v2/models/{{name}}{model['action'] or ''}"
    return path if path in _PLAIN else UNKNOWN


def requested_model(below: str) -> RequestedModel:
    """Return the model that a path below the endpoint names. `below` must have a route with a model."""
    model = _MODEL.fullmatch(below.removesuffix("/"))
    assert model is not None, "the path of a route with a model names one"
    return RequestedModel(model["name"], model["version"])
