"""Models, versions and files."""

from typing import Annotated

from fastapi import Depends, Request
from fastapi.responses import StreamingResponse

from control_plane.features.models.model_version import ModelVersionSpec
from control_plane.features.models.schemas import ModelFileBody, ModelVersionBody, ModelVersionRequest
from control_plane.features.models.service import Models
from control_plane.resources.paging import ListBody
from control_plane.web.asset_routes import AssetNames, asset_router
from control_plane.web.authorization import authorized_router
from control_plane.web.caller import RequestCaller
from control_plane.web.openapi_responses import CONFLICT_ERRORS, SIGNED_URL_ERRORS
from control_plane.web.urls import RequestUrls
from control_plane.web.workspace_path import WORKSPACE, RequestedWorkspace


def _service(request: Request) -> Models:
    service: Models = request.app.state.services.models
    return service


def _spec(body: ModelVersionRequest) -> ModelVersionSpec:
    return body.to_spec()


Service = Annotated[Models, Depends(_service)]

router = asset_router(
    AssetNames("models", "models", "model", "model_version", start_upload="start_pending_upload"),
    service=_service,
    read_spec=_spec,
    version_body=ModelVersionBody,
    version_list=ListBody[ModelVersionBody],
    to_body=ModelVersionBody.of,
    delete_errors=CONFLICT_ERRORS,
)
downloads = authorized_router("models", SIGNED_URL_ERRORS)


@router.get(WORKSPACE + "/models/{name}/versions/{version}/files", response_model_exclude_none=True)
def list_model_files(
    caller: RequestCaller, path: RequestedWorkspace, name: str, version: str, urls: RequestUrls, models: Service
) -> ListBody[ModelFileBody]:
    """Every file with a download URL that is valid for an hour. An extension of Modelyard."""
    files = models.files(caller, path, name, version)
    return ListBody(value=[ModelFileBody.of(file, urls.blob(file.sha256, query)) for file, query in files])


@downloads.get(
    "/blobs/{sha256}",
    response_class=StreamingResponse,
    responses={200: {"description": "The content.", "content": {"application/octet-stream": {}}}},
)
def get_blob(caller: RequestCaller, sha256: str, request: Request, models: Service) -> StreamingResponse:
    """The content of a registered file."""
    size, content = models.content(caller, sha256, request.query_params)
    headers = {"Content-Length": str(size), "ETag": f'"{sha256}"'}
    return StreamingResponse(content, media_type="application/octet-stream", headers=headers)
