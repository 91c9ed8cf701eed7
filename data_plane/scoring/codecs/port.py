"""The port to a scoring protocol: bytes to a payload for the model, and the model's result to bytes again.

A codec knows no HTTP status, no connection and no process, so that a gateway, a pod and a gRPC server can share it.
"""

import sys
from collections.abc import Mapping
from typing import Any, Generic, NamedTuple, Protocol, TypeVar

from data_plane.scoring.errors import ScoringError
from data_plane.scoring.loaded_bundle import LoadedBundle
from data_plane.scoring.payload.values import Payload, Result
from data_plane.scoring.signature import Enforced

Headers = list[tuple[bytes, bytes]]

ReplyContext = TypeVar("ReplyContext")
"""The part of a request that the answer depends on. Every codec has a type of its own."""


class RequestContent(NamedTuple):
    """The parts of a request that protocols read."""

    body: bytes
    content_type: bytes | None
    json_length: bytes | None
    """Bytes of JSON at the beginning of the body (`Inference-Header-Content-Length`); binary data follows."""
    path: str
    """The path below the endpoint, without a leading slash."""
    request_id: str


class Decoded(NamedTuple, Generic[ReplyContext]):
    payload: Payload
    params: dict[str, Any] | None
    """None for a model that declares no params."""
    extra_columns: tuple[str, ...]
    """Columns of the body that the signature does not declare: the model does not get them."""
    reply_context: ReplyContext
    without_effect: tuple[str, ...] = ()
    """Further fields of the body that change nothing: unknown keys, and params that the model does not declare."""


class Encoded(NamedTuple):
    body: bytes
    headers: Headers
    """A new list, with `content-type` and headers that belong to the protocol; the caller may add more."""


class RequestCodec(Protocol[ReplyContext]):
    def decode(self, content: RequestContent, bundle: LoadedBundle) -> Decoded[ReplyContext]:
        """Read the body and enforce the model's signature. Raises ScoringError."""

    def encode(self, result: Result, reply_context: ReplyContext, max_bytes: int = sys.maxsize) -> Encoded:
        """Write the result as callers of this protocol expect it.

        Raises ScoringError for an unknown output, for a body of about `max_bytes` or more, and for JSON of the worker
        that is not valid.
        """

    def encode_error(self, error: ScoringError) -> Encoded:
        """Write the error as callers of this protocol expect it. The status is the transport's business."""


def unused_fields(document: Mapping[str, Any], known: frozenset[str], enforced: Enforced) -> tuple[str, ...]:
    """Return the fields of a JSON body that neither the protocol nor the model's params read."""
    if document.keys() <= known and not enforced.extra_params:
        return ()
    return (*(name for name in document if name not in known), *(f"params.{name}" for name in enforced.extra_params))


JSON = (b"content-type", b"application/json")


def encoded_json(body: bytes) -> Encoded:
    return Encoded(body, [JSON])
