"""The shared fields of online and batch deployments as JSON."""

from typing import Any

from control_plane.resources.arm_body import Document
from control_plane.resources.deployments.deployment import Deployment
from control_plane.resources.endpoints.schemas import operation_uri
from control_plane.resources.error_body import ErrorDetail
from control_plane.resources.resource import SystemData
from control_plane.resources.urls import ResourceUrls
from modelyard.core.domain.resource_ids import PROVIDER
from modelyard.core.errors import InvalidRequest


def deployment_resource(deployment: Deployment) -> dict[str, Any]:
    """The fields beside `properties`."""
    collection = deployment.endpoint_id.split("/")[-2]
    return {
        "id": deployment.arm_id,
        "name": deployment.name,
        "type": f"{PROVIDER}/workspaces/{collection}/deployments",
        "system_data": SystemData.of(deployment.authorship),
        "location": deployment.location,
        "tags": dict(deployment.tags),
    }


def deployment_properties(deployment: Deployment, urls: ResourceUrls) -> dict[str, Any]:
    spec, failure = deployment.spec, deployment.failure
    return {
        "environment_id": spec.environment_id,
        "environment_variables": dict(spec.environment_variables),
        "properties": {**deployment.properties, **operation_uri(deployment.operation, urls)},
        "provisioning_state": deployment.state,
        "provisioning_error": ErrorDetail(code=failure.code, message=failure.message) if failure else None,
    }


def check_no_code(code_configuration: Document | None) -> None:
    if code_configuration is not None:
        raise InvalidRequest(
            "codeConfiguration is not supported yet: leave it out, and a scoring script is generated for the model",
            target="properties.codeConfiguration",
        )
