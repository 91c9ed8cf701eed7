"""Datastores, and signatures for their containers."""

from typing import Annotated

from fastapi import Depends, Query, Request, Response

from control_plane.features.datastores.schemas import DatastoreBody, DatastoreRequest, SecretsBody, SecretsRequest
from control_plane.features.datastores.service import Datastores
from control_plane.resources.paging import ListBody, list_body
from control_plane.web.authorization import authorized_router
from control_plane.web.caller import RequestCaller
from control_plane.web.openapi_responses import COMMON_ERRORS, CONFLICT_ERRORS
from control_plane.web.paging import NextLink, RequestedPage
from control_plane.web.urls import RequestUrls
from control_plane.web.workspace_path import WORKSPACE, RequestedWorkspace

_DATASTORES = WORKSPACE + "/datastores"
_DATASTORE = _DATASTORES + "/{name}"

router = authorized_router("datastores", COMMON_ERRORS)


def _service(request: Request) -> Datastores:
    service: Datastores = request.app.state.services.datastores
    return service


Service = Annotated[Datastores, Depends(_service)]


@router.get(_DATASTORES, response_model_exclude_none=True)
def list_datastores(
    caller: RequestCaller,
    path: RequestedWorkspace,
    page: RequestedPage,
    next_link: NextLink,
    urls: RequestUrls,
    datastores: Service,
    is_default: Annotated[bool | None, Query(alias="isDefault")] = None,
    ascending: Annotated[bool, Query(alias="orderByAsc", description="Order by name.")] = True,
) -> ListBody[DatastoreBody]:
    """The datastores that exist in every workspace come first."""
    found = datastores.list(caller, path, page, is_default=is_default, ascending=ascending)
    return list_body(found, lambda datastore: DatastoreBody.of(datastore, urls), next_link)


@router.get(_DATASTORE, response_model_exclude_none=True)
def get_datastore(
    caller: RequestCaller, path: RequestedWorkspace, name: str, urls: RequestUrls, datastores: Service
) -> DatastoreBody:
    return DatastoreBody.of(datastores.get(caller, path, name), urls)


@router.put(
    _DATASTORE,
    response_model_exclude_none=True,
    responses={**CONFLICT_ERRORS, 201: {"model": DatastoreBody, "description": "Created."}},
)
def put_datastore(
    caller: RequestCaller,
    path: RequestedWorkspace,
    name: str,
    body: DatastoreRequest,
    urls: RequestUrls,
    response: Response,
    datastores: Service,
    skip_validation: Annotated[
        bool, Query(alias="skipValidation", description="Accepted; there is nothing to validate.")
    ] = False,
) -> DatastoreBody:
    """Create a datastore, which is a folder of the platform's object store."""
    datastore, is_new = datastores.put(caller, path, name, body.to_spec())
    response.status_code = 201 if is_new else 200
    return DatastoreBody.of(datastore, urls)


@router.delete(
    _DATASTORE, response_class=Response, responses={**CONFLICT_ERRORS, 204: {"description": "It was not there."}}
)
def delete_datastore(caller: RequestCaller, path: RequestedWorkspace, name: str, datastores: Service) -> Response:
    """Delete the datastore and keep the files. The datastores of every workspace stay."""
    return Response(status_code=200 if datastores.delete(caller, path, name) else 204)


@router.post(_DATASTORE + "/listSecrets")
def list_datastore_secrets(
    caller: RequestCaller,
    path: RequestedWorkspace,
    name: str,
    datastores: Service,
    body: SecretsRequest | None = None,
) -> SecretsBody:
    """A signature for the datastore's container: for a reader to read and list, for a contributor to write too."""
    asked = body or SecretsRequest()
    token = datastores.shared_access_signature(
        caller, path, name, is_expirable=asked.expirable_secret, hours=asked.expire_after_hours
    )
    return SecretsBody(sas_token=token)
