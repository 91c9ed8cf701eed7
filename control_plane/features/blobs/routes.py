"""The Blob routes: the calls of Azure's Blob service that the SDK and azure-storage-blob make.

Azure's parameter `comp` distinguishes the calls of one path and method. The protocol is Azure's, so that the OpenAPI
document leaves the routes out. The web layer writes errors as XML (`control_plane/web/blob_protocol.py`).
"""

import base64
import binascii
import hashlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import Annotated, TypeVar
from urllib.parse import parse_qsl, urlsplit
from uuid import uuid4

from anyio import CapacityLimiter, to_thread
from fastapi import Depends, Request, Response
from fastapi.responses import StreamingResponse
from starlette.requests import ClientDisconnect

from control_plane.features.blobs.blob import ByteRange, Conditions, ContainerAccess, ListQuery
from control_plane.features.blobs.documents import (
    LARGEST_BLOCK_LIST,
    block_list_document,
    page_document,
    read_block_list,
)
from control_plane.features.blobs.errors import BlobConflict, InvalidBlobRequest
from control_plane.features.blobs.headers import blob_headers, metadata_of, properties_of, version_headers
from control_plane.features.blobs.service import Blobs
from control_plane.resources.blob_container import ACCOUNT_SEGMENT
from control_plane.resources.uploads.receipt import receive_body, receive_in_memory
from control_plane.resources.uploads.spool import ReceivedBody, SpooledBody
from control_plane.resources.urls import ResourceUrls
from control_plane.web.authorization import authorized_router
from control_plane.web.caller import RequestCaller
from control_plane.web.urls import RequestUrls
from modelyard.core.domain.caller import Caller
from modelyard.core.errors import PayloadTooLarge

_CONTAINER = f"/{ACCOUNT_SEGMENT}/{{container}}"
_BLOB = _CONTAINER + "/{name:path}"
_XML = "application/xml"
_MOST_LISTED = 5000
_LARGEST_HASHED_RANGE = 4 << 20
_LARGEST_URL = 4096

Result = TypeVar("Result")

router = authorized_router("blobs", {})
# Threads that store received content. Slow stores leave the threads of requests free.
_storers = CapacityLimiter(16)


async def _in_thread(work: Callable[[], Result]) -> Result:
    return await to_thread.run_sync(work)


async def _storing(work: Callable[[], Result]) -> Result:
    return await to_thread.run_sync(work, limiter=_storers)


def _service(request: Request) -> Blobs:
    service: Blobs = request.app.state.services.blobs
    return service


Service = Annotated[Blobs, Depends(_service)]


async def _access(caller: RequestCaller, container: str, request: Request, blobs: Service) -> ContainerAccess:
    query = dict(request.query_params)
    return await _in_thread(partial(blobs.access, caller, container, query))


Access = Annotated[ContainerAccess, Depends(_access)]


# Containers.


@router.get(_CONTAINER, include_in_schema=False)
async def get_blob_container(
    caller: RequestCaller, container: str, request: Request, access: Access, blobs: Service, urls: RequestUrls
) -> Response:
    """List the blobs (comp=list), or answer the properties of the container."""
    if request.query_params.get("comp") != "list":
        access.require("rl")
        return _container_properties(access)
    return await _list(caller, container, "", request, access, blobs, urls)


async def _list(
    caller: Caller,
    container: str,
    folder: str,
    request: Request,
    access: ContainerAccess,
    blobs: Blobs,
    urls: ResourceUrls,
) -> Response:
    """List the blobs of the container, or of a folder in the container by their names below the folder.

    Azure's SDK takes the last part of a code's URI for the name of a blob, and all parts before for the container.
    """
    parameters = request.query_params
    marker = parameters.get("marker", "")
    query = ListQuery(
        parameters.get("prefix", ""),
        parameters.get("delimiter", ""),
        _read_marker(marker),
        _most_listed(parameters.get("maxresults")),
    )

    def listed() -> bytes:
        page = blobs.list(caller, access, query.below(folder)).within(folder)
        return page_document(
            page,
            query,
            container_url=urls.blob_container(container),
            container=container,
            marker=marker,
            next_marker=_marker(page.next_after),
            details=parameters.get("include", ""),
        )

    return Response(await _in_thread(listed), media_type=_XML)


@router.head(_CONTAINER, include_in_schema=False)
async def head_blob_container(access: Access) -> Response:
    access.require("rl")
    return _container_properties(access)


@router.put(_CONTAINER, include_in_schema=False)
async def put_blob_container(access: Access) -> Response:
    raise BlobConflict("ContainerAlreadyExists", "the container exists: each datastore has one")


def _container_properties(access: ContainerAccess) -> Response:
    return Response(
        headers={
            "ETag": f'"0x{access.workspace.key:x}"',
            "Last-Modified": access.workspace.authorship.created_at.strftime("%a, %d %b %Y %H:%M:%S GMT"),
            "x-ms-lease-status": "unlocked",
            "x-ms-lease-state": "available",
            "x-ms-has-immutability-policy": "false",
            "x-ms-has-legal-hold": "false",
        }
    )


def _most_listed(text: str | None) -> int:
    if text is None:
        return _MOST_LISTED
    if not text.isdecimal() or len(text) > 18 or int(text) < 1:
        raise InvalidBlobRequest("OutOfRangeQueryParameterValue", f"maxresults is a number from 1, not {text[:50]!r}")
    return min(int(text), _MOST_LISTED)


def _marker(name: str | None) -> str:
    return "" if name is None else base64.urlsafe_b64encode(name.encode()).decode()


def _read_marker(marker: str) -> str:
    try:
        name = base64.b64decode(marker.encode(), altchars=b"-_", validate=True).decode()
        if any(letter < " " for letter in name):
            raise ValueError(name)
        return name
    except (binascii.Error, ValueError):
        raise InvalidBlobRequest("OutOfRangeInput", "the marker is not one of this platform's: list again") from None


# Blobs.


@router.head(_BLOB, include_in_schema=False)
async def head_container_blob(
    caller: RequestCaller, name: str, request: Request, access: Access, blobs: Service
) -> Response:
    blob = await _in_thread(partial(blobs.get, caller, access, name))
    Conditions.of_headers(request.headers).check_read(blob)
    return Response(headers={**blob_headers(blob, is_whole=True), "Content-Length": str(blob.size)})


@router.get(_BLOB, include_in_schema=False)
async def get_container_blob(
    caller: RequestCaller,
    container: str,
    name: str,
    request: Request,
    access: Access,
    blobs: Service,
    urls: RequestUrls,
) -> Response:
    """The content, or a range of the content; with comp=blocklist the blocks; with comp=list the blobs of a folder."""
    component = request.query_params.get("comp")
    if component == "list":
        return await _list(caller, container, f"{name.rstrip('/')}/", request, access, blobs, urls)
    if component == "blocklist":
        return await _block_list(caller, name, request, access, blobs)
    if component not in (None, "metadata"):
        raise _unsupported(component)
    blob = await _in_thread(partial(blobs.get, caller, access, name))
    Conditions.of_headers(request.headers).check_read(blob)
    if component == "metadata":
        return Response(headers=blob_headers(blob, is_whole=True))
    part = ByteRange.requested(request.headers, blob.size)
    start, length = (0, blob.size) if part is None else (part.start, part.length)
    content = await _in_thread(partial(blobs.content, caller, blob, start=start, length=length))
    headers = {**blob_headers(blob, is_whole=part is None), "Content-Length": str(length)}
    if part is None:
        return StreamingResponse(content, headers=headers)
    headers["Content-Range"] = f"bytes {start}-{start + length - 1}/{blob.size}"
    if request.headers.get("x-ms-range-get-content-md5", "").lower() == "true":
        if length > _LARGEST_HASHED_RANGE:
            raise InvalidBlobRequest("OutOfRangeInput", "the MD5 of a range is limited to 4 MiB: ask for less")
        whole = await _in_thread(lambda: b"".join(content))
        headers["Content-MD5"] = base64.b64encode(hashlib.md5(whole, usedforsecurity=False).digest()).decode()
        return Response(whole, 206, headers)
    return StreamingResponse(content, 206, headers)


async def _block_list(
    caller: RequestCaller, name: str, request: Request, access: ContainerAccess, blobs: Blobs
) -> Response:
    kinds = request.query_params.get("blocklisttype", "committed").lower()
    if kinds not in ("committed", "uncommitted", "all"):
        raise InvalidBlobRequest("InvalidQueryParameterValue", "blocklisttype is committed, uncommitted or all")
    blob, uncommitted = await _in_thread(partial(blobs.blocks, caller, access, name))
    headers = {} if blob is None else {**version_headers(blob), "x-ms-blob-content-length": str(blob.size)}
    return Response(block_list_document(blob, uncommitted, kinds), headers=headers, media_type=_XML)


@router.put(_BLOB, include_in_schema=False)
async def put_container_blob(
    caller: RequestCaller, name: str, request: Request, access: Access, blobs: Service
) -> Response:
    """Write a blob, a block or a block list, or change metadata or properties; with x-ms-copy-source copy a blob."""
    component = request.query_params.get("comp")
    write = {
        None: _copy_blob if "x-ms-copy-source" in request.headers else _put_blob,
        "block": _put_block,
        "blocklist": _put_block_list,
        "metadata": _set_metadata,
        "properties": _set_properties,
    }.get(component)
    if write is None:
        raise _unsupported(component)
    return await write(caller, name, request, access, blobs)


@router.delete(_BLOB, include_in_schema=False)
async def delete_container_blob(
    caller: RequestCaller, name: str, request: Request, access: Access, blobs: Service
) -> Response:
    conditions = Conditions.of_headers(request.headers)
    await _in_thread(partial(blobs.delete, caller, access, name, conditions))
    return Response(status_code=202)


async def _put_blob(
    caller: RequestCaller, name: str, request: Request, access: ContainerAccess, blobs: Blobs
) -> Response:
    kind = request.headers.get("x-ms-blob-type", "BlockBlob")
    if kind.lower() != "blockblob":
        raise InvalidBlobRequest("InvalidBlobType", f"{kind[:50]!r} is not supported: blobs are block blobs here")
    _check_encoding(request)
    headers, metadata = properties_of(request.headers, is_content=True), metadata_of(request.headers)
    conditions = Conditions.of_headers(request.headers)
    async with _received(caller, name, request, access, blobs, algorithm="md5") as body:
        content_md5 = request.headers.get("content-md5") or request.headers.get("x-ms-blob-content-md5")
        write = partial(blobs.put, caller, access, name, body, headers=headers, metadata=metadata)
        blob = await _storing(partial(write, content_md5=content_md5, conditions=conditions))
    return _written(201, {**version_headers(blob), "Content-MD5": blob.headers["content-md5"]})


@asynccontextmanager
async def _received(
    caller: RequestCaller,
    name: str,
    request: Request,
    access: ContainerAccess,
    blobs: Blobs,
    *,
    algorithm: str | None,
    block_id: str | None = None,
) -> AsyncIterator[ReceivedBody]:
    """Yield the whole body, which is in memory or in the spool for the length of the block."""
    length = _length(request)
    with blobs.slots.take(access.base), blobs.memory.take(length) as is_in_memory:
        room = await _in_thread(partial(blobs.room, caller, access, name, length, block_id))
        body: ReceivedBody
        if is_in_memory:
            body = await receive_in_memory(request.stream(), length, algorithm, ClientDisconnect)
        else:
            make_body = partial(SpooledBody, blobs.spool, room, algorithm)
            body = await receive_body(request.stream(), make_body, ClientDisconnect)
        try:
            if body.is_interrupted:
                raise ClientDisconnect
            yield body
        finally:
            body.close()


async def _put_block(
    caller: RequestCaller, name: str, request: Request, access: ContainerAccess, blobs: Blobs
) -> Response:
    _check_encoding(request)
    if "x-ms-copy-source" in request.headers:
        raise InvalidBlobRequest("UnsupportedHeader", "blocks cannot be copied from a URL here: send the block")
    block_id, content_md5 = request.query_params.get("blockid", ""), request.headers.get("content-md5")
    algorithm = None if content_md5 is None else "md5"
    async with _received(caller, name, request, access, blobs, algorithm=algorithm, block_id=block_id) as body:
        await _storing(partial(blobs.put_block, caller, access, name, block_id, body, content_md5=content_md5))
    return _written(201, {} if content_md5 is None else {"Content-MD5": content_md5})


async def _put_block_list(
    caller: RequestCaller, name: str, request: Request, access: ContainerAccess, blobs: Blobs
) -> Response:
    headers, metadata = properties_of(request.headers, is_content=False), metadata_of(request.headers)
    conditions = Conditions.of_headers(request.headers)
    document = await _bounded_body(request)
    references = await _in_thread(partial(read_block_list, document))
    commit = partial(blobs.commit, caller, access, name, references, headers=headers, metadata=metadata)
    blob = await _storing(partial(commit, conditions=conditions))
    return _written(201, version_headers(blob))


async def _set_metadata(
    caller: RequestCaller, name: str, request: Request, access: ContainerAccess, blobs: Blobs
) -> Response:
    metadata, conditions = metadata_of(request.headers), Conditions.of_headers(request.headers)
    blob = await _in_thread(partial(blobs.set_metadata, caller, access, name, metadata, conditions))
    return _written(200, version_headers(blob))


async def _set_properties(
    caller: RequestCaller, name: str, request: Request, access: ContainerAccess, blobs: Blobs
) -> Response:
    headers = properties_of(request.headers, is_content=False)
    conditions = Conditions.of_headers(request.headers)
    blob = await _in_thread(partial(blobs.set_headers, caller, access, name, headers, conditions))
    return _written(200, version_headers(blob))


async def _copy_blob(
    caller: RequestCaller, name: str, request: Request, access: ContainerAccess, blobs: Blobs
) -> Response:
    url = request.headers["x-ms-copy-source"][:_LARGEST_URL]
    metadata, conditions = metadata_of(request.headers), Conditions.of_headers(request.headers)
    query = dict(parse_qsl(_query_of(url)))
    copy = partial(blobs.copy, caller, access, name, url, query, metadata=metadata)
    blob = await _storing(partial(copy, conditions=conditions))
    return _written(202, {**version_headers(blob), "x-ms-copy-id": str(uuid4()), "x-ms-copy-status": "success"})


def _query_of(url: str) -> str:
    try:
        return urlsplit(url).query
    except ValueError:
        raise InvalidBlobRequest("InvalidHeaderValue", "x-ms-copy-source is not a URL") from None


def _written(status: int, headers: dict[str, str]) -> Response:
    return Response(status_code=status, headers={**headers, "x-ms-request-server-encrypted": "false"})


def _length(request: Request) -> int:
    text = request.headers.get("content-length", "")
    return int(text) if text.isdecimal() and len(text) < 19 else 0


def _check_encoding(request: Request) -> None:
    if "x-ms-structured-body" in request.headers:
        raise InvalidBlobRequest("UnsupportedHeader", "structured bodies are not supported: send the content itself")


async def _bounded_body(request: Request) -> bytes:
    pieces, size = list[bytes](), 0
    async for piece in request.stream():
        size += len(piece)
        if size > LARGEST_BLOCK_LIST:
            raise PayloadTooLarge(f"the block list is over {LARGEST_BLOCK_LIST} bytes")
        pieces.append(piece)
    return b"".join(pieces)


def _unsupported(component: str | None) -> InvalidBlobRequest:
    return InvalidBlobRequest(
        "InvalidQueryParameterValue", f"comp={str(component)[:50]!r} is not supported for blobs of this platform"
    )
