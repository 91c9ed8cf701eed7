"""Every exception becomes a canonical error body. A fault of the platform is logged in full and answered in a line."""

import logging
from uuid import uuid4

from fastapi.exceptions import RequestValidationError
from sqlalchemy.exc import DataError, DBAPIError, IntegrityError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from control_plane.web.error_response import error_response, platform_error_response
from control_plane.web.invalid_fields import invalid_field
from control_plane.web.unsupported_nouns import unsupported_noun
from modelyard.core.errors import Conflict, InvalidRequest, PlatformError, Unavailable

_log = logging.getLogger(__name__)

_CODES = {404: "ResourceNotFound", 405: "MethodNotAllowed", 400: "InvalidRequestContent"}
_SENTENCES = {
    400: "the body is not readable JSON",
    404: "there is nothing at this path; GET /openapi.json lists the paths",
    405: "this path does not take this method; GET /openapi.json lists the methods of each path",
}
_NOT_FOUND, _METHOD_NOT_ALLOWED = 404, 405
_INTERNAL_SERVER_ERROR = 500


class ErrorMiddleware:
    """The outermost layer. Sets `request.state.request_id`, and x-ms-request-id in every response."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = str(uuid4())
        scope = {**scope, "state": {**scope.get("state", {}), "request_id": request_id}}
        started = False

        async def send_with_request_id(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                MutableHeaders(scope=message)["x-ms-request-id"] = request_id
            await send(message)

        try:
            await self._app(scope, receive, send_with_request_id)
        except ClientDisconnect:
            return
        except Exception as error:  # noqa: BLE001 - the outermost layer answers every exception
            response = _response(error, scope, request_id)
            if not started:
                await response(scope, receive, send_with_request_id)


def _response(error: Exception, scope: Scope, request_id: str) -> Response:
    known = _as_platform_error(error)
    if known is not None:
        if known.status >= _INTERNAL_SERVER_ERROR:
            _log.warning("%s %s: %s", scope["method"], scope["path"], error)
        return platform_error_response(known)
    _log.error("%s %s failed, request %s", scope["method"], scope["path"], request_id, exc_info=error)
    sentence = f"the platform failed to handle the request; the log of the control plane has the details: {request_id}"
    return error_response(_INTERNAL_SERVER_ERROR, "InternalServerError", sentence)


def _as_platform_error(error: Exception) -> PlatformError | None:
    match error:
        case PlatformError():
            return error
        case OperationalError() | InterfaceError() | PoolTimeout():
            return Unavailable("the platform's database does not answer; try again in a moment")
        case DataError() | UnicodeEncodeError():
            return InvalidRequest("the request contains a character or number that cannot be stored")
        case IntegrityError():
            return Conflict("another request changed the same resource at the same time; read it and try again")
        case DBAPIError() if error.connection_invalidated:
            return Unavailable("the connection to the platform's database broke; try again in a moment")
    return None


async def answer_http_exception(request: Request, error: Exception) -> Response:
    """Answer an error of the web framework: an unknown route, an unknown method, a body that is not JSON."""
    assert isinstance(error, HTTPException)
    status = error.status_code
    code, sentence = _CODES.get(status, "InvalidRequest"), _SENTENCES.get(status, str(error.detail))
    if status in (_NOT_FOUND, _METHOD_NOT_ALLOWED):
        sentence = unsupported_noun(request.scope["path"]) or sentence
    return error_response(status, code, sentence, headers=error.headers)


async def answer_invalid_body(_: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    details = [invalid_field(entry) for entry in error.errors()]
    sentences = "; ".join(detail["message"] for detail in details)
    return error_response(400, "InvalidRequestContent", f"the request is not valid: {sentences}", details=details)
