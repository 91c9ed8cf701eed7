"""Batch deployments as JSON."""

from typing import Annotated, Any

from pydantic import Field

from control_plane.features.batch_deployments.deployment import (
    BatchDeployment,
    BatchDeploymentPatch,
    BatchDeploymentSpec,
)
from control_plane.features.batch_deployments.settings_body import Resources, SettingsBody, settings_fields
from control_plane.features.computes.compute import LOCAL, compute_name
from control_plane.resources.arm_body import ArmBody, Document, Texts
from control_plane.resources.endpoints.schemas import operation_uri, users_own
from control_plane.resources.error_body import ErrorDetail
from control_plane.resources.resource import TYPE_PREFIX, Resource, SystemData
from control_plane.resources.urls import ResourceUrls
from modelyard.core.domain.batch import BatchSettings
from modelyard.core.domain.deployment import DeploymentSpec
from modelyard.core.domain.names import check_asset_name
from modelyard.core.errors import InvalidRequest
from modelyard.core.logs import INFERENCE_SERVER, STORAGE_INITIALIZER

_BY_ID = "Id"


class ModelReference(ArmBody):
    reference_type: str = _BY_ID
    asset_id: str


class BatchDeploymentRequestProperties(SettingsBody):
    model: ModelReference | str | None = None
    """{"referenceType": "Id", "assetId": …} of a registered model version, or its id alone."""
    environment_id: str | None = None
    """Id of a registered environment version; left out: the environment that the model's own files ask for."""
    environment_variables: Texts = Field(default_factory=dict)
    compute: str | None = None
    """Any name. This platform's workers do the work."""
    resources: Resources | None = None
    description: str | None = None
    properties: Texts = Field(default_factory=dict)
    code_configuration: Document | None = None
    deployment_configuration: Document | None = None


class BatchDeploymentRequest(ArmBody):
    location: str | None = None
    tags: Texts = Field(default_factory=dict)
    properties: BatchDeploymentRequestProperties

    def to_spec(self) -> BatchDeploymentSpec:
        asked = self.properties
        _check_supported(asked)
        generation = DeploymentSpec(
            model_id=_model_id(asked.model),
            environment_id=asked.environment_id,
            environment_variables=asked.environment_variables,
        )
        compute = compute_name(asked.compute or LOCAL)
        return BatchDeploymentSpec(
            generation=generation,
            settings=BatchSettings().with_overrides(asked.overrides(asked.resources)),
            location=self.location,
            description=asked.description,
            tags=self.tags,
            properties=users_own(asked.properties),
            body={"compute": check_asset_name(compute, noun="compute")},
        )


def _model_id(model: ModelReference | str | None) -> str:
    if isinstance(model, ModelReference) and model.reference_type.lower() != _BY_ID.lower():
        raise InvalidRequest(
            f"referenceType {model.reference_type!r} cannot be used: register the model, and give its id as assetId",
            target="properties.model.referenceType",
        )
    model_id = model.asset_id if isinstance(model, ModelReference) else model
    if not model_id:
        raise InvalidRequest("the deployment names no model: give the id of one", target="properties.model")
    return model_id


def _check_supported(asked: BatchDeploymentRequestProperties) -> None:
    if asked.code_configuration is not None:
        raise InvalidRequest(
            "codeConfiguration cannot be used yet: custom scoring scripts come later. Leave it out, and a script is "
            "generated for the model",
            target="properties.codeConfiguration",
        )
    if asked.deployment_configuration is not None:
        raise InvalidRequest(
            "deploymentConfiguration is for pipelines, which cannot be deployed here: deploy a model",
            target="properties.deploymentConfiguration",
        )


class BatchDeploymentPatchProperties(SettingsBody):
    description: str | None = None
    resources: Resources | None = None


class BatchDeploymentPatchRequest(ArmBody):
    tags: Texts | None = None
    properties: BatchDeploymentPatchProperties = BatchDeploymentPatchProperties()

    def patch(self) -> BatchDeploymentPatch:
        asked = self.properties
        tags = self.tags if "tags" in self.model_fields_set else None
        return BatchDeploymentPatch(tags, asked.description, asked.overrides(asked.resources))


class BatchDeploymentProperties(SettingsBody):
    model: ModelReference
    environment_id: str | None = None
    environment_variables: Texts
    compute: str
    resources: Resources
    description: str | None = None
    properties: Texts
    """The user's own, and AzureAsyncOperationUri: where to ask after the last operation."""
    provisioning_state: str
    provisioning_error: ErrorDetail | None = None
    """Why the state is Failed. An extension of Modelyard."""


class BatchDeploymentBody(Resource):
    location: str
    tags: Texts
    properties: BatchDeploymentProperties

    @classmethod
    def of(cls, deployment: BatchDeployment, urls: ResourceUrls) -> "BatchDeploymentBody":
        spec, failure = deployment.spec, deployment.failure
        settings: dict[str, Any] = settings_fields(deployment.settings)
        workspace_id = deployment.endpoint_id.rpartition("/batchEndpoints/")[0]
        return cls(
            id=deployment.arm_id,
            name=deployment.name,
            type=f"{TYPE_PREFIX}/workspaces/batchEndpoints/deployments",
            system_data=SystemData.of(deployment.created_at, deployment.modified_at),
            location=deployment.location,
            tags=dict(deployment.tags),
            properties=BatchDeploymentProperties(
                **settings,
                model=ModelReference(asset_id=spec.model_id),
                environment_id=spec.environment_id,
                environment_variables=dict(spec.environment_variables),
                compute=f"{workspace_id}/computes/{deployment.body.get('compute', LOCAL)}",
                resources=Resources(instance_count=deployment.settings.instance_count),
                description=deployment.description,
                properties={**deployment.properties, **operation_uri(deployment.operation, urls)},
                provisioning_state=deployment.state,
                provisioning_error=ErrorDetail(code=failure.code, message=failure.message) if failure else None,
            ),
        )


class BuildLogRequest(ArmBody):
    container_type: str = STORAGE_INITIALIZER
    """The build's log is the only one: what a job's workers print is among the job's own logs."""
    tail: Annotated[int, Field(ge=0)] | None = None

    def check(self) -> None:
        if self.container_type.replace("_", "").lower() == INFERENCE_SERVER.lower():
            raise InvalidRequest(
                "a batch deployment has no server: GET …/jobs/<name>/files lists the logs of a job",
                target="containerType",
            )


class BuildLogBody(ArmBody):
    content: str
