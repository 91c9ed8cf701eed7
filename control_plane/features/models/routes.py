"""Models, their versions, and their files."""

from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response
from fastapi.responses import StreamingResponse

from control_plane.features.models.schemas import KIND, ModelFileBody, ModelVersionBody, ModelVersionRequest
from control_plane.features.models.service import Models
from control_plane.features.uploads.schemas import PendingUploadBody, PendingUploadRequest
from control_plane.features.uploads.service import Uploads
from control_plane.resources.assets.schemas import ContainerBody, ContainerRequest
from control_plane.resources.paging import ListBody
from control_plane.web.asset_queries import RequestedVersions, RequestedView
from control_plane.web.openapi_responses import COMMON_ERRORS, CONFLICT_ERRORS, SIGNED_URL_ERRORS
from control_plane.web.paging import NextLink, RequestedPage
from control_plane.web.urls import RequestUrls
from control_plane.web.workspace_path import WORKSPACE, RequestedWorkspace

_MODELS = WORKSPACE + "/models"
_MODEL = _MODELS + "/{name}"
_VERSIONS = _MODEL + "/versions"
_VERSION = _VERSIONS + "/{version}"

router = APIRouter(tags=["models"], responses=COMMON_ERRORS)
downloads = APIRouter(tags=["models"], responses=SIGNED_URL_ERRORS)


def _service(request: Request) -> Models:
    service: Models = request.app.state.services.models
    return service


def _uploads(request: Request) -> Uploads:
    service: Uploads = request.app.state.services.uploads
    return service


Service = Annotated[Models, Depends(_service)]


@router.get(_MODELS, response_model_exclude_none=True)
def list_models(
    path: RequestedWorkspace, view: RequestedView, page: RequestedPage, next_link: NextLink, models: Service
) -> ListBody[ContainerBody]:
    found = models.list(path, view, page)
    bodies = [ContainerBody.of(container, KIND) for container in found.items]
    return ListBody(value=bodies, next_link=next_link if found.has_more else None)


@router.get(_MODEL, response_model_exclude_none=True)
def get_model(path: RequestedWorkspace, name: str, models: Service) -> ContainerBody:
    return ContainerBody.of(models.get(path, name), KIND)


@router.put(
    _MODEL, response_model_exclude_none=True, responses={201: {"model": ContainerBody, "description": "Created."}}
)
def put_model(
    path: RequestedWorkspace, name: str, body: ContainerRequest, response: Response, models: Service
) -> ContainerBody:
    container, is_new = models.put(path, name, body.properties.described())
    response.status_code = 201 if is_new else 200
    return ContainerBody.of(container, KIND)


@router.delete(
    _MODEL, response_class=Response, responses={**CONFLICT_ERRORS, 204: {"description": "It was not there."}}
)
def delete_model(path: RequestedWorkspace, name: str, models: Service) -> Response:
    """With all its versions, unless a deployment uses one of them."""
    return Response(status_code=200 if models.delete(path, name) else 204)


@router.get(_VERSIONS, response_model_exclude_none=True)
def list_model_versions(
    path: RequestedWorkspace,
    name: str,
    query: RequestedVersions,
    page: RequestedPage,
    next_link: NextLink,
    models: Service,
) -> ListBody[ModelVersionBody]:
    """Empty for a model that is not there."""
    found = models.list_versions(path, name, query, page)
    bodies = [ModelVersionBody.of(version) for version in found.items]
    return ListBody(value=bodies, next_link=next_link if found.has_more else None)


@router.get(_VERSION, response_model_exclude_none=True)
def get_model_version(path: RequestedWorkspace, name: str, version: str, models: Service) -> ModelVersionBody:
    return ModelVersionBody.of(models.get_version(path, name, version))


@router.put(
    _VERSION,
    response_model_exclude_none=True,
    responses={**CONFLICT_ERRORS, 201: {"model": ModelVersionBody, "description": "Registered."}},
)
def put_model_version(
    path: RequestedWorkspace, name: str, version: str, body: ModelVersionRequest, response: Response, models: Service
) -> ModelVersionBody:
    """Register the files of an upload, or change the description of a registered version."""
    found, is_new = models.put_version(path, name, version, body.to_spec())
    response.status_code = 201 if is_new else 200
    return ModelVersionBody.of(found)


@router.delete(
    _VERSION, response_class=Response, responses={**CONFLICT_ERRORS, 204: {"description": "It was not there."}}
)
def delete_model_version(path: RequestedWorkspace, name: str, version: str, models: Service) -> Response:
    return Response(status_code=200 if models.delete_version(path, name, version) else 204)


@router.post(_VERSION + "/startPendingUpload")
def start_pending_upload(
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


@router.get(_VERSION + "/files", response_model_exclude_none=True)
def list_model_files(
    path: RequestedWorkspace, name: str, version: str, urls: RequestUrls, models: Service
) -> ListBody[ModelFileBody]:
    """Every file with a URL from which it can be fetched for an hour. An extension of Modelyard."""
    files = models.files(path, name, version)
    return ListBody(value=[ModelFileBody.of(file, urls.blob(file.sha256, query)) for file, query in files])


@downloads.get(
    "/blobs/{sha256}",
    response_class=StreamingResponse,
    responses={200: {"description": "The content.", "content": {"application/octet-stream": {}}}},
)
def get_blob(sha256: str, request: Request, models: Service) -> StreamingResponse:
    """The content of a registered file."""
    size, content = models.content(sha256, request.query_params)
    headers = {"Content-Length": str(size), "ETag": f'"{sha256}"'}
    return StreamingResponse(content, media_type="application/octet-stream", headers=headers)
