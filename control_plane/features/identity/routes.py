"""The token route in the form of a managed identity of Azure App Service, for an unchanged DefaultAzureCredential."""

from typing import Annotated

from fastapi import Depends, Query, Request, Response

from control_plane.features.identity.schemas import IdentityTokenBody
from control_plane.features.identity.service import IdentityTokens
from control_plane.web.authentication import IDENTITY_PATH
from control_plane.web.authorization import authorized_router
from control_plane.web.caller import RequestCaller
from control_plane.web.known_credentials import Identity
from control_plane.web.openapi_responses import COMMON_ERRORS

router = authorized_router("identity", COMMON_ERRORS)


async def _service(request: Request) -> IdentityTokens:
    service: IdentityTokens = request.app.state.services.identity_tokens
    return service


@router.get(IDENTITY_PATH)
async def get_identity_token(
    request: Request,
    response: Response,
    caller: RequestCaller,
    tokens: Annotated[IdentityTokens, Depends(_service)],
    resource: Annotated[str, Query(max_length=2048)] = "",
) -> IdentityTokenBody:
    """A token that expires, with the subject and the roles of the token in the header. It ends with that token.

    Answers clients on the platform's own machine, unless MODELYARD_IDENTITY_CLIENTS allows all.
    """
    parent: Identity = request.state.parent
    assert parent.fingerprint is not None, "the header's token can be a parent"
    issued = tokens.issue(caller, parent.fingerprint, parent.expires_at)
    response.headers["Cache-Control"] = "no-store"
    return IdentityTokenBody(access_token=issued.text, expires_on=str(issued.expires_at), resource=resource)
