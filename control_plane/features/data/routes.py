"""Data assets and versions."""

from typing import Annotated

from fastapi import Depends, Request, Response

from control_plane.features.data.data_version import DataVersionSpec
from control_plane.features.data.schemas import DatasetVersionRequest, DataVersionBody, DataVersionRequest
from control_plane.features.data.service import Data
from control_plane.resources.paging import ListBody
from control_plane.web.asset_routes import AssetNames, asset_router
from control_plane.web.caller import RequestCaller
from control_plane.web.openapi_responses import CONFLICT_ERRORS
from control_plane.web.workspace_path import WORKSPACE, RequestedWorkspace


def _service(request: Request) -> Data:
    service: Data = request.app.state.services.data
    return service


def _spec(body: DataVersionRequest) -> DataVersionSpec:
    return body.to_spec()


router = asset_router(
    AssetNames("data", "data_assets", "data_asset", "data_version", start_upload="start_pending_data_upload"),
    service=_service,
    read_spec=_spec,
    version_body=DataVersionBody,
    version_list=ListBody[DataVersionBody],
    to_body=DataVersionBody.of,
    delete_errors={},
)


@router.put(
    WORKSPACE + "/datasets/{name}/versions/{version}",
    response_model_exclude_none=True,
    responses={**CONFLICT_ERRORS, 201: {"model": DataVersionBody, "description": "Registered."}},
)
def put_dataset_version(
    caller: RequestCaller,
    path: RequestedWorkspace,
    name: str,
    version: str,
    body: DatasetVersionRequest,
    response: Response,
    data: Annotated[Data, Depends(_service)],
) -> DataVersionBody:
    """Register a version of a data asset, in the words of Azure's first REST samples."""
    found, is_new = data.put_version(caller, path, name, version, body.to_spec())
    response.status_code = 201 if is_new else 200
    return DataVersionBody.of(found)
