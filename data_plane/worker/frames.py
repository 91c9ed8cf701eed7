"""Frames: the messages between a model worker and the platform on a Unix stream socket, the same in both directions.

A frame is a 24-byte header, a JSON object (meta) and bytes to which the meta refers (body). Both ends import this file:
the worker inside a model's environment, and the platform. Sans-IO: bytes in, frames out.
"""

import json
import struct
from typing import Any, Dict, List, NamedTuple, Optional, Tuple, Union

VERSION = 1

HELLO = 1
STATUS = 2
SCORE = 3
RESULT = 4
ERROR = 5
PING = 6
PONG = 7
DRAIN = 8

MAX_META_BYTES = 16 * 2**20
MAX_BODY_BYTES = 2 * 2**30

# The only key of an object that stands for bytes (base64) or a timestamp (nanoseconds since 1970) in a tagged column.
BYTES_TAG = "\0bytes"
TIMESTAMP_TAG = "\0moment"
DATETIME_TAG = "\0datetime"

HEADER = struct.Struct("<2sBBIQQ")
_MAGIC = b"MY"
_ALIGNMENT = 8

Buffer = Union[bytes, bytearray, memoryview]


class ProtocolError(Exception):
    """The other end broke the protocol; the connection is of no further use."""


class Frame(NamedTuple):
    kind: int
    request_id: int
    meta: bytes
    body: bytearray
    """Aligned and writable, so that arrays can lie over the body without a copy."""


class FrameReader:
    """Assembles frames from pieces of a byte stream, and allocates only for bytes that have arrived."""

    def __init__(self, max_meta_bytes: int = MAX_META_BYTES, max_body_bytes: int = MAX_BODY_BYTES) -> None:
        self._limits = (max_meta_bytes, max_body_bytes)
        self._start_frame()

    @property
    def is_within_frame(self) -> bool:
        """Whether a part of a frame has arrived, and the rest has not."""
        return bool(self._head)

    def _start_frame(self) -> None:
        self._header: Optional[Tuple[int, int, int, int]] = None
        self._head = bytearray()
        self._body = bytearray()

    def feed(self, data: Buffer) -> List[Frame]:
        """Return the frames that `data` completes. Raises ProtocolError."""
        frames: List[Frame] = []
        rest = memoryview(data)
        # Small frames arrive in one piece: no buffer collects the parts.
        while not self._head and len(rest) >= HEADER.size:
            kind, request_id, meta_length, body_length = unpack_header(rest, *self._limits)
            body_start = HEADER.size + meta_length
            end = body_start + body_length
            if len(rest) < end:
                break
            frames.append(
                Frame(kind, request_id, bytes(rest[HEADER.size : body_start]), bytearray(rest[body_start:end]))
            )
            rest = rest[end:]
        while rest:
            rest = self._take(rest)
            frame = self._completed()
            if frame is not None:
                frames.append(frame)
        return frames

    def _take(self, rest: memoryview) -> memoryview:
        if self._header is None:
            rest = _move(rest, self._head, HEADER.size)
            if len(self._head) < HEADER.size:
                return rest
            self._header = unpack_header(self._head, *self._limits)
        _, _, meta_length, body_length = self._header
        rest = _move(rest, self._head, HEADER.size + meta_length)
        return _move(rest, self._body, body_length)

    def _completed(self) -> Optional[Frame]:
        if self._header is None:
            return None
        kind, request_id, meta_length, body_length = self._header
        if len(self._head) < HEADER.size + meta_length or len(self._body) < body_length:
            return None
        frame = Frame(kind, request_id, bytes(self._head[HEADER.size :]), self._body)
        self._start_frame()
        return frame


def _move(source: memoryview, target: bytearray, wanted: int) -> memoryview:
    missing = wanted - len(target)
    target += source[:missing]
    return source[missing:]


class Body:
    """Collects the buffers of a frame, with positions."""

    def __init__(self) -> None:
        self.buffers: List[Buffer] = []
        self.length = 0

    def add(self, buffer: Buffer) -> Tuple[int, int]:
        """Append a buffer and return its [offset, length] for the meta."""
        padding = -self.length % _ALIGNMENT
        if padding:
            self.buffers.append(bytes(padding))
            self.length += padding
        place = (self.length, len(buffer))
        self.buffers.append(buffer)
        self.length += len(buffer)
        return place


def pack(kind: int, request_id: int, meta: bytes, body: Optional[Body] = None) -> List[Buffer]:
    """Return the frame as buffers to write in order."""
    length = body.length if body is not None else 0
    head = HEADER.pack(_MAGIC, VERSION, kind, request_id, len(meta), length) + meta
    return [head] if body is None else [head, *body.buffers]


def pack_json(kind: int, request_id: int, meta: Dict[str, Any]) -> List[Buffer]:
    return pack(kind, request_id, json.dumps(meta).encode())


def unpack_header(
    head: Buffer, max_meta_bytes: int = MAX_META_BYTES, max_body_bytes: int = MAX_BODY_BYTES
) -> Tuple[int, int, int, int]:
    """Check the header at the beginning of `head`; return (kind, request id, length of the meta, length of the body).

    Raises ProtocolError.
    """
    magic, version, kind, request_id, meta_length, body_length = HEADER.unpack_from(head)
    if magic != _MAGIC:
        raise ProtocolError("a frame must begin with the letters MY")
    if version != VERSION:
        raise ProtocolError(
            "the frame has protocol version {}, and this end speaks version {}".format(version, VERSION)
        )
    if meta_length > max_meta_bytes:
        raise ProtocolError("a meta of {} bytes is over the limit of {}".format(meta_length, max_meta_bytes))
    if body_length > max_body_bytes:
        raise ProtocolError("a body of {} bytes is over the limit of {}".format(body_length, max_body_bytes))
    return kind, request_id, meta_length, body_length


def unpack_meta(meta: bytes) -> Dict[str, Any]:
    try:
        document = json.loads(meta.decode("utf-8"))
    except (ValueError, RecursionError):
        raise ProtocolError("the meta of a frame is not JSON") from None
    if not isinstance(document, dict):
        raise ProtocolError("the meta of a frame is not a JSON object")
    return document
