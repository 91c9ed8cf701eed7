"""Submit batch jobs. Local files are uploaded first; data assets and URIs are passed by name."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from modelyard.client.client import Client
from modelyard.client.documents.data import InputType, LocalData
from modelyard.client.documents.fields import pascal
from modelyard.client.documents.job import JOB_SETTINGS
from modelyard.client.documents.reading import Document, look_up
from modelyard.client.documents.references import read_reference
from modelyard.client.errors import InvalidDocument
from modelyard.client.watching import SILENT_WATCHER, Watcher

_LOCATIONS = ("azureml://", "https://", "http://")
_OUTPUT_FILE_NAME = "predictions.csv"
_ASSETS = ("azureml:", "/subscriptions/")


@dataclass(frozen=True, slots=True)
class BatchInvocation:
    endpoint: str
    input: str
    """A local path, a data asset (azureml:<name>:<version>) or a URI in a data store."""
    input_type: InputType | None = None
    """None guesses the type from the input."""
    deployment: str | None = None
    output_path: str | None = None
    """The URI of a folder in a data store, or of the predictions file."""
    job_name: str | None = None
    experiment_name: str | None = None
    settings: Document = field(default_factory=dict)
    """Settings of the job that override the deployment's settings, in az's words."""


def invoke_batch(client: Client, invocation: BatchInvocation, watcher: Watcher = SILENT_WATCHER) -> dict[str, Any]:
    """Submit a job. Returns the accepted job, which continues in the background."""
    # Check the deployment before uploading large files.
    endpoint = client.batch_endpoints.get(invocation.endpoint)["properties"]
    deployment = client.batch_deployments.get(invocation.endpoint, _deployment_name(invocation, endpoint))
    properties = {
        **JOB_SETTINGS.body(invocation.settings),
        "inputData": {"input": _input(client, invocation, watcher)},
        **_output(invocation, deployment),
        **({"name": invocation.job_name} if invocation.job_name else {}),
        **({"properties": {"experimentName": invocation.experiment_name}} if invocation.experiment_name else {}),
    }
    return client.jobs.submit(endpoint["scoringUri"], {"properties": properties}, invocation.deployment)


def _input(client: Client, invocation: BatchInvocation, watcher: Watcher) -> dict[str, str]:
    if invocation.input.startswith(_LOCATIONS):
        return _named(invocation.input, invocation.input_type or _type_of(invocation.input))
    if invocation.input.startswith(_ASSETS):
        asset = client.data.resolve(read_reference(invocation.input, noun="data"))
    else:
        asset = client.data.register(LocalData(Path(invocation.input)), watcher)
    return _named(str(asset["id"]), InputType(str(asset["properties"]["dataType"])))


def _named(uri: str, kind: InputType) -> dict[str, str]:
    return {"jobInputType": pascal(kind), "uri": uri}


def _type_of(uri: str) -> InputType:
    """Return whether the last part of the path has a suffix, like "rows.csv"."""
    path = uri.partition("?")[0]
    is_file = PurePosixPath(path).suffix and not path.endswith("/")
    return InputType.URI_FILE if is_file else InputType.URI_FOLDER


def _deployment_name(invocation: BatchInvocation, endpoint: Mapping[str, Any]) -> str:
    name = invocation.deployment or look_up(endpoint, "defaults.deploymentName")
    if not name:
        raise InvalidDocument(
            f"endpoint {invocation.endpoint} has no default deployment: pass --deployment-name, or set one with "
            f"`modelyard batch-endpoint update -n {invocation.endpoint} --default-deployment NAME`"
        )
    return str(name)


def _output(invocation: BatchInvocation, deployment: Mapping[str, Any]) -> Mapping[str, Any]:
    if invocation.output_path is None:
        return {}
    uri = invocation.output_path
    if _type_of(uri) is InputType.URI_FOLDER:
        named = invocation.settings.get("output_file_name") or look_up(deployment, "properties.outputFileName")
        uri = f"{uri.rstrip('/')}/{named or _OUTPUT_FILE_NAME}"
    return {"outputData": {"score": {"jobOutputType": "UriFile", "uri": uri}}}
