"""A batch job: files in, predictions out. A submitted job has its own copy of the settings and of the file list."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import PurePosixPath
from typing import Any

from control_plane.resources.authorship import Authorship
from control_plane.resources.datastore import DatastorePath
from control_plane.resources.workspaces.workspace import Workspace
from modelyard.core.domain.batch import BatchSettings, InputFile, InputKind, OutputAction
from modelyard.core.domain.job_files import default_output_key
from modelyard.core.domain.lifecycle import JobState

LOGS = "logs/"
"""What the paths of logs begin with."""


@dataclass(frozen=True, slots=True)
class JobInput:
    name: str
    kind: InputKind
    uri: str
    """As shown to clients."""
    files: tuple[InputFile, ...] | None
    key: str | None
    """Folder or file to list when the job begins. None: `files` is known."""


@dataclass(frozen=True, slots=True)
class RequestedInput:
    name: str
    kind: InputKind
    uri: str


@dataclass(frozen=True, slots=True)
class JobSpec:
    """A job as a submission asks for it."""

    name: str | None
    display_name: str | None
    experiment_name: str | None
    inputs: tuple[RequestedInput, ...]
    """At least one, in the order of names."""
    output_uri: str | None
    output_is_folder: bool
    overrides: Mapping[str, Any]
    tags: Mapping[str, str]
    properties: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class NewJob:
    """A job with resolved input, output and deployment."""

    name: str
    spec: JobSpec
    endpoint: str
    deployment: str
    request_id: str | None
    bundle_hash: str
    lock_hash: str
    settings: BatchSettings
    input: JobInput
    output_key: str
    logs_prefix: str


@dataclass(frozen=True, slots=True)
class Job:
    key: int
    workspace: Workspace
    name: str
    display_name: str
    experiment_name: str
    endpoint: str
    deployment: str
    settings: BatchSettings
    input_kind: InputKind
    input_uri: str
    output_key: str
    logs_prefix: str
    tags: Mapping[str, str]
    properties: Mapping[str, str]
    state: JobState
    error: Mapping[str, Any] | None
    is_archived: bool
    files: int | None
    mini_batches: int | None
    rows: int | None
    authorship: Authorship
    started_at: datetime | None
    ended_at: datetime | None

    @property
    def arm_id(self) -> str:
        return f"{self.workspace.arm_id}/jobs/{self.name}"


@dataclass(frozen=True, slots=True)
class Run:
    """A job, or the one child run of a job, as Azure's run history knows them."""

    id: str
    job: Job

    @property
    def is_child(self) -> bool:
        return self.id != self.job.name

    @property
    def outputs(self) -> Mapping[str, str]:
        """The URI of the predictions, by Azure's name, where they are at another place than the default."""
        job, name = self.job, PurePosixPath(self.job.output_key).name
        has_predictions = job.state == JobState.COMPLETED and job.settings.output_action == OutputAction.APPEND_ROW
        is_default = job.output_key == default_output_key(job.workspace.datastores, job.name, name)
        if not (self.is_child and has_predictions) or is_default:
            return {}
        return {"score": DatastorePath.of_key(job.workspace.datastores, job.output_key).uri}


@dataclass(frozen=True, slots=True)
class BusyWorker:
    name: str
    mini_batch: int


@dataclass(frozen=True, slots=True)
class Progress:
    """None: not counted yet."""

    mini_batches: int | None
    completed: int
    failed: int
    files: int | None
    failed_files: int
    rows: int | None
    scored: int
    seconds: float
    """From the start of the first mini-batch until now, or until the end of the last mini-batch."""
    workers: Sequence[BusyWorker]

    @property
    def rows_per_second(self) -> float | None:
        return self.scored / self.seconds if self.scored and self.seconds > 0 else None

    @property
    def seconds_left(self) -> float | None:
        """An estimate by rows where the number of rows is known, else by mini-batches."""
        if self.rows is not None and self.rows_per_second:
            return max(0.0, self.rows - self.scored) / self.rows_per_second
        ended = self.completed + self.failed
        if not self.mini_batches or not ended:
            return None
        return (self.mini_batches - ended) * self.seconds / ended


@dataclass(frozen=True, slots=True)
class JobPatch:
    """None: unchanged."""

    display_name: str | None
    tags: Mapping[str, str] | None
    is_archived: bool | None


@dataclass(frozen=True, slots=True)
class JobQuery:
    """None: jobs are not filtered by the field."""

    archived: bool | None = False
    state: JobState | None = None
    endpoint: str | None = None
    deployment: str | None = None
    tag: str | None = None


@dataclass(frozen=True, slots=True)
class JobFile:
    path: str
    """`score/…` or `logs/…`."""
    key: str
    size: int
