"""Batch deployments as JSON."""

from typing import Annotated

from pydantic import BeforeValidator, Field

from control_plane.features.batch_deployments.deployment import (
    BatchDeployment,
    BatchDeploymentPatch,
    BatchDeploymentSpec,
)
from control_plane.features.batch_deployments.settings_body import Resources, SettingsBody, settings_fields
from control_plane.resources.arm_body import ArmBody, Document, Texts
from control_plane.resources.compute_name import LOCAL, WORKERS_OF_THE_PLATFORM, compute_name
from control_plane.resources.deployments.schemas import check_no_code, deployment_properties, deployment_resource
from control_plane.resources.endpoints.schemas import user_properties
from control_plane.resources.error_body import ErrorDetail
from control_plane.resources.resource import Resource
from control_plane.resources.urls import ResourceUrls
from control_plane.resources.without_effect import property_of_notes
from modelyard.core.domain.batch import BatchSettings
from modelyard.core.domain.deployment import DeploymentSpec
from modelyard.core.domain.names import check_asset_name
from modelyard.core.domain.requirements import Requirements
from modelyard.core.errors import InvalidRequest
from modelyard.core.logs import INFERENCE_SERVER, STORAGE_INITIALIZER

_BY_ID = "Id"


class ModelReference(ArmBody):
    reference_type: str = _BY_ID
    asset_id: str


def _by_asset_id(model: object) -> object:
    return {"assetId": model} if isinstance(model, str) else model


class BatchDeploymentRequestProperties(SettingsBody):
    model: Annotated[ModelReference | None, BeforeValidator(_by_asset_id)] = None
    """{"referenceType": "Id", "assetId": …} of a registered model version, or the id alone."""
    environment_id: str | None = None
    """Id of a registered environment version (default: the environment that the model files ask for)."""
    environment_variables: Texts = Field(default_factory=dict)
    compute: Annotated[str | None, WORKERS_OF_THE_PLATFORM] = None
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
        requested = self.properties
        rules = Requirements()
        _check_supported(requested, rules)
        with rules.collect():
            model_id = _model_id(requested.model)
        with rules.collect():
            settings = BatchSettings().with_overrides(requested.overrides(requested.resources))
        with rules.collect():
            compute = check_asset_name(compute_name(requested.compute or LOCAL), noun="compute")
        rules.check()
        generation = DeploymentSpec(
            model_id=model_id,
            environment_id=requested.environment_id,
            environment_variables=requested.environment_variables,
        )
        return BatchDeploymentSpec(
            generation=generation,
            settings=settings,
            location=self.location,
            description=requested.description,
            tags=self.tags,
            properties=user_properties(requested.properties),
            body={"compute": compute},
        )


def _model_id(model: ModelReference | None) -> str:
    if model is not None and model.reference_type.lower() != _BY_ID.lower():
        raise InvalidRequest(
            f"referenceType {model.reference_type!r} is not supported: register the model, and send its id as assetId",
            target="properties.model.referenceType",
        )
    if model is None or not model.asset_id:
        raise InvalidRequest(
            "the deployment names no model: set properties.model to the id of a model version",
            target="properties.model",
        )
    return model.asset_id


def _check_supported(requested: BatchDeploymentRequestProperties, rules: Requirements) -> None:
    with rules.collect():
        check_no_code(requested.code_configuration)
    rules.require(
        requested.deployment_configuration is None,
        "deploymentConfiguration applies to pipelines, which this platform does not run: deploy a model",
        target="properties.deploymentConfiguration",
    )


class BatchDeploymentPatchProperties(SettingsBody):
    description: str | None = None
    resources: Resources | None = None


class BatchDeploymentPatchRequest(ArmBody):
    tags: Texts | None = None
    properties: BatchDeploymentPatchProperties = BatchDeploymentPatchProperties()

    def to_patch(self) -> BatchDeploymentPatch:
        requested = self.properties
        tags = self.tags if "tags" in self.model_fields_set else None
        return BatchDeploymentPatch(tags, requested.description, requested.overrides(requested.resources))


class BatchDeploymentProperties(SettingsBody):
    model: ModelReference
    environment_id: str | None = None
    environment_variables: Texts
    compute: str
    resources: Resources
    description: str | None = None
    properties: Texts
    """The user's properties, and AzureAsyncOperationUri, the URL of the last operation."""
    provisioning_state: str
    provisioning_error: ErrorDetail | None = None
    """Why the state is Failed. An extension of Modelyard."""


class BatchDeploymentBody(Resource):
    location: str
    tags: Texts
    properties: BatchDeploymentProperties

    @classmethod
    def of(cls, deployment: BatchDeployment, urls: ResourceUrls) -> "BatchDeploymentBody":
        workspace_id = deployment.endpoint_id.rpartition("/batchEndpoints/")[0]
        body = cls(
            **deployment_resource(deployment),
            properties=BatchDeploymentProperties(
                **settings_fields(deployment.settings),
                **deployment_properties(deployment, urls),
                model=ModelReference(asset_id=deployment.spec.model_id),
                compute=f"{workspace_id}/computes/{deployment.body.get('compute', LOCAL)}",
                resources=Resources(instance_count=deployment.settings.instance_count),
                description=deployment.description,
            ),
        )
        body.properties.properties.update(property_of_notes(body, BatchDeploymentRequest))
        return body


class BuildLogRequest(ArmBody):
    container_type: str = STORAGE_INITIALIZER
    """StorageInitializer, the log of the build. The output of a job's workers is among the logs of the job."""
    tail: Annotated[int, Field(ge=0)] | None = None

    def check(self) -> None:
        if self.container_type.replace("_", "").lower() == INFERENCE_SERVER.lower():
            raise InvalidRequest(
                "a batch deployment has no inference server: GET …/jobs/<name>/files lists the logs of a job",
                target="containerType",
            )


class BuildLogBody(ArmBody):
    content: str
