"""Environments and their versions, and what was built of them."""

from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response

from control_plane.features.environments.schemas import (
    KIND,
    BuiltEnvironmentBody,
    EnvironmentVersionBody,
    EnvironmentVersionRequest,
)
from control_plane.features.environments.service import Environments
from control_plane.resources.assets.schemas import ContainerBody, ContainerRequest
from control_plane.resources.paging import ListBody
from control_plane.web.asset_queries import RequestedVersions, RequestedView
from control_plane.web.openapi_responses import COMMON_ERRORS, CONFLICT_ERRORS
from control_plane.web.operation_headers import OPERATION_ACCEPTED, accepted
from control_plane.web.paging import NextLink, RequestedPage
from control_plane.web.urls import RequestUrls
from control_plane.web.workspace_path import WORKSPACE, RequestedWorkspace

_ENVIRONMENTS = WORKSPACE + "/environments"
_ENVIRONMENT = _ENVIRONMENTS + "/{name}"
_VERSIONS = _ENVIRONMENT + "/versions"
_VERSION = _VERSIONS + "/{version}"

router = APIRouter(tags=["environments"], responses=COMMON_ERRORS)


def _service(request: Request) -> Environments:
    service: Environments = request.app.state.services.environments
    return service


Service = Annotated[Environments, Depends(_service)]


@router.get(_ENVIRONMENTS, response_model_exclude_none=True)
def list_environments(
    path: RequestedWorkspace, view: RequestedView, page: RequestedPage, next_link: NextLink, environments: Service
) -> ListBody[ContainerBody]:
    found = environments.list(path, view, page)
    bodies = [ContainerBody.of(container, KIND) for container in found.items]
    return ListBody(value=bodies, next_link=next_link if found.has_more else None)


@router.get(_ENVIRONMENT, response_model_exclude_none=True)
def get_environment(path: RequestedWorkspace, name: str, environments: Service) -> ContainerBody:
    return ContainerBody.of(environments.get(path, name), KIND)


@router.put(
    _ENVIRONMENT, response_model_exclude_none=True, responses={201: {"model": ContainerBody, "description": "Created."}}
)
def put_environment(
    path: RequestedWorkspace, name: str, body: ContainerRequest, response: Response, environments: Service
) -> ContainerBody:
    container, is_new = environments.put(path, name, body.properties.described())
    response.status_code = 201 if is_new else 200
    return ContainerBody.of(container, KIND)


@router.delete(
    _ENVIRONMENT, response_class=Response, responses={**CONFLICT_ERRORS, 204: {"description": "It was not there."}}
)
def delete_environment(path: RequestedWorkspace, name: str, environments: Service) -> Response:
    """With all its versions, unless a deployment uses one of them."""
    return Response(status_code=200 if environments.delete(path, name) else 204)


@router.get(_VERSIONS, response_model_exclude_none=True)
def list_environment_versions(
    path: RequestedWorkspace,
    name: str,
    query: RequestedVersions,
    page: RequestedPage,
    next_link: NextLink,
    environments: Service,
) -> ListBody[EnvironmentVersionBody]:
    """Empty for an environment that is not there."""
    found = environments.list_versions(path, name, query, page)
    bodies = [EnvironmentVersionBody.of(version) for version in found.items]
    return ListBody(value=bodies, next_link=next_link if found.has_more else None)


@router.get(_VERSION, response_model_exclude_none=True)
def get_environment_version(
    path: RequestedWorkspace, name: str, version: str, environments: Service
) -> EnvironmentVersionBody:
    return EnvironmentVersionBody.of(environments.get_version(path, name, version))


@router.put(
    _VERSION,
    response_model_exclude_none=True,
    responses={**CONFLICT_ERRORS, 201: {"model": EnvironmentVersionBody, "description": "Registered."}},
)
def put_environment_version(
    path: RequestedWorkspace,
    name: str,
    version: str,
    body: EnvironmentVersionRequest,
    response: Response,
    environments: Service,
) -> EnvironmentVersionBody:
    found, is_new = environments.put_version(path, name, version, body.to_spec())
    response.status_code = 201 if is_new else 200
    return EnvironmentVersionBody.of(found)


@router.delete(
    _VERSION, response_class=Response, responses={**CONFLICT_ERRORS, 204: {"description": "It was not there."}}
)
def delete_environment_version(path: RequestedWorkspace, name: str, version: str, environments: Service) -> Response:
    return Response(status_code=200 if environments.delete_version(path, name, version) else 204)


@router.get(WORKSPACE + "/builtEnvironments", response_model_exclude_none=True)
def list_built_environments(path: RequestedWorkspace, environments: Service) -> ListBody[BuiltEnvironmentBody]:
    """The environments on the platform's disk, whoever asked for them. An extension of Modelyard."""
    return ListBody(value=[BuiltEnvironmentBody.of(built) for built in environments.built(path)])


@router.post(
    WORKSPACE + "/pruneEnvironments", status_code=202, response_class=Response, responses={202: OPERATION_ACCEPTED}
)
def prune_environments(path: RequestedWorkspace, urls: RequestUrls, environments: Service) -> Response:
    """Remove the built environments that no deployment uses. An extension of Modelyard."""
    return accepted(environments.prune(path), urls)
