"""From a model folder to a scoring URL in one call, and the same again for the next version of the model."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from modelyard.client.client import Client
from modelyard.client.documents.assets import LocalModel
from modelyard.client.input_example import request_body
from modelyard.client.watching import UNWATCHED, Watcher
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
    """None: what the deployment has, else 1."""
    wait: bool = True
    """False: return when the deployment is accepted; it goes on by itself."""


@dataclass(frozen=True, slots=True)
class Deployed:
    scoring_uri: str
    key: str
    example: Mapping[str, Any] | None
    """A request body that the model accepts; None when the model does not tell."""
    changed: bool
    """False when the endpoint served this very model already."""


def endpoint_name_for(folder: Path) -> str:
    """A name that Azure accepts, from the folder's own."""
    words = re.sub(r"[^a-z0-9]+", "-", folder.expanduser().resolve().name.lower()).strip("-")
    name = words if words[:1].isalpha() else f"model-{words}".rstrip("-")
    name = name if len(name) >= _SHORTEST_NAME else f"{name}-model"
    return name[:_LONGEST_NAME].rstrip("-")


def deploy_folder(client: Client, wish: FolderDeployment, watcher: Watcher = UNWATCHED) -> Deployed:
    """Register, create what is missing, update what is there, and give it the endpoint's traffic."""
    # Before a large folder is on its way.
    check_endpoint_name(wish.endpoint)
    check_deployment_name(wish.deployment)
    local = LocalModel(wish.folder, name=wish.endpoint)
    model = client.models.register(local, watcher, reuse_latest=True)
    if client.online_endpoints.find(wish.endpoint) is None:
        watcher.step("creating the endpoint")
        client.put_endpoint({"name": wish.endpoint}).wait(watcher)
    changed = _put_unless_serving(client, wish, str(model["id"]), watcher)
    _take_traffic(client, wish, watcher)
    return Deployed(
        scoring_uri=str(client.online_endpoints.get(wish.endpoint)["properties"]["scoringUri"]),
        key=client.online_endpoints.credentials(wish.endpoint).bearer,
        example=request_body(wish.folder),
        changed=changed,
    )


def _put_unless_serving(client: Client, wish: FolderDeployment, model_id: str, watcher: Watcher) -> bool:
    existing = client.online_deployments.find(wish.endpoint, wish.deployment)
    count = wish.instance_count or (existing["sku"]["capacity"] if existing else 1)
    if existing and _serves(existing, model_id, count):
        return False
    document = {"name": wish.deployment, "endpoint_name": wish.endpoint, "model": model_id, "instance_count": count}
    change = client.put_deployment(document, wish.folder, watcher)
    if wish.wait:
        change.wait(watcher)
    return True


def _serves(deployment: Mapping[str, Any], model_id: str, count: int) -> bool:
    properties = deployment["properties"]
    return (
        properties["provisioningState"] == "Succeeded"
        and str(properties["model"]).lower() == model_id.lower()
        and deployment["sku"]["capacity"] == count
    )


def _take_traffic(client: Client, wish: FolderDeployment, watcher: Watcher) -> None:
    """All of it, unless somebody has divided it among other deployments already."""
    traffic = client.online_endpoints.get(wish.endpoint)["properties"].get("traffic") or {}
    given = {name: percent for name, percent in traffic.items() if percent}
    if not given:
        watcher.step(OperationStep.ROUTING.sentence)
        change = client.online_endpoints.set_traffic(wish.endpoint, {wish.deployment: 100})
        if wish.wait:
            change.wait(watcher)
    elif wish.deployment.lower() not in given:
        shares = " ".join(f"{name}={percent}" for name, percent in given.items())
        watcher.note(
            f"the endpoint's traffic stays as it is ({shares}); to change it: "
            f'modelyard online-endpoint update -n {wish.endpoint} --traffic "{wish.deployment}=100"'
        )
