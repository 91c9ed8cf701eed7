"""Environments, versions, and built environments."""

from typing import Annotated

from fastapi import Depends, Request, Response

from control_plane.features.environments.environment_version import EnvironmentVersionSpec
from control_plane.features.environments.schemas import (
    BuiltEnvironmentBody,
    EnvironmentVersionBody,
    EnvironmentVersionRequest,
)
from control_plane.features.environments.service import Environments
from control_plane.resources.paging import ListBody
from control_plane.web.asset_routes import AssetNames, asset_router
from control_plane.web.caller import RequestCaller
from control_plane.web.openapi_responses import CONFLICT_ERRORS
from control_plane.web.operation_headers import OPERATION_ACCEPTED, accepted
from control_plane.web.urls import RequestUrls
from control_plane.web.workspace_path import WORKSPACE, RequestedWorkspace


def _service(request: Request) -> Environments:
    service: Environments = request.app.state.services.environments
    return service


def _spec(body: EnvironmentVersionRequest) -> EnvironmentVersionSpec:
    return body.to_spec()


Service = Annotated[Environments, Depends(_service)]

router = asset_router(
    AssetNames("environments", "environments", "environment", "environment_version"),
    service=_service,
    read_spec=_spec,
    version_body=EnvironmentVersionBody,
    version_list=ListBody[EnvironmentVersionBody],
    to_body=EnvironmentVersionBody.of,
    delete_errors=CONFLICT_ERRORS,
)


@router.get(WORKSPACE + "/builtEnvironments", response_model_exclude_none=True)
def list_built_environments(
    caller: RequestCaller, path: RequestedWorkspace, environments: Service
) -> ListBody[BuiltEnvironmentBody]:
    """The environments on the platform's disk that the workspace's deployments and jobs use or have used.

    A caller with a role in every workspace sees all environments. An extension of Modelyard.
    """
    return ListBody(value=[BuiltEnvironmentBody.of(built) for built in environments.built(caller, path)])


@router.post(
    WORKSPACE + "/pruneEnvironments", status_code=202, response_class=Response, responses={202: OPERATION_ACCEPTED}
)
def prune_environments(
    caller: RequestCaller, path: RequestedWorkspace, urls: RequestUrls, environments: Service
) -> Response:
    """Remove the built environments that no deployment of any workspace uses. An extension of Modelyard."""
    return accepted(environments.prune(caller, path), urls)
