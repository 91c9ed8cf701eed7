"""The Python client: one object, the nouns of Azure ML as its attributes.

    with Client(find_platform(os.environ)) as client:
        client.online_endpoints.get("my-endpoint")

Its calls raise ClientError; what takes long returns a Change that one may wait for.
"""

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from modelyard.client.connection import Connection, Trace
from modelyard.client.documents.assets import read_environment, read_model
from modelyard.client.documents.identity import endpoint_document
from modelyard.client.documents.online_deployment import ONLINE_DEPLOYMENT
from modelyard.client.documents.online_endpoint import ONLINE_ENDPOINT
from modelyard.client.documents.references import read_reference
from modelyard.client.environments import Environments
from modelyard.client.errors import InvalidDocument
from modelyard.client.models import Models
from modelyard.client.online_deployments import OnlineDeployments
from modelyard.client.online_endpoints import OnlineEndpoints
from modelyard.client.operations import Change
from modelyard.client.platform import Platform
from modelyard.client.scoring import score
from modelyard.client.watching import UNWATCHED, Watcher

_TRAFFIC = ("traffic", "mirror_traffic")


class Client:
    def __init__(self, platform: Platform, *, trace: Trace | None = None) -> None:
        self._connection = Connection(platform, trace=trace)
        self.models = Models(self._connection)
        self.environments = Environments(self._connection)
        self.online_endpoints = OnlineEndpoints(self._connection)
        self.online_deployments = OnlineDeployments(self._connection)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._connection.close()

    @cached_property
    def location(self) -> str:
        """The workspace's, which every resource in it shares."""
        return str(self._connection.get("").get("location") or "local")

    def put_endpoint(self, document: Mapping[str, Any]) -> Change:
        """Create or replace the endpoint that a YAML document describes. Traffic it does not speak of stays."""
        name = _required(document, "name", "-n")
        present = endpoint_document(self.online_endpoints.find(name) or {})
        traffic = {field: present[field] for field in _TRAFFIC if field in present}
        body = ONLINE_ENDPOINT.body({"auth_mode": "key", **traffic, **document})
        return self.online_endpoints.put(name, {"location": self.location, **body})

    def put_deployment(self, document: Mapping[str, Any], base: Path, watcher: Watcher = UNWATCHED) -> Change:
        """Create or replace the deployment that a YAML document describes; its paths count from `base`.

        What the document holds inline is registered first.
        """
        endpoint, name = _required(document, "endpoint_name", "-e"), _required(document, "name", "-n")
        if document.get("code_configuration"):
            raise InvalidDocument(
                "code_configuration is not supported: the scoring script is generated for the MLflow model; remove it"
            )
        resolved = {**document, "model": self._model_id(document.get("model"), base, watcher)}
        if document.get("environment") is not None:
            resolved["environment"] = self._environment_id(document["environment"], base)
        body = ONLINE_DEPLOYMENT.body({"instance_count": 1, **resolved})
        body["sku"]["name"] = "Default"
        body["properties"]["endpointComputeType"] = "Managed"
        return self.online_deployments.put(endpoint, name, {"location": self.location, **body})

    def invoke(self, endpoint: str, body: bytes, deployment: str | None = None) -> str:
        """Score a request with the endpoint's own key or token. Returns the raw answer."""
        scoring_uri = self.online_endpoints.get(endpoint)["properties"]["scoringUri"]
        bearer = self.online_endpoints.credentials(endpoint).bearer
        return score(self._connection, scoring_uri, bearer, body, deployment)

    def _model_id(self, model: Any, base: Path, watcher: Watcher) -> str:
        if isinstance(model, str):
            return self.models.id_of(read_reference(model, noun="model"))
        if isinstance(model, Mapping):
            return str(self.models.register(read_model(model, base), watcher, reuse_latest=True)["id"])
        raise InvalidDocument("the deployment has no model: write azureml:<name>:<version>, or a mapping with a path")

    def _environment_id(self, environment: Any, base: Path) -> str:
        if isinstance(environment, str):
            return self.environments.id_of(read_reference(environment, noun="environment"))
        if isinstance(environment, Mapping):
            return str(self.environments.register(read_environment(environment, base))["id"])
        raise InvalidDocument("environment must be azureml:<name>:<version>, or a mapping with a conda_file")


def _required(document: Mapping[str, Any], field: str, flag: str) -> str:
    value = document.get(field)
    if not value:
        raise InvalidDocument(f"no {field} is given: write it into the file, or pass {flag}")
    return str(value)
