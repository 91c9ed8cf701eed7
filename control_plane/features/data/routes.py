"""Data assets and versions."""

from fastapi import Request

from control_plane.features.data.data_version import DataVersionSpec
from control_plane.features.data.schemas import DataVersionBody, DataVersionRequest
from control_plane.features.data.service import Data
from control_plane.resources.paging import ListBody
from control_plane.web.asset_routes import AssetNames, asset_router


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
