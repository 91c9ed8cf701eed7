"""The Python client: one object, the nouns of Azure ML as its attributes.

    with Client(find_platform(os.environ)) as client:
        client.online_endpoints.get("my-endpoint")

Calls raise ClientError. Long-running calls return a Change, with `Change.wait` for the end of the operation.
"""

from collections.abc import Callable, Mapping
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from modelyard.client.batch_deployments import BatchDeployments
from modelyard.client.batch_endpoints import BatchEndpoints
from modelyard.client.computes import Computes
from modelyard.client.connection import Connection, Trace, warn_in_python
from modelyard.client.data import Data
from modelyard.client.datastores import Datastores
from modelyard.client.documents.assets import ENVIRONMENT, MODEL, read_environment, read_model
from modelyard.client.documents.batch_deployment import BATCH_DEPLOYMENT, compute_name, in_newer_form
from modelyard.client.documents.batch_endpoint import BATCH_ENDPOINT
from modelyard.client.documents.identity import batch_endpoint_document, endpoint_document
from modelyard.client.documents.online_deployment import ONLINE_DEPLOYMENT
from modelyard.client.documents.online_endpoint import ONLINE_ENDPOINT, check_is_managed
from modelyard.client.documents.reading import required
from modelyard.client.documents.references import read_reference
from modelyard.client.environments import Environments
from modelyard.client.errors import InvalidDocument
from modelyard.client.events import Events
from modelyard.client.jobs import Jobs
from modelyard.client.models import Models
from modelyard.client.online_deployments import OnlineDeployments
from modelyard.client.online_endpoints import OnlineEndpoints
from modelyard.client.operations import Change
from modelyard.client.platform import Platform
from modelyard.client.scoring import sample_request, score
from modelyard.client.tokens import Tokens
from modelyard.client.watching import SILENT_WATCHER, Watcher
from modelyard.client.workspaces import Workspaces

_TRAFFIC = ("traffic", "mirror_traffic")
_COMPUTE = "local"


class Client:
    def __init__(
        self, platform: Platform, *, trace: Trace | None = None, note: Callable[[str], None] = warn_in_python
    ) -> None:
        """`note` receives a sentence for each field of a document that has no effect (default: a Python warning)."""
        self._connection = Connection(platform, trace=trace, note=note)
        self.models = Models(self._connection)
        self.environments = Environments(self._connection)
        self.online_endpoints = OnlineEndpoints(self._connection)
        self.online_deployments = OnlineDeployments(self._connection)
        self.batch_endpoints = BatchEndpoints(self._connection)
        self.batch_deployments = BatchDeployments(self._connection)
        self.computes = Computes(self._connection)
        self.data = Data(self._connection)
        self.datastores = Datastores(self._connection)
        self.jobs = Jobs(self._connection)
        self.events = Events(self._connection)
        self.tokens = Tokens(self._connection)
        self.workspaces = Workspaces(self._connection)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._connection.close()

    def health(self) -> Mapping[str, Any]:
        """Return {"status": "healthy" or "degraded", "unavailable": [{"name", "message"}, …]}."""
        return self._connection.request("GET", f"{self._connection.platform.url}/health").body

    @cached_property
    def location(self) -> str:
        """The location of the workspace and of its resources."""
        return str(self._connection.get("").get("location") or "local")

    def put_endpoint(self, document: Mapping[str, Any]) -> Change:
        """Create or replace an endpoint from a YAML document. Without `traffic` in the document, the traffic stays."""
        name = required(document, "name", "-n")
        check_is_managed(document)
        present = endpoint_document(self.online_endpoints.find(name) or {})
        traffic = {field: present[field] for field in _TRAFFIC if field in present}
        body = ONLINE_ENDPOINT.body({"auth_mode": "key", **traffic, **document})
        return self.online_endpoints.put(name, {"location": self.location, **body}, ONLINE_ENDPOINT.in_yaml_words)

    def put_deployment(self, document: Mapping[str, Any], base: Path, watcher: Watcher = SILENT_WATCHER) -> Change:
        """Create or replace a deployment from a YAML document, with paths relative to `base`.

        Registers an inline model and an inline environment first.
        """
        endpoint, name = _names_of_deployment(document)
        check_is_managed(document)
        # Check the fields before uploading a large model.
        ONLINE_DEPLOYMENT.body(document)
        body = ONLINE_DEPLOYMENT.body({"instance_count": 1, **self._resolved(document, base, watcher)})
        body["sku"]["name"] = "Default"
        body["properties"]["endpointComputeType"] = "Managed"
        words = ONLINE_DEPLOYMENT.in_yaml_words
        return self.online_deployments.put(endpoint, name, {"location": self.location, **body}, words)

    def put_batch_endpoint(self, document: Mapping[str, Any]) -> Change:
        """Create or replace a batch endpoint. The default deployment stays unless the document names one."""
        name = required(document, "name", "-n")
        present = batch_endpoint_document(self.batch_endpoints.find(name) or {})
        kept = {"defaults": present["defaults"]} if "defaults" in present else {}
        body = BATCH_ENDPOINT.body({"auth_mode": "aad_token", **kept, **document})
        return self.batch_endpoints.put(name, {"location": self.location, **body}, BATCH_ENDPOINT.in_yaml_words)

    def put_batch_deployment(
        self, document: Mapping[str, Any], base: Path, watcher: Watcher = SILENT_WATCHER
    ) -> Change:
        """Create or replace a batch deployment, like `put_deployment`."""
        document = in_newer_form(document)
        endpoint, name = _names_of_deployment(document)
        BATCH_DEPLOYMENT.body(document)
        resolved = self._resolved(document, base, watcher)
        compute = compute_name(str(document.get("compute") or _COMPUTE))
        resolved["compute"] = f"{self._connection.platform.workspace_id}/computes/{compute}"
        body = BATCH_DEPLOYMENT.body(resolved)
        words = BATCH_DEPLOYMENT.in_yaml_words
        return self.batch_deployments.put(endpoint, name, {"location": self.location, **body}, words)

    def invoke(self, endpoint: str, body: bytes, deployment: str | None = None) -> str:
        """Score a request with the endpoint's key or token. Returns the raw response body."""
        return self._score(endpoint, "score", body, deployment)

    def invoke_mlflow(self, endpoint: str, body: bytes, deployment: str | None = None) -> str:
        """Like `invoke`, in the protocol of MLflow's scoring server."""
        return self._score(endpoint, "invocations", body, deployment)

    def _score(self, endpoint: str, protocol: str, body: bytes, deployment: str | None) -> str:
        scoring_uri = str(self.online_endpoints.get(endpoint)["properties"]["scoringUri"])
        bearer = self.online_endpoints.credentials(endpoint).bearer
        return score(self._connection, f"{scoring_uri.removesuffix('score')}{protocol}", bearer, body, deployment)

    def sample_request(self, endpoint: str, deployment: str) -> Mapping[str, Any] | None:
        """Return a request body that the deployment accepts; None: see `scoring.sample_request`."""
        swagger_uri = self.online_endpoints.get(endpoint)["properties"]["swaggerUri"]
        bearer = self.online_endpoints.credentials(endpoint).bearer
        return sample_request(self._connection, swagger_uri, bearer, deployment)

    def _resolved(self, document: Mapping[str, Any], base: Path, watcher: Watcher) -> dict[str, Any]:
        """Return a deployment's document with ARM ids for references and for inline models and environments."""
        if document.get("code_configuration"):
            raise InvalidDocument(
                "code_configuration is not supported: the platform generates the scoring script; "
                "remove code_configuration from the file"
            )
        resolved = {**document, "model": self._model_id(document.get("model"), base, watcher)}
        if document.get("environment") is not None:
            resolved["environment"] = self._environment_id(document["environment"], base)
        return resolved

    def _model_id(self, model: Any, base: Path, watcher: Watcher) -> str:
        if isinstance(model, str):
            return self.models.id_of(read_reference(model, noun="model"))
        if isinstance(model, Mapping):
            local = read_model(model, base)
            return str(self.models.register(local, watcher, reuse_latest=True, words=MODEL.words_of("model"))["id"])
        raise InvalidDocument("the deployment has no model: write azureml:<name>:<version> or a mapping with a path")

    def _environment_id(self, environment: Any, base: Path) -> str:
        if isinstance(environment, str):
            return self.environments.id_of(read_reference(environment, noun="environment"))
        if isinstance(environment, Mapping):
            words = ENVIRONMENT.words_of("environment")
            return str(self.environments.register(read_environment(environment, base), words)["id"])
        raise InvalidDocument("environment must be azureml:<name>:<version> or a mapping with a conda_file")


def _names_of_deployment(document: Mapping[str, Any]) -> tuple[str, str]:
    """Return the names of the endpoint and the deployment."""
    return required(document, "endpoint_name", "-e"), required(document, "name", "-n")
