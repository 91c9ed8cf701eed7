"""The headers of the Blob service: metadata and properties in requests, and the answers."""

import re
from collections.abc import Mapping
from email.utils import format_datetime

from control_plane.features.blobs.blob import Blob
from control_plane.features.blobs.errors import InvalidBlobRequest
from modelyard.core.domain.storable_text import storable_text

_METADATA = "x-ms-meta-"
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_MOST_METADATA = 8 << 10
_LONGEST_PROPERTY = 1 << 10
_PROPERTIES = ("content-type", "content-encoding", "content-language", "cache-control", "content-disposition")
_MD5 = "content-md5"


def metadata_of(headers: Mapping[str, str]) -> dict[str, str]:
    """Raises InvalidBlobRequest for names that are no identifiers, and for more than 8 KiB."""
    metadata = {
        name[len(_METADATA) :]: storable_text(value.strip(), max_characters=_MOST_METADATA)
        for name, value in headers.items()
        if name.lower().startswith(_METADATA)
    }
    for name in metadata:
        if not _NAME.fullmatch(name):
            raise InvalidBlobRequest("InvalidMetadata", f"{name[:100]!r} is no name of metadata: use letters and '_'")
    if sum(len(name) + len(value) for name, value in metadata.items()) > _MOST_METADATA:
        raise InvalidBlobRequest("MetadataTooLarge", f"the metadata are over {_MOST_METADATA} bytes")
    return metadata


def properties_of(headers: Mapping[str, str], *, is_content: bool) -> dict[str, str]:
    """The properties that a request gives a blob. `is_content`: the body is the content, with a Content-Type."""
    found = {name: headers.get(f"x-ms-blob-{name}", "") for name in (*_PROPERTIES, _MD5)}
    if is_content and not found["content-type"]:
        found["content-type"] = headers.get("content-type", "")
    for name, value in found.items():
        if len(value) > _LONGEST_PROPERTY:
            raise InvalidBlobRequest("InvalidHeaderValue", f"x-ms-blob-{name} is over {_LONGEST_PROPERTY} characters")
    return {name: storable_text(value) for name, value in found.items() if value}


def version_headers(blob: Blob) -> dict[str, str]:
    return {"ETag": blob.etag, "Last-Modified": format_datetime(blob.modified_at, usegmt=True)}


def blob_headers(blob: Blob, *, is_whole: bool) -> dict[str, str]:
    """The headers of an answer with a blob or a range of a blob."""
    headers = {
        **version_headers(blob),
        "Accept-Ranges": "bytes",
        "Content-Type": "application/octet-stream",
        "x-ms-blob-type": "BlockBlob",
        "x-ms-creation-time": format_datetime(blob.modified_at, usegmt=True),
        "x-ms-lease-status": "unlocked",
        "x-ms-lease-state": "available",
        "x-ms-server-encrypted": "false",
        **{name: value for name, value in blob.headers.items() if name != _MD5},
        **{f"{_METADATA}{name}": value for name, value in blob.metadata.items()},
    }
    if _MD5 in blob.headers:
        headers[_MD5 if is_whole else f"x-ms-blob-{_MD5}"] = blob.headers[_MD5]
    return _without_doubles(headers)


def _without_doubles(headers: Mapping[str, str]) -> dict[str, str]:
    """A property of the blob replaces the default under another spelling of the name."""
    spelled = {name.lower(): name for name in headers}
    return {name: value for name, value in headers.items() if spelled[name.lower()] == name}
