"""Batch jobs: submit, watch, cancel, and download predictions and logs."""

import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote
from uuid import uuid4

from modelyard.client.connection import Connection
from modelyard.client.documents.job import JOB_SETTINGS
from modelyard.client.downloads import download_files
from modelyard.client.errors import InvalidDocument
from modelyard.client.job_progress import JobProgress
from modelyard.client.operations import Change
from modelyard.client.watching import SILENT_WATCHER, Watcher

_DEPLOYMENT_HEADER = "azureml-model-deployment"
_REQUEST_ID_HEADER = "repeatability_request-id"
_OUTPUTS, _REST = "named-outputs", "artifacts"
_SECONDS_BETWEEN_LOOKS = 0.5


class Jobs:
    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def list(self) -> Iterator[dict[str, Any]]:
        return self._connection.list("/jobs")

    def newest(self) -> Sequence[dict[str, Any]]:
        """Return the newest jobs, one page, without progress."""
        return tuple(self._connection.get("/jobs")["value"])

    def of_endpoint(self, endpoint: str, deployment: str | None = None) -> Iterator[dict[str, Any]]:
        """The jobs of an endpoint, or of one of its deployments, the newest first."""
        below = f"/deployments/{quote(deployment, safe='')}" if deployment else ""
        return self._connection.list(f"/batchEndpoints/{quote(endpoint, safe='')}{below}/jobs")

    def get(self, name: str) -> dict[str, Any]:
        return self._connection.get(_path(name))

    def submit(self, scoring_uri: str, body: Mapping[str, Any], deployment: str | None = None) -> dict[str, Any]:
        """Submit a job and return the job. A retry after a lost response starts no second job."""
        headers = {
            _REQUEST_ID_HEADER: str(uuid4()),
            **({_DEPLOYMENT_HEADER: deployment} if deployment else {}),
        }
        return self._connection.request(
            "POST", scoring_uri, headers=headers, body=body, repeatable=True, words=JOB_SETTINGS.in_yaml_words
        ).body

    def cancel(self, name: str) -> Change:
        return Change(self._connection, self._connection.post(f"{_path(name)}/cancel"))

    def follow(self, name: str) -> Iterator[JobProgress]:
        """Yield the states of a job until the job has ended."""
        while True:
            progress = JobProgress.of(self.get(name))
            yield progress
            if progress.has_ended:
                return
            time.sleep(_SECONDS_BETWEEN_LOOKS)

    def download(
        self, name: str, target: Path, watcher: Watcher = SILENT_WATCHER, *, logs: bool = False
    ) -> Sequence[Path]:
        """Download a job's predictions, and with `logs` the logs, into the folders below `target` that az uses."""
        found = self._connection.list(f"{_path(name)}/files")
        wanted = [entry for entry in found if logs or _is_output(entry)]
        placed = [{**entry, "path": f"{_OUTPUTS if _is_output(entry) else _REST}/{entry['path']}"} for entry in wanted]
        return download_files(self._connection, placed, target, watcher)


def _is_output(entry: Mapping[str, Any]) -> bool:
    return str(entry["path"]).startswith("score/")


def _path(name: str) -> str:
    if not name:
        # A script passes an empty name after a failed invoke: the path would be the path of the list.
        raise InvalidDocument("the job name is empty: pass the name that `modelyard batch-endpoint invoke` printed")
    return f"/jobs/{quote(name, safe='')}"
