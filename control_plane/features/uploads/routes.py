"""Signed URLs that take files. A signed URL needs no admin token, and a file is never complete in memory."""

from functools import partial
from typing import Annotated
from uuid import UUID

from anyio import CapacityLimiter, to_thread
from fastapi import Depends, Header, Request, Response
from fastapi.responses import StreamingResponse
from starlette.requests import ClientDisconnect

from control_plane.features.uploads.service import Uploads
from control_plane.resources.uploads.receipt import receive_body
from control_plane.resources.uploads.spool import SpooledBody
from control_plane.resources.uploads.upload import SentPart
from control_plane.web.authorization import authorized_router
from control_plane.web.caller import RequestCaller
from control_plane.web.openapi_responses import SIGNED_URL_ERRORS
from modelyard.core.errors import InvalidRequest, ResourceNotFound

RECEIVED = "x-modelyard-received"
_SHA256 = "x-modelyard-sha256"
_FILE = "/uploads/{upload_id}/{path:path}"
_RECEIVED_HEADER = {
    "headers": {RECEIVED: {"description": "Bytes of the file that have arrived.", "schema": {"type": "integer"}}}
}

router = authorized_router("uploads", SIGNED_URL_ERRORS)
# Threads that store received files.
_storers = CapacityLimiter(16)


def _verified(caller: RequestCaller, upload_id: UUID, request: Request) -> Uploads:
    uploads: Uploads = request.app.state.services.uploads
    uploads.check_signature(caller, upload_id, request.query_params)
    if "comp" in request.query_params:
        raise InvalidRequest(
            "blocks (comp=…) are not supported: send a complete file, or continue a file with Content-Range"
        )
    return uploads


VerifiedUploads = Annotated[Uploads, Depends(_verified)]
Sha256 = Annotated[str | None, Header(alias=_SHA256, description="SHA-256 of the whole file, in hex.")]


@router.put(
    _FILE,
    status_code=201,
    response_class=Response,
    responses={201: {"description": "The file, or the rest of the file, has arrived.", **_RECEIVED_HEADER}},
    openapi_extra={
        "requestBody": {"content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}}
    },
)
async def put_file(
    caller: RequestCaller,
    upload_id: UUID,
    path: str,
    request: Request,
    uploads: VerifiedUploads,
    sha256: Sha256 = None,
    content_range: Annotated[
        str | None, Header(description="To continue a file: bytes <first>-<last>/<total>.")
    ] = None,
) -> Response:
    """Send a file, or with Content-Range the rest of a file whose first part has arrived."""
    part = SentPart.of_headers(content_range, request.headers.get("content-length"), sha256)
    with uploads.slots.take(upload_id):
        room = await to_thread.run_sync(uploads.room, upload_id, path, part)
        body = await receive_body(request.stream(), partial(SpooledBody, uploads.spool, room), ClientDisconnect)
        try:
            store = partial(uploads.store_part, caller, upload_id, path, part, body)
            receipt = await to_thread.run_sync(store, limiter=_storers)
        finally:
            body.close()
    if receipt.is_interrupted:
        raise ClientDisconnect
    return Response(status_code=201, headers={RECEIVED: str(receipt.received)})


@router.head(
    _FILE,
    response_class=Response,
    responses={200: {"description": "A part of the file has arrived.", **_RECEIVED_HEADER}},
)
def head_file(
    caller: RequestCaller, upload_id: UUID, path: str, uploads: VerifiedUploads, sha256: Sha256 = None
) -> Response:
    """The number of received bytes of a file.

    With a bearer token of a reader of the workspace, content that the workspace has registered need not be sent again.
    """
    received = uploads.received(caller, upload_id, path, sha256)
    if received is None:
        return Response(status_code=404)
    return Response(headers={RECEIVED: str(received)})


@router.get(
    _FILE,
    response_class=StreamingResponse,
    responses={
        200: {"description": "The part of the file that has arrived.", "content": {"application/octet-stream": {}}}
    },
)
def get_file(caller: RequestCaller, upload_id: UUID, path: str, uploads: VerifiedUploads) -> StreamingResponse:
    content = uploads.read(caller, upload_id, path)
    if content is None:
        raise ResourceNotFound(f"no part of {path!r} has arrived yet")
    return StreamingResponse(content, media_type="application/octet-stream")
