"""Frames: how a model worker and the platform talk over a Unix stream socket, the same in both directions.

A frame is a 24-byte header, a JSON object that says what it is (meta), and the bytes it speaks of (body). Both ends
import this file: the worker inside a model's environment, and the platform. Sans-IO: bytes in, frames out.
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

LARGEST_META = 16 * 2**20
LARGEST_BODY = 2 * 2**30

# The only key of an object that stands for bytes (base64) or a moment (nanoseconds since 1970) in a tagged column.
BYTES_TAG = "\0bytes"
MOMENT_TAG = "\0moment"
DATETIME_TAG = "\0datetime"

HEADER = struct.Struct("<2sBBIQQ")
_MAGIC = b"MY"
_ALIGNMENT = 8

Buffer = Union[bytes, bytearray, memoryview]


class ProtocolError(Exception):
    """The other end does not speak this protocol; nothing it sends from here on can be understood."""


class Frame(NamedTuple):
    kind: int
    request_id: int
    meta: bytes
    body: bytearray
    """Starts at an aligned address and may be written to: arrays are made over it without a copy."""


class FrameReader:
    """Puts a byte stream together into frames, however it was cut. Holds no more than has arrived."""

    def __init__(self) -> None:
        self._start_frame()

    def _start_frame(self) -> None:
        self._header: Optional[Tuple[int, int, int, int]] = None
        self._head = bytearray()
        self._body = bytearray()

    def feed(self, data: Buffer) -> List[Frame]:
        """The frames that `data` completes. Raises ProtocolError; the connection is then of no more use."""
        frames: List[Frame] = []
        rest = memoryview(data)
        while True:
            rest = self._take(rest)
            frame = self._completed()
            if frame is None:
                return frames
            frames.append(frame)

    def _take(self, rest: memoryview) -> memoryview:
        if self._header is None:
            rest = _move(rest, self._head, HEADER.size)
            if len(self._head) < HEADER.size:
                return rest
            self._header = unpack_header(self._head)
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
    """Collects the buffers of one frame and remembers where each lies."""

    def __init__(self) -> None:
        self.buffers: List[Buffer] = []
        self.length = 0

    def add(self, buffer: Buffer) -> Tuple[int, int]:
        """Append a buffer of bytes; returns its [offset, length] for the meta."""
        padding = -self.length % _ALIGNMENT
        if padding:
            self.buffers.append(bytes(padding))
            self.length += padding
        place = (self.length, len(buffer))
        self.buffers.append(buffer)
        self.length += len(buffer)
        return place


def pack(kind: int, request_id: int, meta: bytes, body: Optional[Body] = None) -> List[Buffer]:
    """The frame, as buffers to be written one after the other."""
    length = body.length if body is not None else 0
    head = HEADER.pack(_MAGIC, VERSION, kind, request_id, len(meta), length) + meta
    return [head] if body is None else [head, *body.buffers]


def pack_json(kind: int, request_id: int, meta: Dict[str, Any]) -> List[Buffer]:
    return pack(kind, request_id, json.dumps(meta).encode())


def unpack_header(head: Buffer) -> Tuple[int, int, int, int]:
    """(kind, request id, length of the meta, length of the body) of a header that can be trusted."""
    magic, version, kind, request_id, meta_length, body_length = HEADER.unpack(head)
    if magic != _MAGIC:
        raise ProtocolError("not a frame: it does not begin with the letters MY")
    if version != VERSION:
        raise ProtocolError("protocol version {} is not {}".format(version, VERSION))
    if meta_length > LARGEST_META:
        raise ProtocolError("a meta of {} bytes is over the limit of {}".format(meta_length, LARGEST_META))
    if body_length > LARGEST_BODY:
        raise ProtocolError("a body of {} bytes is over the limit of {}".format(body_length, LARGEST_BODY))
    return kind, request_id, meta_length, body_length


def unpack_meta(meta: bytes) -> Dict[str, Any]:
    try:
        document = json.loads(meta.decode("utf-8"))
    except (ValueError, RecursionError):
        raise ProtocolError("the meta of a frame is not JSON") from None
    if not isinstance(document, dict):
        raise ProtocolError("the meta of a frame is not a JSON object")
    return document
