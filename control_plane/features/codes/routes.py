"""Codes and versions. Azure's SDK uploads the files to a blob container, and looks for a code by its hash first."""

from typing import Annotated

from fastapi import Depends, Query, Request

from control_plane.features.codes.code_version import HASH_PATTERN, CodeHash, CodeQuery, CodeVersionSpec
from control_plane.features.codes.schemas import CodeVersionBody, CodeVersionRequest
from control_plane.features.codes.service import Codes
from control_plane.resources.paging import ListBody
from control_plane.resources.uploads.schemas import PendingUploadBody, PendingUploadRequest
from control_plane.web.asset_routes import AssetNames, RequestedVersions, asset_router
from control_plane.web.caller import RequestCaller
from control_plane.web.urls import RequestUrls
from control_plane.web.workspace_path import WORKSPACE, RequestedWorkspace

_Hash = Annotated[
    str | None,
    Query(alias="hash", pattern=HASH_PATTERN, description="List the versions of all codes with this hash_sha256."),
]
_HashVersion = Annotated[
    str | None, Query(alias="hashVersion", pattern=HASH_PATTERN, description="With hash: this hash_version only.")
]


def _service(request: Request) -> Codes:
    service: Codes = request.app.state.services.codes
    return service


def _spec(body: CodeVersionRequest) -> CodeVersionSpec:
    return body.to_spec()


def _query(versions: RequestedVersions, content_hash: _Hash = None, hash_version: _HashVersion = None) -> CodeQuery:
    wanted = None if content_hash is None else CodeHash(content_hash, hash_version)
    return CodeQuery(versions.view, versions.oldest_first, wanted)


Service = Annotated[Codes, Depends(_service)]

router = asset_router(
    AssetNames("codes", "codes", "code", "code_version"),
    service=_service,
    read_spec=_spec,
    version_body=CodeVersionBody,
    version_list=ListBody[CodeVersionBody],
    to_body=CodeVersionBody.of,
    delete_errors={},
    read_query=_query,
)


@router.post(WORKSPACE + "/codes/{name}/versions/{version}/startPendingUpload")
def start_pending_code_upload(
    caller: RequestCaller,
    path: RequestedWorkspace,
    name: str,
    version: str,
    urls: RequestUrls,
    codes: Service,
    body: PendingUploadRequest | None = None,
) -> PendingUploadBody:
    """A folder in the workspace's blob container to which the files of the version can be written for an hour."""
    folder, query = codes.start_upload(caller, path)
    return PendingUploadBody.of(None, f"{urls.blob_container(folder.container.name)}/{folder.path}", query)
