"""MLflow's deployment plugin: `mlflow deployments create -t modelyard …`, and `get_deploy_client("modelyard")`.

The plugin runs beside the user's own MLflow, which finds the plugin by the entry point `mlflow.deployments`. Errors are
MlflowExceptions with the platform's own sentences.
"""

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from mlflow.artifacts import download_artifacts
from mlflow.deployments import BaseDeploymentClient, PredictionsResponse
from mlflow.exceptions import MlflowException
from mlflow.protos import databricks_pb2 as codes
from mlflow.utils.proto_json_utils import dump_input_data

from modelyard.client import ApiError, Client, ClientError, find_platform
from modelyard.client.documents.assets import LocalModel
from modelyard.client.documents.fields import FieldTable
from modelyard.client.documents.identity import deployment_document, endpoint_document
from modelyard.client.documents.online_deployment import ONLINE_DEPLOYMENT
from modelyard.client.documents.online_endpoint import ONLINE_ENDPOINT
from modelyard.client.documents.reading import Document, merged, put, read_document, with_settings
from modelyard.core.errors import PlatformError

_TARGET = "modelyard"
_FLAVOR = "python_function"
_CONFIG_FILES = {"deploy-config-file", "endpoint-config-file"}
"""Keys of `config` that name a file, as in Azure's plugin."""
_MODEL_URI_TAG = "mlflow_model_uri"
_CODES: Mapping[int | None, int] = {
    400: codes.INVALID_PARAMETER_VALUE,
    401: codes.UNAUTHENTICATED,
    403: codes.PERMISSION_DENIED,
    404: codes.RESOURCE_DOES_NOT_EXIST,
    409: codes.RESOURCE_CONFLICT,
}

_HELP = """\
Modelyard serves MLflow models behind authenticated endpoints.

target_uri
    modelyard                the workspace MODELYARD_WORKSPACE, else `default`
    modelyard:/<workspace>   another workspace

    MODELYARD_URL and MODELYARD_TOKEN name the platform. Without them, the platform that `modelyard up` started last on
    this machine is used.

deployments
    `--endpoint` names the endpoint of a deployment, and is created where it is missing. Without `--endpoint`, the
    endpoint has the name of the deployment. The first deployment of an endpoint receives all traffic.

config of create and update
    A field of the YAML of `modelyard online-deployment create`, such as instance_count=2 or
    request_settings.request_timeout_ms=9000; `deploy-config-file` names a YAML or JSON file with such fields.
    traffic sets the endpoint's traffic once the deployment is ready: traffic='{"blue": 90, "green": 10}'.

config of create-endpoint and update-endpoint
    A field of the YAML of `modelyard online-endpoint create`, such as auth_mode=aml_token or
    traffic='{"blue": 90, "green": 10}'; `endpoint-config-file` names a YAML or JSON file.
"""


def target_help() -> str:
    return _HELP


def run_local(
    target: str, name: str, model_uri: str, flavor: str | None = None, config: Mapping[str, Any] | None = None
) -> None:
    raise MlflowException(
        "modelyard deploys to a running platform: start one on this machine with `modelyard up`, then "
        f"`mlflow deployments create -t {_TARGET} -m {model_uri} --name {name}`",
        codes.FEATURE_DISABLED,
    )


class ModelyardDeploymentClient(BaseDeploymentClient):
    """Deployments and endpoints of a workspace. Each call waits for the end of the operation."""

    # Deployments.

    def create_deployment(
        self,
        name: str,
        model_uri: str,
        flavor: str | None = None,
        config: Mapping[str, Any] | None = None,
        endpoint: str | None = None,
    ) -> dict[str, Any]:
        """Download the model with MLflow, upload the files that the platform lacks, and deploy the model.

        Raises MlflowException where the deployment exists.
        """
        _check_flavor(flavor)
        settings, traffic = _deployment_settings(config)
        endpoint = endpoint or name
        with self._client() as client:
            if client.online_deployments.find(endpoint, name) is not None:
                raise MlflowException(
                    f"endpoint {endpoint!r} has a deployment {name!r}: update the deployment, or choose another name",
                    codes.RESOURCE_ALREADY_EXISTS,
                )
            if client.online_endpoints.find(endpoint) is None:
                client.put_endpoint({"name": endpoint}).wait()
            model = {"model": _register(client, endpoint, model_uri)}
            client.put_deployment({**settings, **model, "name": name, "endpoint_name": endpoint}, Path.cwd()).wait()
            present = client.online_endpoints.get(endpoint)["properties"].get("traffic") or {}
            if traffic is None and not any(present.values()):
                traffic = {name: 100}
            _set_traffic(client, endpoint, traffic)
            return _described(client.online_deployments.get(endpoint, name))

    def update_deployment(
        self,
        name: str,
        model_uri: str | None = None,
        flavor: str | None = None,
        config: Mapping[str, Any] | None = None,
        endpoint: str | None = None,
    ) -> dict[str, Any]:
        """Change the model or settings of a deployment. The old workers serve until the new workers are ready."""
        _check_flavor(flavor)
        settings, traffic = _deployment_settings(config)
        endpoint = endpoint or name
        with self._client() as client:
            present = deployment_document(client.online_deployments.get(endpoint, name))
            model = {} if model_uri is None else {"model": _register(client, endpoint, model_uri)}
            if settings or model:
                client.put_deployment({**merged(present, settings), **model}, Path.cwd()).wait()
            _set_traffic(client, endpoint, traffic)
            return _described(client.online_deployments.get(endpoint, name))

    def delete_deployment(
        self, name: str, config: Mapping[str, Any] | None = None, endpoint: str | None = None
    ) -> None:
        """Delete a deployment and its share of the traffic; without `endpoint`, also the endpoint of its name."""
        with self._client() as client:
            own_endpoint = endpoint is None
            endpoint = endpoint or name
            if client.online_deployments.find(endpoint, name) is not None:
                resource = client.online_endpoints.get(endpoint)
                traffic = resource["properties"].get("traffic") or {}
                if traffic.get(name):
                    _check_alone(endpoint, name, traffic)
                    client.online_endpoints.set_traffic(endpoint, {}).wait()
                client.online_deployments.delete(endpoint, name).wait()
            is_there = own_endpoint and client.online_endpoints.find(endpoint) is not None
            if is_there and not any(client.online_deployments.list(endpoint)):
                client.online_endpoints.delete(endpoint).wait()

    def list_deployments(self, endpoint: str | None = None) -> list[dict[str, Any]]:
        """The deployments of the endpoint, or of all endpoints."""
        with self._client() as client:
            names = [endpoint] if endpoint else [str(each["name"]) for each in client.online_endpoints.list()]
            return [_described(each) for name in names for each in client.online_deployments.list(name)]

    def get_deployment(self, name: str, endpoint: str | None = None) -> dict[str, Any]:
        with self._client() as client:
            return _described(client.online_deployments.get(endpoint or name, name))

    def predict(
        self, deployment_name: str | None = None, inputs: Any = None, endpoint: str | None = None
    ) -> PredictionsResponse:
        """Score what MLflow's own clients send: a DataFrame, an array, a list or a mapping.

        Without `deployment_name`, the endpoint's traffic chooses the deployment.
        """
        name = endpoint or deployment_name
        if name is None:
            raise MlflowException(
                "predict needs the name of a deployment or of an endpoint", codes.INVALID_PARAMETER_VALUE
            )
        body = dump_input_data(inputs, inputs_key="inputs").encode()
        with self._client() as client:
            answer = json.loads(client.invoke_mlflow(name, body, deployment_name))
        return PredictionsResponse(answer)

    def explain(self, deployment_name: str | None = None, df: Any = None, endpoint: str | None = None) -> None:
        raise MlflowException(
            "modelyard computes no explanations: log an explainer as a model of its own and deploy that model",
            codes.FEATURE_DISABLED,
        )

    # Endpoints.

    def create_endpoint(self, name: str, config: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Raises MlflowException where the endpoint exists."""
        settings = _settings(config, ONLINE_ENDPOINT)
        with self._client() as client:
            if client.online_endpoints.find(name) is not None:
                raise MlflowException(
                    f"there is an endpoint {name!r}: update the endpoint, or choose another name",
                    codes.RESOURCE_ALREADY_EXISTS,
                )
            client.put_endpoint({**settings, "name": name}).wait()
            return endpoint_document(client.online_endpoints.get(name))

    def update_endpoint(self, endpoint: str, config: Mapping[str, Any] | None = None) -> None:
        settings = _settings(config, ONLINE_ENDPOINT)
        with self._client() as client:
            present = endpoint_document(client.online_endpoints.get(endpoint))
            client.put_endpoint({**merged(present, settings), "name": endpoint}).wait()

    def delete_endpoint(self, endpoint: str) -> None:
        with self._client() as client:
            if client.online_endpoints.find(endpoint) is not None:
                client.online_endpoints.delete(endpoint).wait()

    def list_endpoints(self) -> list[dict[str, Any]]:
        with self._client() as client:
            return [endpoint_document(each) for each in client.online_endpoints.list()]

    def get_endpoint(self, endpoint: str) -> dict[str, Any]:
        with self._client() as client:
            return endpoint_document(client.online_endpoints.get(endpoint))

    @contextmanager
    def _client(self) -> Iterator[Client]:
        """A client of the workspace that the target names. Errors of the block become MlflowExceptions."""
        try:
            platform = find_platform(os.environ)
            workspace = self.target_uri.partition(":")[2].strip("/")
            with Client(replace(platform, workspace=workspace) if workspace else platform) as client:
                yield client
        except (ClientError, PlatformError) as error:
            status = getattr(error, "status", None)
            sentences = [str(error), *getattr(error, "details", ()), *getattr(error, "violations", ())]
            is_of_input = isinstance(error, PlatformError) or not isinstance(error, ApiError)
            default = codes.INVALID_PARAMETER_VALUE if is_of_input else codes.INTERNAL_ERROR
            raise MlflowException("; ".join(sentences), _CODES.get(status, default)) from error


def _register(client: Client, name: str, model_uri: str) -> str:
    """The id of the model version with the content behind `model_uri`. Files that the platform has are not sent."""
    with TemporaryDirectory(prefix="modelyard-mlflow-") as temporary:
        downloads, model = Path(temporary) / "downloads", Path(temporary) / "model"
        downloads.mkdir()
        # The name of the folder is part of the registered content, and downloads have changing names.
        model.symlink_to(Path(download_artifacts(artifact_uri=model_uri, dst_path=str(downloads))).resolve())
        local = LocalModel(model, name=name, body={"properties": {"tags": {_MODEL_URI_TAG: model_uri[:256]}}})
        return str(client.models.register(local, reuse_latest=True)["id"])


def _described(resource: Mapping[str, Any]) -> dict[str, Any]:
    """The deployment as `modelyard online-deployment show` has it, with the flavor that MLflow prints."""
    return {**deployment_document(resource), "flavor": _FLAVOR}


def _set_traffic(client: Client, endpoint: str, traffic: Mapping[str, int] | None) -> None:
    if traffic is not None:
        client.online_endpoints.set_traffic(endpoint, traffic).wait()


def _check_alone(endpoint: str, name: str, traffic: Mapping[str, int]) -> None:
    """Raise MlflowException where other deployments share the traffic: the user decides about their new shares."""
    others = [other for other, percent in traffic.items() if percent and other != name]
    if others:
        raise MlflowException(
            f"deployment {name!r} has {traffic[name]} % of the traffic of endpoint {endpoint!r}: give its share to "
            f"{', '.join(others)} with update-endpoint first",
            codes.RESOURCE_CONFLICT,
        )


def _check_flavor(flavor: str | None) -> None:
    if flavor not in (None, _FLAVOR):
        raise MlflowException(
            f"modelyard serves the {_FLAVOR} flavor, not {flavor!r}: leave the flavor out",
            codes.INVALID_PARAMETER_VALUE,
        )


def _deployment_settings(config: Mapping[str, Any] | None) -> tuple[Document, Mapping[str, int] | None]:
    """The fields of the deployment, and the traffic of the endpoint."""
    config = dict(config or {})
    traffic = _settings({"traffic": config.pop("traffic")}, ONLINE_ENDPOINT) if "traffic" in config else None
    body = None if traffic is None else ONLINE_ENDPOINT.body(traffic)["properties"]["traffic"]
    return _settings(config, ONLINE_DEPLOYMENT), body


def _settings(config: Mapping[str, Any] | None, table: FieldTable) -> Document:
    """The document that `config` describes. Values of the command line are texts in YAML. Raises MlflowException."""
    document: Document = {}
    try:
        for name, value in (config or {}).items():
            if name in _CONFIG_FILES:
                document |= read_document(Path(str(value)))
            elif isinstance(value, str):
                document = with_settings(document, [f"{name}={value}"])
            else:
                put(document, name, value)
    except ClientError as error:
        raise MlflowException(str(error), codes.INVALID_PARAMETER_VALUE) from error
    unknown = table.unknown(document)
    if unknown:
        raise MlflowException(
            f"config has unknown fields ({', '.join(sorted(unknown))}): see `mlflow deployments help -t {_TARGET}`",
            codes.INVALID_PARAMETER_VALUE,
        )
    return document
