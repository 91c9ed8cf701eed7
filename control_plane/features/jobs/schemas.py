"""Jobs as JSON: Azure's shape of a job of a batch endpoint, with the extensions of Modelyard."""

from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Annotated, Any

from pydantic import Field

from control_plane.features.batch_deployments.settings_body import Resources, SettingsBody
from control_plane.features.jobs.inputs import TARGET
from control_plane.features.jobs.job import Job, JobFile, JobPatch, JobSpec, Progress, RequestedInput, Run
from control_plane.resources.arm_body import ArmBody, Document, Texts, Timestamp
from control_plane.resources.datastore import DatastorePath
from control_plane.resources.error_body import Error
from control_plane.resources.resource import Resource, SystemData
from control_plane.resources.urls import ResourceUrls
from control_plane.resources.without_effect import WithoutEffect
from modelyard.core.domain.batch import InputKind
from modelyard.core.domain.resource_ids import PROVIDER
from modelyard.core.errors import InvalidRequest

_BATCH_RUN = {"azureml.batchrun": "true"}
"""The tag by which Azure's SDK finds the predictions."""
CHILD_NAME = "batchscoring"
"""Azure's name of the one child run of a batch job."""
_EXPERIMENT = "experimentname"
_URI_FILE, _URI_FOLDER, _LITERAL = "urifile", "urifolder", "literal"
_MOST_INPUTS = 20
_DATASET = "properties.dataset"
_DATASET_TYPE = WithoutEffect(
    "path, datasetName and datasetId tell the type", harmless=("dataurl", "datasetversion", "datasetid")
)
_NO_LITERALS = WithoutEffect("a model is called with the rows of the input files alone")


def _spelled(text: str | None) -> str:
    return (text or "").replace("_", "").lower()


class JobInputBody(ArmBody):
    job_input_type: str | None = None
    """UriFolder or UriFile; an input of type Literal has no effect."""
    uri: str | None = None
    value: Annotated[Any, _NO_LITERALS] = None


class DatasetBody(ArmBody):
    """The input in the words of Azure's first batch endpoints."""

    data_input_type: Annotated[str | None, _DATASET_TYPE] = None
    path: str | None = None
    dataset_name: str | None = None
    dataset_version: str | None = None
    dataset_id: str | None = None

    @property
    def uri(self) -> str:
        if self.dataset_name:
            version = f":{self.dataset_version}" if self.dataset_version else "@latest"
            return f"azureml:{self.dataset_name}{version}"
        return (self.path or self.dataset_id or "").strip()


class JobOutputBody(ArmBody):
    job_output_type: str | None = None
    uri: str | None = None


class SubmissionProperties(SettingsBody):
    """Inputs and an optional output, under any names, and overrides of the deployment's settings."""

    input_data: dict[str, JobInputBody] = Field(default_factory=dict)
    dataset: DatasetBody | None = None
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
        inputs = _inputs(requested.input_data) + _dataset(requested.dataset)
        _check_inputs(inputs)
        output = _output(requested.output_data)
        given = {name.lower(): value for name, value in requested.properties.items()}
        return JobSpec(
            name=requested.name or None,
            display_name=requested.display_name,
            experiment_name=given.get(_EXPERIMENT),
            inputs=inputs,
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


def _inputs(inputs: Mapping[str, JobInputBody]) -> tuple[RequestedInput, ...]:
    """The inputs of files, in the order of names."""
    return tuple(
        _input(name, inputs[name]) for name in sorted(inputs) if _spelled(inputs[name].job_input_type) != _LITERAL
    )


def _input(name: str, requested: JobInputBody) -> RequestedInput:
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
    return RequestedInput(name, kind, requested.uri.strip())


def _dataset(dataset: DatasetBody | None) -> tuple[RequestedInput, ...]:
    if dataset is None:
        return ()
    if not dataset.uri:
        raise InvalidRequest(
            "dataset names no data: send Path, or datasetName with datasetVersion, or datasetId", target=_DATASET
        )
    # The form has no word for the type. A registered data asset knows its own.
    is_file = PurePosixPath(dataset.uri).suffix and not dataset.uri.endswith("/")
    return (RequestedInput("dataset", InputKind.URI_FILE if is_file else InputKind.URI_FOLDER, dataset.uri),)


def _check_inputs(inputs: tuple[RequestedInput, ...]) -> None:
    if not 1 <= len(inputs) <= _MOST_INPUTS:
        raise InvalidRequest(
            f"the job has {len(inputs)} inputs of files: send 1 to {_MOST_INPUTS} in inputData, such as "
            '{"input": {"jobInputType": "UriFolder", "uri": "azureml:<data asset>:<version>"}}',
            target=TARGET,
        )


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
    input_uri: str
    """Of the first input. Azure has no strings named `input` and `output`, and older clients fail at such."""
    output_uri: str
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
    def of_run(cls, run: Run, urls: ResourceUrls, progress: Progress | None = None) -> "JobBody":
        body = cls.of(run.job, urls, progress)
        if not run.is_child:
            return body
        # With the tag of a batch run, Azure's SDK looks for the predictions below a child of the child.
        tags = {name: value for name, value in run.job.tags.items() if name not in _BATCH_RUN}
        arm_id = f"{run.job.workspace.arm_id}/jobs/{run.id}"
        properties = body.properties.model_copy(
            update={"tags": tags, "display_name": CHILD_NAME, "services": _services(f"{urls.control}{arm_id}")}
        )
        return body.model_copy(update={"id": arm_id, "name": run.id, "properties": properties})

    @classmethod
    def of(cls, job: Job, urls: ResourceUrls, progress: Progress | None = None) -> "JobBody":
        return cls(
            id=job.arm_id,
            name=job.name,
            type=f"{PROVIDER}/workspaces/jobs",
            system_data=SystemData.of(job.authorship),
            properties=JobProperties(
                display_name=job.display_name,
                experiment_name=job.experiment_name,
                status=job.state,
                services=_services(f"{urls.control}{job.arm_id}"),
                tags=dict(job.tags),
                properties=dict(job.properties),
                is_archived=job.is_archived,
                endpoint=job.endpoint,
                deployment=job.deployment,
                input_uri=job.input_uri,
                output_uri=DatastorePath.of_key(job.workspace.datastores, job.output_key).uri,
                started_at=job.started_at,
                ended_at=job.ended_at,
                error=error_body(job.error),
                progress=ProgressBody.of(progress, has_ended=job.state.is_final) if progress else None,
            ),
        )


def _services(url: str) -> dict[str, JobService]:
    return {name: JobService(endpoint=url, job_service_type=name) for name in ("Studio", "Tracking")}


def error_body(error: Mapping[str, Any] | None) -> Error | None:
    return Error.model_validate({name: value for name, value in error.items() if value}) if error else None


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
