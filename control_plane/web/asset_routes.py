"""The routes of a noun of versioned assets: containers, versions, and the start of an upload for a version."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request, Response

from control_plane.resources.assets.asset import ListView, VersionQuery, VersionSpec
from control_plane.resources.assets.schemas import ContainerBody, ContainerRequest
from control_plane.resources.assets.service import VersionedAssets
from control_plane.resources.paging import ListBody, list_body
from control_plane.resources.resource import Resource
from control_plane.resources.uploads.port import UploadedFiles
from control_plane.resources.uploads.schemas import PendingUploadBody, PendingUploadRequest
from control_plane.web.authorization import authorized_router
from control_plane.web.caller import RequestCaller
from control_plane.web.openapi_responses import COMMON_ERRORS, CONFLICT_ERRORS, Responses
from control_plane.web.paging import NextLink, RequestedPage
from control_plane.web.urls import RequestUrls
from control_plane.web.workspace_path import WORKSPACE, RequestedWorkspace
from modelyard.core.errors import InvalidRequest

# The query parameters of lists.

_View = Annotated[str, Query(alias="listViewType", description="ActiveOnly, ArchivedOnly or All.")]
_Order = Annotated[str, Query(alias="$orderBy", description="createdtime desc (default) or createdtime asc.")]


def _list_view(list_view_type: _View = ListView.ACTIVE_ONLY) -> ListView:
    try:
        return ListView(list_view_type)
    except ValueError:
        known = ", ".join(ListView)
        raise InvalidRequest(f"listViewType is one of {known}, not {list_view_type!r}", target="listViewType") from None


RequestedView = Annotated[ListView, Depends(_list_view)]


def _version_query(view: RequestedView, order_by: _Order = "createdtime desc") -> VersionQuery:
    words = order_by.lower().split()
    if words not in (["createdtime", "desc"], ["createdtime", "asc"], ["createdtime"]):
        raise InvalidRequest(
            f"$orderBy is 'createdtime desc' or 'createdtime asc', not {order_by!r}", target="$orderBy"
        )
    return VersionQuery(view, oldest_first=words[-1] != "desc")


RequestedVersions = Annotated[VersionQuery, Depends(_version_query)]


# The routes.


@dataclass(frozen=True, slots=True)
class AssetNames:
    """A noun in paths and in the names of operations."""

    collection: str
    """Path segment: "models"."""
    containers: str
    """In the name of the list operation: "models"."""
    container: str
    version: str
    start_upload: str | None = None
    """Name of the operation that starts an upload for a version. None: versions of the noun have no files."""


def asset_router(
    names: AssetNames,
    *,
    service: Callable[[Request], VersionedAssets[Any, Any, Any, Any, Any]],
    read_spec: Callable[..., VersionSpec],
    version_body: type[Resource],
    version_list: type[ListBody[Any]],
    to_body: Callable[[Any], Resource],
    delete_errors: Responses,
    read_query: Callable[..., VersionQuery] = _version_query,
) -> APIRouter:
    """A router with the routes that every noun has. The noun's routes file adds the noun's own.

    `read_spec` is a FastAPI dependency that reads the body of a version's PUT. `to_body` makes a `version_body` of
    the noun's value. `read_query` is a FastAPI dependency that reads the query of a list of versions.
    """
    router = authorized_router(names.collection, COMMON_ERRORS)
    containers_path = f"{WORKSPACE}/{names.collection}"
    container_path = containers_path + "/{name}"
    versions_path = container_path + "/versions"
    version_path = versions_path + "/{version}"
    Service = Annotated[VersionedAssets[Any, Any, Any, Any, Any], Depends(service)]  # noqa: N806 - a type
    Spec = Annotated[VersionSpec, Depends(read_spec)]  # noqa: N806 - a type
    Versions = Annotated[VersionQuery, Depends(read_query)]  # noqa: N806 - a type
    absent: Responses = {204: {"description": "There was none."}}

    @router.get(containers_path, name=f"list_{names.containers}", response_model_exclude_none=True)
    def list_containers(
        caller: RequestCaller,
        path: RequestedWorkspace,
        view: RequestedView,
        page: RequestedPage,
        next_link: NextLink,
        assets: Service,
    ) -> ListBody[ContainerBody]:
        return list_body(assets.list(caller, path, view, page), ContainerBody.of, next_link)

    @router.get(container_path, name=f"get_{names.container}", response_model_exclude_none=True)
    def get_container(caller: RequestCaller, path: RequestedWorkspace, name: str, assets: Service) -> ContainerBody:
        return ContainerBody.of(assets.get(caller, path, name))

    @router.put(
        container_path,
        name=f"put_{names.container}",
        response_model_exclude_none=True,
        responses={201: {"model": ContainerBody, "description": "Created."}},
    )
    def put_container(
        caller: RequestCaller,
        path: RequestedWorkspace,
        name: str,
        body: ContainerRequest,
        response: Response,
        assets: Service,
    ) -> ContainerBody:
        container, is_new = assets.put(caller, path, name, body.properties.to_description())
        response.status_code = 201 if is_new else 200
        return ContainerBody.of(container)

    @router.delete(
        container_path,
        name=f"delete_{names.container}",
        response_class=Response,
        responses={**delete_errors, **absent},
    )
    def delete_container(caller: RequestCaller, path: RequestedWorkspace, name: str, assets: Service) -> Response:
        """Delete with all versions, unless a deployment uses one of the versions."""
        return Response(status_code=200 if assets.delete(caller, path, name) else 204)

    @router.get(
        versions_path,
        name=f"list_{names.version}s",
        response_model=version_list,
        response_model_exclude_none=True,
    )
    def list_versions(
        caller: RequestCaller,
        path: RequestedWorkspace,
        name: str,
        query: Versions,
        page: RequestedPage,
        next_link: NextLink,
        assets: Service,
    ) -> ListBody[Any]:
        """Empty where the name is unknown."""
        return list_body(assets.list_versions(caller, path, name, query, page), to_body, next_link)

    @router.get(
        version_path, name=f"get_{names.version}", response_model=version_body, response_model_exclude_none=True
    )
    def get_version(
        caller: RequestCaller, path: RequestedWorkspace, name: str, version: str, assets: Service
    ) -> Resource:
        return to_body(assets.get_version(caller, path, name, version))

    @router.put(
        version_path,
        name=f"put_{names.version}",
        response_model=version_body,
        response_model_exclude_none=True,
        responses={**CONFLICT_ERRORS, 201: {"model": version_body, "description": "Registered."}},
    )
    def put_version(
        caller: RequestCaller,
        path: RequestedWorkspace,
        name: str,
        version: str,
        spec: Spec,
        response: Response,
        assets: Service,
    ) -> Resource:
        """Register a version, or change the description of a registered version."""
        found, is_new = assets.put_version(caller, path, name, version, spec)
        response.status_code = 201 if is_new else 200
        return to_body(found)

    @router.delete(
        version_path,
        name=f"delete_{names.version}",
        response_class=Response,
        responses={**delete_errors, **absent},
    )
    def delete_version(
        caller: RequestCaller, path: RequestedWorkspace, name: str, version: str, assets: Service
    ) -> Response:
        return Response(status_code=200 if assets.delete_version(caller, path, name, version) else 204)

    if names.start_upload is not None:

        @router.post(version_path + "/startPendingUpload", name=names.start_upload)
        def start_pending_upload(
            caller: RequestCaller,
            path: RequestedWorkspace,
            name: str,
            version: str,
            urls: RequestUrls,
            uploads: Annotated[UploadedFiles, Depends(_uploads)],
            body: PendingUploadRequest | None = None,
        ) -> PendingUploadBody:
            """A URL to which the files of the version can be written for an hour."""
            upload_id, query = uploads.start(caller, path)
            return PendingUploadBody.of(str(upload_id), urls.upload(upload_id), query)

    return router


def _uploads(request: Request) -> UploadedFiles:
    uploads: UploadedFiles = request.app.state.services.uploads
    return uploads
