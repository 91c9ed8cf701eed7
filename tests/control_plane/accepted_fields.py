"""Finds fields of request bodies that no code reads, by conversion of bodies that differ in one field."""

import inspect
from collections.abc import Callable, Iterator, Mapping
from copy import deepcopy
from dataclasses import is_dataclass, replace
from typing import Any

from fastapi.routing import APIRoute
from pydantic import ValidationError

from control_plane.app import ROUTERS
from control_plane.features.batch_deployments.schemas import BuildLogRequest
from control_plane.features.computes.schemas import ComputeRequest
from control_plane.resources.arm_body import ArmBody
from control_plane.resources.assets.schemas import ContainerRequest
from control_plane.resources.without_effect import body_in, marker_of
from control_plane.resources.workspaces.workspace import WorkspacePath
from modelyard.core.errors import PlatformError

Document = dict[str, Any]
REFUSED = "refused"
_CONVERTERS: Mapping[type[ArmBody], Callable[[Any], Any]] = {
    ContainerRequest: lambda read: read.properties.to_description(),
    ComputeRequest: lambda read: (read.location, read.body()["tags"]),
    BuildLogRequest: lambda read: (read.check(), read.tail),
}
_SHOWN = ("description",)
"""Fields of `body`, where a specification has the fields that are merely returned, that are there to be shown."""
# One of them is a value of any field.
_VALUES: tuple[Any, ...] = (
    "x", ["x"], "x-long-enough-for-a-key", 7, True, "PT7S", "2030-01-02T03:04:05Z",
    {"a": "b"}, {"a": 100}, {"a": 10}, "owner",
    "Key", "AADToken", "Primary", "Disabled", "SummaryOnly", "parquet", "debug", "uri_file", "custom_model", "Managed",
    "StorageInitializer", "InferenceServer", "off", "Enabled", "UriFile", "Kubernetes", "name",
)  # fmt: skip
_BASES: Mapping[str, Document] = {
    "DeploymentRequest": {"properties": {"model": "m"}},
    "EndpointRequest": {"properties": {"authMode": "Key"}},
    "BatchDeploymentRequest": {"properties": {"model": {"assetId": "m"}}},
    "SubmissionRequest": {"properties": {"inputData": {"a": {"jobInputType": "UriFolder", "uri": "azureml:d:1"}}}},
    "AccessTokenRequest": {"properties": {"subject": "s", "roles": [{"role": "reader"}]}},
    "DatasetVersionRequest": {"properties": {"paths": [{"folder": "azureml://d"}]}},
    "RegenerateKeysRequest": {"keyType": "Secondary"},
}


def routes_with_bodies() -> Iterator[tuple[APIRoute, type[ArmBody]]]:
    for router in ROUTERS:
        for route in router.routes:
            if isinstance(route, APIRoute) and route.body_field:
                body = body_in(route.body_field.field_info.annotation)
                assert body is not None, route.name
                yield route, body


def base_of(body: type[ArmBody]) -> Document:
    return deepcopy(_BASES.get(body.__name__, {"properties": {}} if "properties" in body.model_fields else {}))


def unread_fields(body: type[ArmBody], base: Document, convert: Callable[[Any], Any]) -> list[str]:
    """Paths of the fields whose value changes nothing in the converted body and that carry no WithoutEffect."""
    return [".".join(path) for path in _unmarked(body, ()) if not _is_read(body, base, convert, path)]


def converter(route: APIRoute, body: type[ArmBody]) -> Callable[[Any], Any]:
    if body in _CONVERTERS:
        return _CONVERTERS[body]
    for name in ("to_spec", "to_patch"):
        if method := getattr(body, name, None):
            takes_path = "path" in inspect.signature(method).parameters
            path = (WorkspacePath("s", "g", "w"),) if takes_path else ()
            return lambda read: getattr(read, name)(*path)
    # The route reads the fields itself.
    source = inspect.getsource(route.endpoint)
    return lambda read: {name: getattr(read, name) for name in body.model_fields if f".{name}" in source}


def marked_fields(body: type[ArmBody]) -> dict[str, str]:
    """The reason of each field with a WithoutEffect, by path."""
    return {".".join(path): marker.reason for path, marker in _fields(body, ()) if marker is not None}


def _unmarked(body: type[ArmBody], above: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    return (path for path, marker in _fields(body, above) if marker is None)


def _fields(body: type[ArmBody], above: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any]]:
    for name, field in body.model_fields.items():
        path = (*above, field.alias or name)
        inner = body_in(field.annotation)
        if marker_of(field) is None and inner is not None:
            yield from _fields(inner, (*path, "a") if "dict[" in str(field.annotation) else path)
        else:
            yield path, marker_of(field)


def _is_read(body: type[ArmBody], base: Document, convert: Callable[[Any], Any], path: tuple[str, ...]) -> bool:
    unchanged = _converted(body, base, convert)
    assert unchanged != REFUSED, base
    documents = (_with(base, path, value) for value in _VALUES)
    return any((converted := _converted(body, each, convert)) and converted != unchanged for each in documents)


def _converted(body: type[ArmBody], document: Document, convert: Callable[[Any], Any]) -> Any:
    """None for a value of another type than the field's."""
    try:
        spec = convert(body.model_validate(document))
    except ValidationError:
        return None
    except PlatformError:
        return REFUSED
    if is_dataclass(spec) and hasattr(spec, "body"):
        return replace(spec, body={name: spec.body.get(name) for name in _SHOWN})
    return spec


def _with(base: Document, path: tuple[str, ...], value: Any) -> Document:
    changed = deepcopy(base)
    place: Any = changed
    for name in path[:-1]:
        place = place.setdefault(name, {})
        place = place[0] if isinstance(place, list) else place
        if isinstance(place, str):
            return changed
    place[path[-1]] = value
    return changed
