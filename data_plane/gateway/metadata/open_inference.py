"""Metadata of the Open Inference Protocol: server, health, models and tensors."""

from importlib.metadata import version
from typing import Any

import orjson

from data_plane.gateway.errors import UnknownPath
from data_plane.gateway.health import health
from data_plane.gateway.model_choice import choose
from data_plane.gateway.request import Request
from data_plane.gateway.response import Response, json_response
from data_plane.gateway.routing_table import LiveDeployment, LiveEndpoint
from data_plane.scoring.codecs.open_inference.declared_tensors import declared_inputs, declared_outputs
from data_plane.scoring.codecs.open_inference.paths import requested_model
from data_plane.scoring.errors import NoReadyWorker

_SERVER = {"name": "modelyard", "version": version("modelyard"), "extensions": ["binary_tensor_data"]}


async def server_metadata(request: Request, endpoint: LiveEndpoint) -> Response:
    return _json(_SERVER)


async def server_live(request: Request, endpoint: LiveEndpoint) -> Response:
    return _json({"live": True})


async def server_ready(request: Request, endpoint: LiveEndpoint) -> Response:
    await health(request, endpoint)
    return _json({"ready": True})


async def model_metadata(request: Request, endpoint: LiveEndpoint) -> Response:
    deployment = choose(request, endpoint)
    outputs = deployment.bundle.signature.outputs if deployment.bundle.signature else None
    return _json(
        {
            "name": requested_model(request.path_below).name,
            "versions": [deployment.bundle.model.version],
            "platform": f"mlflow_{deployment.bundle.flavor}",
            "inputs": [each.to_json() for each in declared_inputs(deployment.loaded_bundle.signature.inputs)],
            "outputs": [each.to_json() for each in declared_outputs(outputs)],
        }
    )


async def model_ready(request: Request, endpoint: LiveEndpoint) -> Response:
    deployment = choose(request, endpoint)
    if not deployment.upstream.is_ready:
        raise NoReadyWorker(deployment.route.name)
    return _json({"name": requested_model(request.path_below).name, "ready": True})


async def repository_index(request: Request, endpoint: LiveEndpoint) -> Response:
    """List each version of a model once: READY if any deployment is."""
    entries: dict[tuple[str, str], dict[str, Any]] = {}
    for deployment in endpoint.deployments.values():
        if deployment.is_usable:
            entry = _index_entry(deployment)
            place = entry["name"], entry["version"]
            if place not in entries or entry["state"] == "READY":
                entries[place] = entry
    return _json([entries[place] for place in sorted(entries)])


async def unknown_path(request: Request, endpoint: LiveEndpoint) -> Response:
    raise UnknownPath


def _index_entry(deployment: LiveDeployment) -> dict[str, Any]:
    model = deployment.bundle.model
    state = "READY" if deployment.upstream.is_ready else "UNAVAILABLE"
    return {"name": model.name, "version": model.version, "state": state, "reason": ""}


def _json(document: Any) -> Response:
    return json_response(orjson.dumps(document))
