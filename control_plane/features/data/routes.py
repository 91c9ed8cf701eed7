"""Data assets and their versions."""

from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response

from control_plane.features.data.schemas import KIND, DataVersionBody, DataVersionRequest
from control_plane.features.data.service import Data
from control_plane.features.uploads.schemas import PendingUploadBody, PendingUploadRequest
from control_plane.features.uploads.service import Uploads
from control_plane.resources.assets.schemas import ContainerBody, ContainerRequest
from control_plane.resources.paging import ListBody
from control_plane.web.asset_queries import RequestedVersions, RequestedView
from control_plane.web.openapi_responses import COMMON_ERRORS, CONFLICT_ERRORS
from control_plane.web.paging import NextLink, RequestedPage
from control_plane.web.urls import RequestUrls
from control_plane.web.workspace_path import WORKSPACE, RequestedWorkspace

_ASSETS = WORKSPACE + "/data"
_ASSET = _ASSETS + "/{name}"
_VERSIONS = _ASSET + "/versions"
_VERSION = _VERSIONS + "/{version}"

router = APIRouter(tags=["data"], responses=COMMON_ERRORS)


def _service(request: Request) -> Data:
    service: Data = request.app.state.services.data
    return service


def _uploads(request: Request) -> Uploads:
    service: Uploads = request.app.state.services.uploads
    return service


Service = Annotated[Data, Depends(_service)]


@router.get(_ASSETS, response_model_exclude_none=True)
def list_data_assets(
    path: RequestedWorkspace, view: RequestedView, page: RequestedPage, next_link: NextLink, data: Service
) -> ListBody[ContainerBody]:
    found = data.list(path, view, page)
    bodies = [ContainerBody.of(container, KIND) for container in found.items]
    return ListBody(value=bodies, next_link=next_link if found.has_more else None)


@router.get(_ASSET, response_model_exclude_none=True)
def get_data_asset(path: RequestedWorkspace, name: str, data: Service) -> ContainerBody:
    return ContainerBody.of(data.get(path, name), KIND)


@router.put(
    _ASSET, response_model_exclude_none=True, responses={201: {"model": ContainerBody, "description": "Created."}}
)
def put_data_asset(
    path: RequestedWorkspace, name: str, body: ContainerRequest, response: Response, data: Service
) -> ContainerBody:
    container, is_new = data.put(path, name, body.properties.described())
    response.status_code = 201 if is_new else 200
    return ContainerBody.of(container, KIND)


@router.delete(_ASSET, response_class=Response, responses={204: {"description": "It was not there."}})
def delete_data_asset(path: RequestedWorkspace, name: str, data: Service) -> Response:
    """With all its versions. Jobs that read one of them go on."""
    return Response(status_code=200 if data.delete(path, name) else 204)


@router.get(_VERSIONS, response_model_exclude_none=True)
def list_data_versions(
    path: RequestedWorkspace,
    name: str,
    query: RequestedVersions,
    page: RequestedPage,
    next_link: NextLink,
    data: Service,
) -> ListBody[DataVersionBody]:
    """Empty for one that is not there."""
    found = data.list_versions(path, name, query, page)
    bodies = [DataVersionBody.of(version) for version in found.items]
    return ListBody(value=bodies, next_link=next_link if found.has_more else None)


@router.get(_VERSION, response_model_exclude_none=True)
def get_data_version(path: RequestedWorkspace, name: str, version: str, data: Service) -> DataVersionBody:
    return DataVersionBody.of(data.get_version(path, name, version))


@router.put(
    _VERSION,
    response_model_exclude_none=True,
    responses={**CONFLICT_ERRORS, 201: {"model": DataVersionBody, "description": "Registered."}},
)
def put_data_version(
    path: RequestedWorkspace, name: str, version: str, body: DataVersionRequest, response: Response, data: Service
) -> DataVersionBody:
    """Register the files of an upload, or change the description of a registered version."""
    found, is_new = data.put_version(path, name, version, body.to_spec())
    response.status_code = 201 if is_new else 200
    return DataVersionBody.of(found)


@router.delete(_VERSION, response_class=Response, responses={204: {"description": "It was not there."}})
def delete_data_version(path: RequestedWorkspace, name: str, version: str, data: Service) -> Response:
    return Response(status_code=200 if data.delete_version(path, name, version) else 204)


@router.post(_VERSION + "/startPendingUpload")
def start_pending_data_upload(
    path: RequestedWorkspace,
    name: str,
    version: str,
    urls: RequestUrls,
    uploads: Annotated[Uploads, Depends(_uploads)],
    body: PendingUploadRequest | None = None,
) -> PendingUploadBody:
    """A URL to which the files of the version can be written for an hour."""
    upload_id, query = uploads.start(path)
    return PendingUploadBody.of(str(upload_id), urls.upload(upload_id), query)
