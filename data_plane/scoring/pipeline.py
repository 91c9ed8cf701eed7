"""A scoring request from bytes to a payload, and the result back to bytes: pure, synchronous, without I/O.

Callers put their own `await` in between: the gateway a queue and a model worker, for live requests and mirrored copies.
"""

import sys
from typing import Any, NamedTuple
from urllib.parse import quote

from data_plane.scoring.codecs.port import Encoded, RequestCodec, RequestContent
from data_plane.scoring.loaded_bundle import LoadedBundle
from data_plane.scoring.payload.values import Payload, Result

_EXTRA_COLUMNS = b"modelyard-extra-columns"
_WARNING = b"warning"
_LONGEST_LISTING = 1024


class ScoringContext(NamedTuple):
    """The part of a request that the answer needs."""

    codec: RequestCodec[Any]
    reply_context: Any
    """Of the codec's own type."""
    extra_columns: tuple[str, ...]
    without_effect: tuple[str, ...] = ()


Prepared = tuple[Payload, dict[str, Any] | None, ScoringContext]
"""The payload, the params (None or {} for a model that declares none), and the context for `finish`."""


def prepare(codec: RequestCodec[Any], content: RequestContent, bundle: LoadedBundle) -> Prepared:
    """Decode the request and enforce the model's signature. Raises ScoringError."""
    payload, params, extra_columns, reply_context, without_effect = codec.decode(content, bundle)
    return payload, params, ScoringContext(codec, reply_context, extra_columns, without_effect)


def finish(result: Result, context: ScoringContext, max_bytes: int = sys.maxsize) -> Encoded:
    """Encode the result, and name the columns and fields that the model did not get in headers. Raises ScoringError."""
    encoded = context.codec.encode(result, context.reply_context, max_bytes)
    if context.extra_columns:
        encoded.headers.append((_EXTRA_COLUMNS, _listing(context.extra_columns)))
    if context.without_effect:
        encoded.headers.append(
            (_WARNING, b'299 modelyard "these fields have no effect: %b"' % _listing(context.without_effect))
        )
    return encoded


def _listing(names: tuple[str, ...]) -> bytes:
    """Join percent-encoded names by commas, as many as fit a header."""
    listing = ""
    for name in names:
        longer = (
            f"{listing},{quote(name, safe='', errors='replace')}" if listing else quote(name, safe="", errors="replace")
        )
        if len(longer) > _LONGEST_LISTING:
            break
        listing = longer
    return listing.encode()
