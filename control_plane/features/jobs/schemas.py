"""Jobs as JSON: Azure's shape of a job of a batch endpoint, with the extensions of Modelyard."""

from collections.abc import Mapping
from typing import Any

from pydantic import Field

from control_plane.features.batch_deployments.settings_body import Resources, SettingsBody
from control_plane.features.jobs.inputs import TARGET
from control_plane.features.jobs.job import Job, JobFile, JobPatch, JobSpec, Progress
from control_plane.resources.arm_body import ArmBody, Document, Texts, Timestamp
from control_plane.resources.datastore import DatastorePath
from control_plane.resources.error_body import Error
from control_plane.resources.resource import Resource, SystemData
from control_plane.resources.urls import ResourceUrls
from modelyard.core.domain.batch import InputKind
from modelyard.core.domain.resource_ids import PROVIDER
from modelyard.core.errors import InvalidRequest

_BATCH_RUN = {"azureml.batchrun": "true"}
"""The tag by which Azure's SDK finds the predictions."""
_EXPERIMENT = "experimentname"
_URI_FILE, _URI_FOLDER = "urifile", "urifolder"


def _spelled(text: str | None) -> str:
    return (text or "").replace("_", "").lower()


class JobInputBody(ArmBody):
    job_input_type: str | None = None
    """UriFolder or UriFile."""
    uri: str | None = None


class JobOutputBody(ArmBody):
    job_output_type: str | None = None
    uri: str | None = None


class SubmissionProperties(SettingsBody):
    """A single input, an optional output, both under any name, and overrides of the deployment's settings."""

    input_data: dict[str, JobInputBody] = Field(default_factory=dict)
    output_data: dict[str, JobOutputBody] = Field(default_factory=dict)
    compute: Resources | None = None
    resources: Resources | None = None
    name: str | None = None
    display_name: str | None = None
    properties: Texts = Field(default_factory=dict)
    """experimentName, and the user's properties."""
    tags: Texts = Field(default_factory=dict)


class SubmissionRequest(ArmBody):
    properties: SubmissionProperties

    def to_spec(self) -> JobSpec:
        requested = self.properties
        kind, uri = _input(requested.input_data)
        output = _output(requested.output_data)
        given = {name.lower(): value for name, value in requested.properties.items()}
        return JobSpec(
            name=requested.name or None,
            display_name=requested.display_name,
            experiment_name=given.get(_EXPERIMENT),
            input_kind=kind,
            input_uri=uri,
            output_uri=output.uri if output else None,
            output_is_folder=output is not None and _spelled(output.job_output_type) == _URI_FOLDER,
            overrides=requested.overrides(_resources(requested)),
            tags={**_BATCH_RUN, **requested.tags},
            properties={name: value for name, value in requested.properties.items() if name.lower() != _EXPERIMENT},
        )


def _resources(requested: SubmissionProperties) -> Resources | None:
    """Azure's names for the instance count are `compute` (SDK) and `resources` (REST)."""
    compute, resources = requested.compute, requested.resources
    if compute and resources and compute != resources:
        raise InvalidRequest(
            f"compute.instanceCount is {compute.instance_count} and resources.instanceCount is "
            f"{resources.instance_count}: send one of the two",
            target="properties.compute.instanceCount",
        )
    return compute or resources


def _input(inputs: Mapping[str, JobInputBody]) -> tuple[InputKind, str]:
    if len(inputs) != 1:
        raise InvalidRequest(
            'inputData must hold one input, such as {"input": {"jobInputType": "UriFolder", '
            '"uri": "azureml:<data asset>:<version>"}}',
            target=TARGET,
        )
    (requested,) = inputs.values()
    spelled = _spelled(requested.job_input_type)
    kind = next((kind for kind in InputKind if kind.lower() == spelled), None)
    if kind is None:
        raise InvalidRequest(
            f"jobInputType must be {InputKind.URI_FOLDER} or {InputKind.URI_FILE}, not {requested.job_input_type!r}: "
            "a batch deployment reads files",
            target=f"{TARGET}.jobInputType",
        )
    if not requested.uri or not requested.uri.strip():
        raise InvalidRequest("the input has no uri: name a data asset or a path in a datastore", target=TARGET)
    return kind, requested.uri.strip()


def _output(outputs: Mapping[str, JobOutputBody]) -> JobOutputBody | None:
    if len(outputs) > 1:
        raise InvalidRequest(
            f"outputData names {len(outputs)} outputs, but a job writes a single file of predictions: name a "
            "single output",
            target="properties.outputData",
        )
    for output in outputs.values():
        if output.job_output_type is not None and _spelled(output.job_output_type) not in (_URI_FILE, _URI_FOLDER):
            raise InvalidRequest(
                f"jobOutputType must be UriFile or UriFolder, not {output.job_output_type[:40]!r}: a job writes a "
                "file of predictions",
                target="properties.outputData.jobOutputType",
            )
    return next((output for output in outputs.values() if output.uri), None)


class MiniBatchCounts(ArmBody):
    total: int | None = None
    completed: int
    failed: int
    running: int


class FileCounts(ArmBody):
    total: int | None = None
    failed: int


class RowCounts(ArmBody):
    total: int | None = None
    scored: int


class WorkerProgress(ArmBody):
    name: str
    mini_batch: int


class ProgressBody(ArmBody):
    """A total without a value is not counted yet."""

    mini_batches: MiniBatchCounts
    files: FileCounts
    rows: RowCounts
    rows_per_second: float | None = None
    seconds_left: float | None = None
    workers: list[WorkerProgress]

    @classmethod
    def of(cls, progress: Progress, *, has_ended: bool) -> "ProgressBody":
        return cls(
            mini_batches=MiniBatchCounts(
                total=progress.mini_batches,
                completed=progress.completed,
                failed=progress.failed,
                running=len(progress.workers),
            ),
            files=FileCounts(total=progress.files, failed=progress.failed_files),
            rows=RowCounts(total=progress.rows, scored=progress.scored),
            rows_per_second=progress.rows_per_second,
            seconds_left=None if has_ended else progress.seconds_left,
            workers=[WorkerProgress(name=w.name, mini_batch=w.mini_batch) for w in progress.workers],
        )


class JobService(ArmBody):
    endpoint: str
    job_service_type: str


class JobProperties(ArmBody):
    job_type: str = "Pipeline"
    display_name: str
    experiment_name: str
    status: str
    services: dict[str, JobService]
    tags: Texts
    properties: Texts
    is_archived: bool
    inputs: Document = Field(default_factory=dict)
    outputs: Document = Field(default_factory=dict)
    jobs: Document = Field(default_factory=dict)
    settings: Document = Field(default_factory=dict)
    endpoint: str
    """From this field on, the fields are extensions of Modelyard."""
    deployment: str
    input: str
    """URI of the input."""
    output: str
    """URI of the file of predictions, which exists once the job has completed."""
    started_at: Timestamp | None = None
    ended_at: Timestamp | None = None
    error: Error | None = None
    """Why the job has failed."""
    progress: ProgressBody | None = None
    """Left out of lists."""


class JobBody(Resource):
    properties: JobProperties

    @classmethod
    def of(cls, job: Job, urls: ResourceUrls, progress: Progress | None = None) -> "JobBody":
        here = f"{urls.control}{job.arm_id}"
        return cls(
            id=job.arm_id,
            name=job.name,
            type=f"{PROVIDER}/workspaces/jobs",
            system_data=SystemData.of(job.authorship),
            properties=JobProperties(
                display_name=job.display_name,
                experiment_name=job.experiment_name,
                status=job.state,
                services={name: JobService(endpoint=here, job_service_type=name) for name in ("Studio", "Tracking")},
                tags=dict(job.tags),
                properties=dict(job.properties),
                is_archived=job.is_archived,
                endpoint=job.endpoint,
                deployment=job.deployment,
                input=job.input_uri,
                output=DatastorePath.of_key(job.workspace.datastores, job.output_key).uri,
                started_at=job.started_at,
                ended_at=job.ended_at,
                error=Error.model_validate(_error(job.error)) if job.error else None,
                progress=ProgressBody.of(progress, has_ended=job.state.is_final) if progress else None,
            ),
        )


def _error(error: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in error.items() if value}


class JobPatchProperties(ArmBody):
    display_name: str | None = None
    tags: Texts | None = None
    is_archived: bool | None = None


class JobPatchRequest(ArmBody):
    properties: JobPatchProperties

    def to_patch(self) -> JobPatch:
        requested = self.properties
        tags = {**_BATCH_RUN, **requested.tags} if requested.tags is not None else None
        return JobPatch(requested.display_name, tags, requested.is_archived)


class JobFileBody(ArmBody):
    path: str
    """`score/<file of predictions>`, `score/errors.csv`, `logs/…`."""
    size: int
    url: str
    """Download URL, valid for an hour and without a token."""

    @classmethod
    def of(cls, file: JobFile, url: str) -> "JobFileBody":
        return cls(path=file.path, size=file.size, url=url)
