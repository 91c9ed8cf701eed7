"""Access tokens of a workspace."""

from typing import Annotated

from fastapi import Depends, Request, Response

from control_plane.features.tokens.schemas import AccessTokenBody, AccessTokenRequest
from control_plane.features.tokens.service import AccessTokens
from control_plane.resources.paging import ListBody, list_body
from control_plane.web.authorization import authorized_router
from control_plane.web.caller import RequestCaller
from control_plane.web.openapi_responses import COMMON_ERRORS, CONFLICT_ERRORS
from control_plane.web.paging import NextLink, RequestedPage
from control_plane.web.workspace_path import WORKSPACE, RequestedWorkspace

_TOKENS = WORKSPACE + "/tokens"
_TOKEN = _TOKENS + "/{name}"

router = authorized_router("tokens", COMMON_ERRORS)


def _service(request: Request) -> AccessTokens:
    service: AccessTokens = request.app.state.services.access_tokens
    return service


Service = Annotated[AccessTokens, Depends(_service)]


@router.get(_TOKENS, response_model_exclude_none=True)
def list_access_tokens(
    caller: RequestCaller, path: RequestedWorkspace, page: RequestedPage, next_link: NextLink, tokens: Service
) -> ListBody[AccessTokenBody]:
    """List the tokens that the owners of the workspace manage, ended tokens too. An extension of Modelyard."""
    return list_body(tokens.list(caller, path, page), AccessTokenBody.of, next_link)


@router.get(_TOKEN, response_model_exclude_none=True)
def get_access_token(caller: RequestCaller, path: RequestedWorkspace, name: str, tokens: Service) -> AccessTokenBody:
    """A token without its text. An extension of Modelyard."""
    return AccessTokenBody.of(tokens.get(caller, path, name))


@router.put(_TOKEN, status_code=201, response_model_exclude_none=True, responses=CONFLICT_ERRORS)
def put_access_token(
    caller: RequestCaller, path: RequestedWorkspace, name: str, body: AccessTokenRequest, tokens: Service
) -> AccessTokenBody:
    """Make a token. The response shows the token's text, once. 409 for the name of an active token.

    An extension of Modelyard.
    """
    made, text = tokens.create(caller, path, name, body.to_spec(path))
    return AccessTokenBody.of(made, text)


@router.delete(_TOKEN, response_class=Response, responses={204: {"description": "There was none."}})
def delete_access_token(caller: RequestCaller, path: RequestedWorkspace, name: str, tokens: Service) -> Response:
    """Revoke a token. Lists go on to show the token as revoked. An extension of Modelyard."""
    return Response(status_code=200 if tokens.revoke(caller, path, name) else 204)
