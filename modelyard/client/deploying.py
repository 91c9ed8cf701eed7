"""Deploy a model folder in one call; call again to deploy the next version of the model."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from modelyard.client.client import Client
from modelyard.client.documents.assets import LocalModel
from modelyard.client.watching import SILENT_WATCHER, Watcher
from modelyard.core.domain.names import check_deployment_name, check_endpoint_name
from modelyard.core.domain.operation_step import OperationStep

_SHORTEST_NAME = 3
_LONGEST_NAME = 32


@dataclass(frozen=True, slots=True)
class FolderDeployment:
    folder: Path
    endpoint: str
    deployment: str = "default"
    instance_count: int | None = None
    """None keeps the count of the deployment, or starts with 1."""
    wait: bool = True
    """False returns when the deployment is accepted; the platform continues in the background."""


@dataclass(frozen=True, slots=True)
class Deployed:
    scoring_uri: str
    key: str
    example: Mapping[str, Any] | None
    """A request body that the deployment accepts. None: the platform has none, or the caller did not wait."""
    named: str | None
    """The deployment that a request has to name, because other deployments have traffic. None: no name is needed."""
    changed: bool
    """False when the endpoint served the same model before the call."""


def endpoint_name_for(folder: Path) -> str:
    """Derive an endpoint name that Azure accepts from the folder's name."""
    words = re.sub(r"[^a-z0-9]+", "-", folder.expanduser().resolve().name.lower()).strip("-")
    name = words if words[:1].isalpha() else f"model-{words}".rstrip("-")
    name = name if len(name) >= _SHORTEST_NAME else f"{name}-model"
    return name[:_LONGEST_NAME].rstrip("-")


def deploy_folder(client: Client, spec: FolderDeployment, watcher: Watcher = SILENT_WATCHER) -> Deployed:
    """Register a model folder, create or update the endpoint and the deployment, and route the traffic."""
    # Check the names before uploading a large folder.
    check_endpoint_name(spec.endpoint)
    check_deployment_name(spec.deployment)
    local = LocalModel(spec.folder, name=spec.endpoint)
    model = client.models.register(local, watcher, reuse_latest=True)
    if client.online_endpoints.find(spec.endpoint) is None:
        watcher.step("creating the endpoint")
        client.put_endpoint({"name": spec.endpoint}).wait(watcher)
    changed = _put_unless_serving(client, spec, str(model["id"]), watcher)
    has_all_traffic = _route_traffic(client, spec, watcher)
    return Deployed(
        scoring_uri=str(client.online_endpoints.get(spec.endpoint)["properties"]["scoringUri"]),
        key=client.online_endpoints.credentials(spec.endpoint).bearer,
        example=client.sample_request(spec.endpoint, spec.deployment) if spec.wait else None,
        named=None if has_all_traffic else spec.deployment,
        changed=changed,
    )


def _put_unless_serving(client: Client, spec: FolderDeployment, model_id: str, watcher: Watcher) -> bool:
    existing = client.online_deployments.find(spec.endpoint, spec.deployment)
    count = spec.instance_count or (existing["sku"]["capacity"] if existing else 1)
    if existing and _serves(existing, model_id, count):
        return False
    document = {"name": spec.deployment, "endpoint_name": spec.endpoint, "model": model_id, "instance_count": count}
    change = client.put_deployment(document, spec.folder, watcher)
    if spec.wait:
        change.wait(watcher)
    return True


def _serves(deployment: Mapping[str, Any], model_id: str, count: int) -> bool:
    properties = deployment["properties"]
    return (
        properties["provisioningState"] == "Succeeded"
        and str(properties["model"]).lower() == model_id.lower()
        and deployment["sku"]["capacity"] == count
    )


def _route_traffic(client: Client, spec: FolderDeployment, watcher: Watcher) -> bool:
    """Send all traffic to the deployment, unless other deployments share it. Return whether it has all traffic."""
    traffic = client.online_endpoints.get(spec.endpoint)["properties"].get("traffic") or {}
    given = {name: percent for name, percent in traffic.items() if percent}
    if not given:
        watcher.step(OperationStep.ROUTING.sentence)
        change = client.online_endpoints.set_traffic(spec.endpoint, {spec.deployment: 100})
        if spec.wait:
            change.wait(watcher)
        return True
    if spec.deployment.lower() not in given:
        shares = " ".join(f"{name}={percent}" for name, percent in given.items())
        watcher.note(
            f"the endpoint's traffic stays as it is ({shares}); to change it: "
            f'modelyard online-endpoint update -n {spec.endpoint} --traffic "{spec.deployment}=100"'
        )
    return given == {spec.deployment.lower(): 100}
