"""Online deployments as JSON."""

from datetime import timedelta
from typing import Annotated

from pydantic import Field

from control_plane.features.online_deployments.deployment import (
    OnlineDeployment,
    OnlineDeploymentPatch,
    OnlineDeploymentSpec,
    Worker,
)
from control_plane.resources.arm_body import ArmBody, ArmEnum, Document, Duration, Texts, Timestamp
from control_plane.resources.deployments.schemas import check_no_code, deployment_properties, deployment_resource
from control_plane.resources.endpoints.schemas import user_properties
from control_plane.resources.error_body import ErrorDetail
from control_plane.resources.resource import Resource
from control_plane.resources.urls import ResourceUrls
from control_plane.resources.without_effect import WithoutEffect, property_of_notes
from modelyard.core.domain.deployment import (
    DeploymentSpec,
    Probe,
    RequestSettings,
    check_instance_count,
    check_worker_count,
)
from modelyard.core.domain.requirements import Requirements
from modelyard.core.logs import INFERENCE_SERVER, STORAGE_INITIALIZER


class ComputeType(ArmEnum):
    MANAGED = "Managed"
    KUBERNETES = "Kubernetes"
    AZURE_ML_COMPUTE = "AzureMLCompute"


class ContainerType(ArmEnum):
    STORAGE_INITIALIZER = STORAGE_INITIALIZER
    INFERENCE_SERVER = INFERENCE_SERVER


_OWN_MACHINES = WithoutEffect("all deployments run on the platform's own machines", harmless=("default", "standard"))


class Sku(ArmBody):
    name: Annotated[str, _OWN_MACHINES] = "Default"
    tier: Annotated[str | None, _OWN_MACHINES] = None
    capacity: int | None = None
    """The instance count."""


class ScaleSettings(ArmBody):
    scale_type: str = "Default"


class RequestSettingsBody(ArmBody):
    request_timeout: Duration | None = None
    max_concurrent_requests_per_instance: int | None = None
    max_queue_wait: Duration | None = None
    batching: str | None = None
    """auto, on or off. Like the next two fields, an extension of Modelyard."""
    max_batch_delay: Duration | None = None
    max_batch_rows: int | None = None

    def value(self) -> RequestSettings:
        default = RequestSettings()
        return RequestSettings(
            request_timeout_seconds=_seconds(self.request_timeout, default.request_timeout_seconds),
            max_concurrent_requests_per_instance=self.max_concurrent_requests_per_instance,
            max_queue_wait_seconds=None if self.max_queue_wait is None else self.max_queue_wait.total_seconds(),
            batching=(self.batching or default.batching).lower(),
            max_batch_delay_seconds=_seconds(self.max_batch_delay, default.max_batch_delay_seconds),
            max_batch_rows=self.max_batch_rows,
        )

    @classmethod
    def of(cls, settings: RequestSettings) -> "RequestSettingsBody":
        wait = settings.max_queue_wait_seconds
        return cls(
            request_timeout=timedelta(seconds=settings.request_timeout_seconds),
            max_concurrent_requests_per_instance=settings.max_concurrent_requests_per_instance,
            max_queue_wait=None if wait is None else timedelta(seconds=wait),
            batching=settings.batching,
            max_batch_delay=timedelta(seconds=settings.max_batch_delay_seconds),
            max_batch_rows=settings.max_batch_rows,
        )


class ProbeBody(ArmBody):
    initial_delay: Duration | None = None
    period: Duration | None = None
    timeout: Duration | None = None
    success_threshold: Annotated[
        int | None, WithoutEffect("a worker is ready, or healthy again, after one success", harmless=("1",))
    ] = None
    failure_threshold: int | None = None

    def value(self) -> Probe:
        default = Probe()
        return Probe(
            initial_delay_seconds=_seconds(self.initial_delay, default.initial_delay_seconds),
            period_seconds=_seconds(self.period, default.period_seconds),
            timeout_seconds=_seconds(self.timeout, default.timeout_seconds),
            success_threshold=default.success_threshold if self.success_threshold is None else self.success_threshold,
            failure_threshold=default.failure_threshold if self.failure_threshold is None else self.failure_threshold,
        )

    @classmethod
    def of(cls, probe: Probe) -> "ProbeBody":
        return cls(
            initial_delay=timedelta(seconds=probe.initial_delay_seconds),
            period=timedelta(seconds=probe.period_seconds),
            timeout=timedelta(seconds=probe.timeout_seconds),
            success_threshold=probe.success_threshold,
            failure_threshold=probe.failure_threshold,
        )


def _seconds(given: timedelta | None, default: float) -> float:
    return default if given is None else given.total_seconds()


class PassthroughProperties(ArmBody):
    """Fields that are returned as sent."""

    description: str | None = None
    instance_type: Annotated[str | None, _OWN_MACHINES] = None
    app_insights_enabled: Annotated[
        bool | None,
        WithoutEffect("metrics are at /metrics, and logs at …/getLogs", harmless=("false",)),
    ] = None
    egress_public_network_access: str | None = None
    startup_probe: Annotated[Document | None, WithoutEffect("the other probes begin after their initialDelay")] = None
    data_collector: Annotated[Document | None, WithoutEffect("requests and results are not collected")] = None


class DeploymentRequestProperties(PassthroughProperties):
    model: str | None = None
    """Id of a registered model version."""
    environment_id: str | None = None
    """Id of a registered environment version (default: the environment that the model files ask for)."""
    environment_variables: Texts = Field(default_factory=dict)
    endpoint_compute_type: ComputeType | None = None
    code_configuration: Document | None = None
    model_mount_path: str | None = None
    request_settings: RequestSettingsBody | None = None
    liveness_probe: ProbeBody | None = None
    readiness_probe: ProbeBody | None = None
    scale_settings: ScaleSettings | None = None
    properties: Texts = Field(default_factory=dict)


class DeploymentRequest(ArmBody):
    location: str | None = None
    tags: Texts = Field(default_factory=dict)
    sku: Sku | None = None
    properties: DeploymentRequestProperties

    def to_spec(self) -> OnlineDeploymentSpec:
        requested = self.properties
        sku = self.sku or Sku()
        rules = Requirements()
        _check_supported(requested, rules)
        with rules.collect():
            check_worker_count(requested.environment_variables)
        with rules.collect():
            request_settings = (requested.request_settings or RequestSettingsBody()).value()
        with rules.collect("properties.livenessProbe"):
            liveness_probe = (requested.liveness_probe or ProbeBody()).value()
        with rules.collect("properties.readinessProbe"):
            readiness_probe = (requested.readiness_probe or ProbeBody()).value()
        with rules.collect():
            instance_count = check_instance_count(1 if sku.capacity is None else sku.capacity)
        rules.check()
        generation = DeploymentSpec(
            model_id=requested.model or "",
            environment_id=requested.environment_id,
            environment_variables=requested.environment_variables,
            has_network=(requested.egress_public_network_access or "").lower() == "enabled",
            request_settings=request_settings,
            liveness_probe=liveness_probe,
            readiness_probe=readiness_probe,
        )
        passthrough = {
            name: value
            for name in PassthroughProperties.model_fields
            if (value := getattr(requested, name)) is not None
        }
        return OnlineDeploymentSpec(
            generation=generation,
            instance_count=instance_count,
            location=self.location,
            tags=self.tags,
            properties=user_properties(requested.properties),
            body={**passthrough, "sku": sku.model_dump(include={"name", "tier"}, exclude_none=True)},
        )


def _check_supported(requested: DeploymentRequestProperties, rules: Requirements) -> None:
    with rules.collect():
        check_no_code(requested.code_configuration)
    access = requested.egress_public_network_access
    rules.require(
        access is None or access.lower() in ("enabled", "disabled"),
        f"egressPublicNetworkAccess is {(access or '')[:40]!r}: send Enabled or Disabled, or leave it out",
        target="properties.egressPublicNetworkAccess",
    )
    rules.require(
        requested.endpoint_compute_type in (None, ComputeType.MANAGED),
        f"endpointComputeType {requested.endpoint_compute_type} is not supported: leave it out or send Managed",
        target="properties.endpointComputeType",
    )
    rules.require(
        requested.model_mount_path is None,
        "modelMountPath applies to custom containers, which this platform does not run: leave it out",
        target="properties.modelMountPath",
    )
    scale_type = requested.scale_settings.scale_type if requested.scale_settings else "Default"
    rules.require(
        scale_type.lower() == "default",
        f"scaleType {scale_type!r} is not supported: send Default, and set sku.capacity to scale",
        target="properties.scaleSettings.scaleType",
    )
    rules.require(
        bool(requested.model),
        "the deployment names no model: set properties.model to the id of a model version",
        target="properties.model",
    )


class DeploymentPatchRequest(ArmBody):
    tags: Texts | None = None
    sku: Sku | None = None

    def to_patch(self) -> OnlineDeploymentPatch:
        tags = self.tags if "tags" in self.model_fields_set else None
        return OnlineDeploymentPatch(self.sku.capacity if self.sku else None, tags)


class DeploymentProperties(PassthroughProperties):
    model: str
    environment_id: str | None = None
    environment_variables: Texts
    endpoint_compute_type: ComputeType = ComputeType.MANAGED
    request_settings: RequestSettingsBody
    liveness_probe: ProbeBody
    readiness_probe: ProbeBody
    scale_settings: ScaleSettings = ScaleSettings()
    properties: Texts
    """The user's properties, and AzureAsyncOperationUri, the URL of the last operation."""
    provisioning_state: str
    provisioning_error: ErrorDetail | None = None
    """Why the state is Failed. An extension of Modelyard."""
    protections: list[str] | None = None
    """Read-only: protections of the sandbox that are in force for every running worker. An extension of Modelyard."""


class DeploymentBody(Resource):
    location: str
    tags: Texts
    sku: Sku
    properties: DeploymentProperties

    @classmethod
    def of(cls, deployment: OnlineDeployment, urls: ResourceUrls) -> "DeploymentBody":
        sent = {name: value for name, value in deployment.body.items() if name in PassthroughProperties.model_fields}
        spec = deployment.spec
        body = cls(
            **deployment_resource(deployment),
            sku=Sku(**{**deployment.body.get("sku", {}), "capacity": deployment.instance_count}),
            properties=DeploymentProperties(
                **sent,
                **deployment_properties(deployment, urls),
                model=spec.model_id,
                protections=None if deployment.protections is None else list(deployment.protections),
                request_settings=RequestSettingsBody.of(spec.request_settings),
                liveness_probe=ProbeBody.of(spec.liveness_probe),
                readiness_probe=ProbeBody.of(spec.readiness_probe),
            ),
        )
        body.properties.properties.update(property_of_notes(body, DeploymentRequest))
        return body


class LogsRequest(ArmBody):
    container_type: ContainerType | None = None
    """InferenceServer (default): the output of the workers. StorageInitializer: the build."""
    tail: Annotated[int, Field(ge=0)] | None = None
    """Number of lines from the end (default: the lines in the last 16 MB)."""


class LogsBody(ArmBody):
    content: str


class ScoringScriptBody(ArmBody):
    content: str


class SkuCapacity(ArmBody):
    default: int
    minimum: int
    maximum: int
    scale_type: str = "Manual"


class SkuResource(ArmBody):
    resource_type: str
    sku: Sku
    capacity: SkuCapacity


class WorkerBody(ArmBody):
    worker_id: str
    generation: int
    slot: int
    """Index of the worker in the deployment, from 0. An instance has WORKER_COUNT workers."""
    state: str
    pid: int | None = None
    restarts: int
    last_exit_reason: str | None = None
    protections: list[str]
    started_at: Timestamp | None = None
    seen_at: Timestamp

    @classmethod
    def of(cls, worker: Worker) -> "WorkerBody":
        return cls(
            worker_id=worker.worker_id,
            generation=worker.generation,
            slot=worker.slot,
            state=worker.state,
            pid=worker.pid,
            restarts=worker.restarts,
            last_exit_reason=worker.last_exit_reason,
            protections=list(worker.protections),
            started_at=worker.started_at,
            seen_at=worker.seen_at,
        )
