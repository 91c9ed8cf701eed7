"""From files to a batch job: local ones are sent first, and what is there already is only named."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from modelyard.client.client import Client
from modelyard.client.documents.batch_job import JOB_SETTINGS
from modelyard.client.documents.data import InputType, LocalData
from modelyard.client.documents.fields import pascal
from modelyard.client.documents.reading import Document, look_up
from modelyard.client.documents.references import read_reference
from modelyard.client.errors import InvalidDocument
from modelyard.client.watching import UNWATCHED, Watcher

_LOCATIONS = ("azureml://", "https://", "http://")
_OUTPUT_FILE_NAME = "predictions.csv"
_ASSETS = ("azureml:", "/subscriptions/")


@dataclass(frozen=True, slots=True)
class BatchInvocation:
    endpoint: str
    input: str
    """A path on this machine, a data asset (azureml:<name>:<version>) or the URI of a place in a data store."""
    input_type: InputType | None = None
    """None: what the input itself tells."""
    deployment: str | None = None
    output_path: str | None = None
    """The URI of a folder in a data store, or of the predictions' file."""
    job_name: str | None = None
    experiment_name: str | None = None
    settings: Document = field(default_factory=dict)
    """What this job asks for instead of its deployment's settings, in az's words."""


def invoke_batch(client: Client, wish: BatchInvocation, watcher: Watcher = UNWATCHED) -> dict[str, Any]:
    """Begin a job. Returns it as it was accepted; it goes on by itself."""
    # Before anything large is on its way.
    endpoint = client.batch_endpoints.get(wish.endpoint)["properties"]
    deployment = client.batch_deployments.get(wish.endpoint, _deployment_name(wish, endpoint))
    properties = {
        **JOB_SETTINGS.body(wish.settings),
        "inputData": {"input": _input(client, wish, watcher)},
        **_output(wish, deployment),
        **({"name": wish.job_name} if wish.job_name else {}),
        **({"properties": {"experimentName": wish.experiment_name}} if wish.experiment_name else {}),
    }
    return client.jobs.submit(endpoint["scoringUri"], {"properties": properties}, wish.deployment)


def _input(client: Client, wish: BatchInvocation, watcher: Watcher) -> dict[str, str]:
    if wish.input.startswith(_LOCATIONS):
        return _named(wish.input, wish.input_type or _type_of(wish.input))
    if wish.input.startswith(_ASSETS):
        asset = client.data.resolve(read_reference(wish.input, noun="data"))
    else:
        asset = client.data.register(LocalData(Path(wish.input)), watcher)
    return _named(str(asset["id"]), InputType(str(asset["properties"]["dataType"])))


def _named(uri: str, kind: InputType) -> dict[str, str]:
    return {"jobInputType": pascal(kind), "uri": uri}


def _type_of(uri: str) -> InputType:
    """A last part like "rows.csv" names a file."""
    path = uri.partition("?")[0]
    is_file = PurePosixPath(path).suffix and not path.endswith("/")
    return InputType.URI_FILE if is_file else InputType.URI_FOLDER


def _deployment_name(wish: BatchInvocation, endpoint: Mapping[str, Any]) -> str:
    name = wish.deployment or look_up(endpoint, "defaults.deploymentName")
    if not name:
        raise InvalidDocument(
            f"endpoint {wish.endpoint} has no default deployment: pass --deployment-name, or set one with "
            f"`modelyard batch-endpoint update -n {wish.endpoint} --default-deployment NAME`"
        )
    return str(name)


def _output(wish: BatchInvocation, deployment: Mapping[str, Any]) -> Mapping[str, Any]:
    if wish.output_path is None:
        return {}
    uri = wish.output_path
    if _type_of(uri) is InputType.URI_FOLDER:
        named = wish.settings.get("output_file_name") or look_up(deployment, "properties.outputFileName")
        uri = f"{uri.rstrip('/')}/{named or _OUTPUT_FILE_NAME}"
    return {"outputData": {"score": {"jobOutputType": "UriFile", "uri": uri}}}
