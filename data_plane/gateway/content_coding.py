"""Compressed bodies, both ways: gzip and deflate, with zlib's header or without.

A body is decompressed piece by piece and never beyond the limit, so that a bomb costs no more than the largest body. An
answer is compressed for a caller that accepts compression, where compression pays. Long work runs in a thread.
"""

import asyncio
import re
import zlib
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import NamedTuple

from data_plane.gateway.errors import BodyTooLarge, UnsupportedCoding
from data_plane.gateway.request import Request
from data_plane.gateway.response import Response
from data_plane.scoring.errors import InvalidBody

# By zlib's `wbits`.
_GZIP, _ZLIB, _RAW = 31, 15, -15
_WBITS = {b"gzip": _GZIP, b"deflate": _ZLIB}
_SAME = {b"x-gzip": b"gzip"}
# More codings or gzip members only serve to keep the gateway busy.
_MOST_CODINGS = 3
_MOST_MEMBERS = 10_000
# zlib copies the input behind the end of a stream; a piece bounds that copy.
_PIECE = 64 << 10

# Sizes that take a millisecond or two. A compressed body can grow a thousandfold.
_LARGEST_COMPRESSED_ON_THE_LOOP = 4 << 10
_LARGEST_ANSWER_ON_THE_LOOP = 128 << 10

_WEIGHT = re.compile(rb"0(\.\d*)?|1(\.0*)?")
# A smaller answer fits one packet anyway.
_SMALLEST_TO_COMPRESS = 1 << 10
# The quickest level; slower levels take several times as long for a tenth less.
_LEVEL = 1
_WORTH_IT = 0.9
_VARY = (b"vary", b"accept-encoding")


# Requests.


def codings_of(request: Request) -> Sequence[bytes]:
    """Return the codings of the body in the sender's order. Raises UnsupportedCoding."""
    header = request.list_header(b"content-encoding")
    if header is None:
        return ()
    named = [name.strip() for name in header.lower().split(b",")]
    codings = [_SAME.get(name, name) for name in named if name not in {b"", b"identity"}]
    for coding in codings:
        if coding not in _WBITS:
            raise UnsupportedCoding(coding.decode("latin-1"))
    if len(codings) > _MOST_CODINGS:
        raise UnsupportedCoding(", ".join(coding.decode() for coding in codings))
    return codings


async def decompressed(body: bytes, codings: Sequence[bytes], largest: int) -> bytes:
    """Return the decompressed body. Raises BodyTooLarge beyond `largest` bytes, and InvalidBody."""
    if not codings or not body:
        return body
    if len(codings) > 1 or len(body) > _LARGEST_COMPRESSED_ON_THE_LOOP:
        return await asyncio.to_thread(_decompress, body, codings, largest)
    return _decompress(body, codings, largest)


def _decompress(body: bytes, codings: Sequence[bytes], largest: int) -> bytes:
    for coding in reversed(codings):
        try:
            body = _DECOMPRESS[coding](body, largest)
        except (zlib.error, EOFError) as error:
            raise InvalidBody(
                f"the body is not {coding.decode()}, although its Content-Encoding says so: {error}"
            ) from None
    return body


def _of_gzip(compressed: bytes, largest: int) -> bytes:
    """Join all members of a gzip file. Zeros may pad the last member."""
    parts: list[bytes] = []
    room, rest = largest, memoryview(compressed)
    while _has_more(rest):
        if len(parts) == _MOST_MEMBERS:
            raise EOFError(f"more than {_MOST_MEMBERS} members")
        part, rest = _one(rest, _GZIP, room, largest)
        parts.append(part)
        room -= len(part)
    return b"".join(parts)


def _has_more(rest: memoryview) -> bool:
    return bool(rest) and (rest[0] != 0 or any(rest))


def _of_deflate(compressed: bytes, largest: int) -> bytes:
    """Read zlib's format, HTTP's meaning of deflate, or the raw deflate of some senders."""
    part, rest = _one(memoryview(compressed), _ZLIB if _has_zlib_header(compressed) else _RAW, largest, largest)
    if rest:
        raise EOFError("bytes follow the end of the stream")
    return part


_DECOMPRESS: dict[bytes, Callable[[bytes, int], bytes]] = {b"gzip": _of_gzip, b"deflate": _of_deflate}


def _has_zlib_header(compressed: bytes) -> bool:
    return (
        len(compressed) > 1
        and compressed[0] & 0x0F == zlib.DEFLATED
        and int.from_bytes(compressed[:2], "big") % 31 == 0
    )


def _one(compressed: memoryview, wbits: int, room: int, largest: int) -> tuple[bytes, memoryview]:
    """Return the content of a stream, and the bytes behind the end."""
    stream = zlib.decompressobj(wbits)
    parts: list[bytes] = []
    at = 0
    while at < len(compressed) and not stream.eof:
        # One byte more than the room, because zlib takes 0 for no limit.
        parts.append(stream.decompress(compressed[at : at + _PIECE], room + 1))
        room -= len(parts[-1])
        if room < 0:
            raise BodyTooLarge(largest)
        at += _PIECE
    if not stream.eof:
        raise EOFError("the stream is cut off")
    return b"".join(parts), compressed[min(at, len(compressed)) - len(stream.unused_data) :]


# Answers.


class _Accepted(NamedTuple):
    coding: bytes | None
    """None: uncompressed."""
    must_be_compressed: bool = False


async def compressed(response: Response, request: Request) -> Response:
    """Compress the response where compression pays and the caller accepts it."""
    is_large = len(response.body) >= _SMALLEST_TO_COMPRESS
    header = request.list_header(b"accept-encoding")
    if header is None:
        return _varying(response) if is_large else response
    accepted = _accepted(header)
    if accepted.coding is None or not (is_large or (accepted.must_be_compressed and response.body)):
        return _varying(response) if is_large else response
    if len(response.body) > _LARGEST_ANSWER_ON_THE_LOOP:
        body = await asyncio.to_thread(_compress, response.body, accepted.coding)
    else:
        body = _compress(response.body, accepted.coding)
    if len(body) > _WORTH_IT * len(response.body) and not accepted.must_be_compressed:
        return _varying(response)
    return response._replace(body=body, headers=[*response.headers, (b"content-encoding", accepted.coding), _VARY])


def _varying(response: Response) -> Response:
    return response._replace(headers=[*response.headers, _VARY])


def _compress(body: bytes, coding: bytes) -> bytes:
    return zlib.compress(body, _LEVEL, _WBITS[coding])


# Clients send few different headers.
@lru_cache(maxsize=64)
def _accepted(header: bytes) -> _Accepted:
    weights = dict(map(_weighted, header.lower().split(b",")))
    others = weights.get(b"*", 0.0)
    plain = weights.get(b"identity", 0.0 if b"*" in weights and not others else None)
    best = max(_WBITS, key=lambda coding: weights.get(coding, others))
    weight = weights.get(best, others)
    if not weight or (plain is not None and plain > weight):
        return _Accepted(None)
    return _Accepted(best, must_be_compressed=plain == 0)


def _weighted(element: bytes) -> tuple[bytes, float]:
    name, _, parameter = element.partition(b";")
    name = _SAME.get(name.strip(), name.strip())
    key, _, value = parameter.partition(b"=")
    if key.strip() != b"q":
        return name, 1.0
    return name, float(value) if _WEIGHT.fullmatch(value.strip()) else 0.0
