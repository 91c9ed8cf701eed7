"""Authorization: a route answers 403 to a caller without the role that `required_roles` demands for the route.

The response names the fields of the request without effect.
"""

from collections.abc import Callable, Coroutine, Mapping
from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.routing import APIRoute

from control_plane.web.lenient_json import LenientRequest
from control_plane.web.openapi_responses import Responses
from control_plane.web.warning_headers import add_warnings
from modelyard.core.domain.caller import Caller
from modelyard.core.domain.required_roles import OpenAccess, RequiredRole, role_of_operation
from modelyard.core.domain.resource_ids import workspace_id
from modelyard.core.errors import AuthorizationFailed

_SOME_WORKSPACE = "any workspace"


class AuthorizedRoute(APIRoute):
    """A route that checks the caller's role before the body is read."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()
        required = role_of_operation(self.name)

        async def authorized(request: Request) -> Response:
            _check(request.state.caller, required, request.path_params)
            read = LenientRequest(request.scope, request.receive)
            response = await handle(read)
            await add_warnings(self, read, response)
            return response

        return authorized


def authorized_router(tag: str, responses: Responses) -> APIRouter:
    return APIRouter(tags=[tag], responses=responses, route_class=AuthorizedRoute)


def _check(caller: Caller, required: RequiredRole, path: Mapping[str, str]) -> None:
    if isinstance(required, OpenAccess):
        return
    if "workspace" in path:
        caller.check_role(required, workspace_id(path["subscription"], path["resource_group"], path["workspace"]))
    elif not caller.has_role_somewhere(required):
        # The workspace is known once the service has found the resource; the service checks the role there.
        raise AuthorizationFailed(caller.subject, required, _SOME_WORKSPACE)
