"""Paths below `v2`: the route each one is, and the model that it names."""

import re
from typing import NamedTuple

UNKNOWN = "v2/{unknown}"
_MODEL = re.compile(r"v2/models/(?P<name>[^/]+)(?:/versions/(?P<version>[^/]+))?(?P<what>/ready|/infer)?")
_PREFIX = "v2"
_PLAIN = frozenset({"v2", "v2/health/live", "v2/health/ready", "v2/repository/index"})


class AskedModel(NamedTuple):
    name: str
    version: str | None


def route_of(below: str) -> str:
    """The path with a model's name and version left out; UNKNOWN for one below v2 that is no route's."""
    path = below.removesuffix("/")
    if path != _PREFIX and not path.startswith(_PREFIX + "/"):
        return below
    model = _MODEL.fullmatch(path)
    if model is not None:
        return f"v2/models/{{name}}{model['what'] or ''}"
    return path if path in _PLAIN else UNKNOWN


def asked_model(path: str) -> AskedModel:
    """Of a request's path, which begins with the endpoint."""
    _, _, below = path[1:].partition("/")
    model = _MODEL.fullmatch(below.removesuffix("/"))
    assert model is not None, "only routes with a model ask for it"
    return AskedModel(model["name"], model["version"])
