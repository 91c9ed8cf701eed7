"""Runs as JSON, in the shapes of Azure's run history."""

from collections.abc import Sequence
from enum import StrEnum
from pathlib import PurePosixPath
from typing import Annotated

from pydantic import Field

from control_plane.features.jobs.job import LOGS, JobFile, JobPatch, Run
from control_plane.features.jobs.schemas import CHILD_NAME, error_body
from control_plane.resources.arm_body import ArmBody, Document, Texts, Timestamp
from control_plane.resources.error_body import ErrorBody
from control_plane.resources.urls import ResourceUrls
from control_plane.resources.without_effect import WithoutEffect

_JOB, _STEP = "azureml.PipelineRun", "azureml.StepRun"
_WORKER_LOGS = f"{LOGS}user/stdout/"
_DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
_WORDS = str.maketrans({str(digit): word for digit, word in enumerate(_DIGITS)})


class DiscoveryBody(ArmBody):
    """The base URLs of a workspace's services. Azure's SDK reads `api`."""

    api: str


class OutputType(StrEnum):
    """The type of an output of one file, as a release of Azure's SDK spells the type."""

    CURRENT = "uri_file"
    OLDER = "UriFile"
    """In releases that send no api-version to the run history."""


class RunOutput(ArmBody):
    asset_id: str
    """URI of the file, which `batchGetResolvedUris` takes."""
    type: str


class RunBody(ArmBody):
    run_id: str
    root_run_id: str
    parent_run_id: str | None = None
    run_type: str
    """azureml.PipelineRun for a job, azureml.StepRun for its child run."""
    display_name: str
    status: str
    created_utc: Timestamp
    start_time_utc: Timestamp | None = None
    end_time_utc: Timestamp | None = None
    hidden: bool
    """Whether the job is archived."""
    error: ErrorBody | None = None
    """Why the run has failed."""
    tags: Texts
    properties: Texts
    inputs: Document = Field(default_factory=dict)
    outputs: dict[str, RunOutput] = Field(default_factory=dict)
    """Empty, unless the job was asked to write elsewhere: clients look below `azureml/<child run>/score/`."""

    @classmethod
    def of(cls, run: Run, output_type: OutputType = OutputType.CURRENT) -> "RunBody":
        job = run.job
        return cls(
            run_id=run.id,
            root_run_id=job.name,
            parent_run_id=job.name if run.is_child else None,
            run_type=_STEP if run.is_child else _JOB,
            display_name=CHILD_NAME if run.is_child else job.display_name,
            status=job.state,
            created_utc=job.authorship.created_at,
            start_time_utc=job.started_at,
            end_time_utc=job.ended_at,
            hidden=job.is_archived,
            error=_error(run),
            tags={} if run.is_child else dict(job.tags),
            properties=dict(job.properties),
            outputs={name: RunOutput(asset_id=uri, type=output_type) for name, uri in run.outputs.items()},
        )


class RunDetailsBody(ArmBody):
    run_id: str
    status: str
    start_time_utc: Timestamp | None = None
    end_time_utc: Timestamp | None = None
    log_files: dict[str, str]
    """Download URLs, valid for an hour and without a token. Azure's SDK prints the files `user_logs/std_log…`."""
    warnings: list[Document] = Field(default_factory=list)
    error: ErrorBody | None = None
    properties: Texts
    inputs: Document = Field(default_factory=dict)
    outputs: Document = Field(default_factory=dict)

    @classmethod
    def of(cls, run: Run, logs: Sequence[tuple[JobFile, str]], urls: ResourceUrls) -> "RunDetailsBody":
        job = run.job
        return cls(
            run_id=run.id,
            status=job.state,
            start_time_utc=job.started_at,
            end_time_utc=job.ended_at,
            log_files={_log_name(file.path): urls.stored_file(file.key, query) for file, query in logs},
            error=_error(run),
            properties=dict(job.properties),
        )


def _error(run: Run) -> ErrorBody | None:
    error = error_body(run.job.error)
    return None if error is None else ErrorBody(error=error)


def _log_name(path: str) -> str:
    """The name of a log. The SDK prints the output of workers, unless the name has a digit other than 0."""
    if not path.startswith(_WORKER_LOGS):
        return path
    worker = PurePosixPath(path.removeprefix(_WORKER_LOGS))
    return f"user_logs/std_log_{str(worker.with_suffix('')).translate(_WORDS)}.txt"


_MOST_URIS = 1000
_WHOLE_RUN = WithoutEffect("the response has the metadata of the run alone", harmless=("true",))


class RunDataRequest(ArmBody):
    run_id: str
    select_run_metadata: Annotated[bool | None, _WHOLE_RUN] = None
    select_run_definition: Annotated[bool | None, _WHOLE_RUN] = None
    select_job_specification: Annotated[bool | None, _WHOLE_RUN] = None


class RunDataBody(ArmBody):
    run_metadata: RunBody


class ResolveUrisRequest(ArmBody):
    values: list[str] = Field(max_length=_MOST_URIS)


class ResolvedUri(ArmBody):
    uri: str


class ResolvedUrisBody(ArmBody):
    values: dict[str, ResolvedUri]


class RunPatchRequest(ArmBody):
    hidden: bool | None = None
    display_name: str | None = None
    tags: Texts | None = None

    def to_patch(self) -> JobPatch:
        return JobPatch(self.display_name, self.tags, self.hidden)
