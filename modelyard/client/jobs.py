"""Batch jobs: submitted to an endpoint, watched, canceled, and what they have written."""

import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote
from uuid import uuid4

from modelyard.client.connection import Connection, refusal
from modelyard.client.downloads import download_files
from modelyard.client.errors import InvalidDocument
from modelyard.client.job_progress import JobProgress
from modelyard.client.operations import Change
from modelyard.client.watching import UNWATCHED, Watcher

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
        """One page of them, without their progress: enough to see what is under way."""
        return tuple(self._connection.get("/jobs")["value"])

    def of_endpoint(self, endpoint: str) -> Iterator[dict[str, Any]]:
        return self._connection.list(f"/batchEndpoints/{quote(endpoint, safe='')}/jobs")

    def get(self, name: str) -> dict[str, Any]:
        return self._connection.get(_path(name))

    def submit(self, scoring_uri: str, body: Mapping[str, Any], deployment: str | None = None) -> dict[str, Any]:
        """The job that began. An answer that was lost is asked for again and begins no second one."""
        headers = {
            "Authorization": f"Bearer {self._connection.platform.token}",
            _REQUEST_ID_HEADER: str(uuid4()),
            **({_DEPLOYMENT_HEADER: deployment} if deployment else {}),
        }
        reply = self._connection.send("POST", scoring_uri, headers=headers, body=body, repeatable=True)
        if not reply.is_success:
            raise refusal(reply)
        return dict(reply.json())

    def cancel(self, name: str) -> Change:
        return Change(self._connection, self._connection.post(f"{_path(name)}/cancel"))

    def follow(self, name: str) -> Iterator[JobProgress]:
        """Its states as they come, until it has ended."""
        while True:
            progress = JobProgress.of(self.get(name))
            yield progress
            if progress.has_ended:
                return
            time.sleep(_SECONDS_BETWEEN_LOOKS)

    def download(self, name: str, target: Path, watcher: Watcher = UNWATCHED, *, logs: bool = False) -> Sequence[Path]:
        """Bring what a job has written to where az puts it below `target`: its predictions, and `logs` if wanted."""
        found = self._connection.list(f"{_path(name)}/files")
        wanted = [entry for entry in found if logs or _is_output(entry)]
        placed = [{**entry, "path": f"{_OUTPUTS if _is_output(entry) else _REST}/{entry['path']}"} for entry in wanted]
        return download_files(self._connection, placed, target, watcher)


def _is_output(entry: Mapping[str, Any]) -> bool:
    return str(entry["path"]).startswith("score/")


def _path(name: str) -> str:
    if not name:
        # As a script says it whose invocation was refused: the path would be that of the list.
        raise InvalidDocument("no job is named: pass the name that `modelyard batch-endpoint invoke` printed")
    return f"/jobs/{quote(name, safe='')}"
