"""Predictions into texts, a column at a time: numbers that read back exactly, an empty field where one is missing."""

import base64
import json
import re
from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import orjson
import pyarrow as pa
import pyarrow.compute as pc

Values: TypeAlias = pa.Array | list[Any]
"""A column: of one type, or a list of JSON values of whatever types."""

BYTES = pa.large_binary()
TEXTS = pa.large_string()
_NEEDS_QUOTES = '[",\r\n]'
_SURROGATES = re.compile("[\ud800-\udfff]")
# Python writes an exponent outside of these.
_LEAST_PLAIN, _LEAST_EXPONENT = 1e-4, 1e16


def csv_texts(values: Values) -> pa.Array:
    """Not quoted yet; null where one is missing. Numbers as Python's `repr`, True and False, datetimes in ISO 8601."""
    if isinstance(values, list):
        return pa.array([_value_text(value) for value in values], BYTES)
    kind = values.type
    if pa.types.is_floating(kind):
        return _float_texts(values, infinities=True)
    if pa.types.is_boolean(kind):
        return pc.if_else(values, pa.scalar(b"True", BYTES), pa.scalar(b"False", BYTES))
    if pa.types.is_timestamp(kind):
        return _iso_texts(values)
    if pa.types.is_large_binary(kind):
        return pa.array([None if one is None else base64.b64encode(one) for one in values.to_pylist()], BYTES)
    return _bytes(values)


def json_texts(values: Values) -> pa.Array:
    """JSON, with null for what is missing, not a number or infinite."""
    if isinstance(values, list):
        return pa.array([json_text(value) for value in values], BYTES)
    kind = values.type
    if pa.types.is_floating(kind):
        texts = _float_texts(values, infinities=False)
    elif pa.types.is_boolean(kind):
        texts = pc.if_else(values, pa.scalar(b"true", BYTES), pa.scalar(b"false", BYTES))
    elif pa.types.is_large_string(kind):
        texts = pa.array([None if one is None else json_text(one) for one in values.to_pylist()], BYTES)
    elif pa.types.is_timestamp(kind) or pa.types.is_large_binary(kind):
        texts = _in_quotes(csv_texts(values))
    else:
        texts = csv_texts(values)
    return pc.fill_null(texts, literal(b"null"))


def array_texts(array: npt.NDArray[Any]) -> pa.Array:
    """The JSON text of each entry of an array of two or more dimensions, as a column of text."""
    texts = json_texts(from_numpy(array.reshape(-1)))
    for depth in range(array.ndim - 1, 0, -1):
        lists = int(np.prod(array.shape[:depth]))
        offsets = np.arange(lists + 1, dtype=np.int32) * array.shape[depth]
        inner = pc.binary_join(pa.ListArray.from_arrays(pa.array(offsets), texts), literal(b","))
        texts = joined(literal(b"["), inner, literal(b"]"))
    return pc.cast(texts, TEXTS)


def record_texts(columns: Sequence[tuple[str, Values]]) -> pa.Array:
    """The JSON text of each row of a table, as a column of text."""
    pieces: list[Any] = []
    for place, (name, values) in enumerate(columns):
        pieces += [literal((b"," if place else b"{") + json_text(name) + b":"), json_texts(values)]
    return pc.cast(joined(*pieces, literal(b"}")), TEXTS)


def quoted(texts: pa.Array) -> pa.Array:
    """As fields of RFC 4180. An empty text is quoted: a field with nothing in it is a missing value."""
    wanted = pc.or_(pc.match_substring_regex(texts, _NEEDS_QUOTES), pc.equal(pc.binary_length(texts), 0))
    if not pc.any(wanted).as_py():
        return texts
    inside = pc.replace_substring(pc.filter(texts, wanted), '"', '""')
    return pc.replace_with_mask(texts, pc.fill_null(wanted, False), _in_quotes(inside))


def _in_quotes(texts: pa.Array) -> pa.Array:
    """What is missing stays so."""
    return pc.binary_join_element_wise(literal(b'"'), texts, literal(b'"'), literal(b""))


def quoted_field(text: str) -> bytes:
    return bytes(quoted(pa.array([utf8(text)], BYTES))[0].as_py())


def needs_quotes(values: Values) -> bool:
    return isinstance(values, list) or pa.types.is_large_string(values.type)


def joined(*pieces: Any, by: bytes = b"") -> pa.Array:
    """Row by row, one behind the other; literals stand in every row and what is missing takes no place."""
    return pc.binary_join_element_wise(*pieces, literal(by), null_handling="replace", null_replacement="")


def literal(text: bytes) -> pa.Scalar:
    return pa.scalar(text, BYTES)


def from_numpy(array: npt.NDArray[Any]) -> pa.Array:
    return pa.array(array.astype(np.float32) if array.dtype == np.float16 else array)


def utf8(text: str) -> bytes:
    """UTF-8 whatever the text holds: half a surrogate pair becomes the replacement character."""
    try:
        return text.encode()
    except UnicodeEncodeError:
        return _SURROGATES.sub("\ufffd", text).encode()


def json_text(value: Any) -> bytes:
    """The same text whatever wrote the value's neighbours; integers keep all of their digits."""
    return utf8(json.dumps(value, separators=(",", ":"), ensure_ascii=False))


def _value_text(value: Any) -> bytes | None:
    match value:
        case None:
            return None
        case str():
            return utf8(value)
        case bool() | int() | float():
            return repr(value).encode()
    return json_text(value)


def _float_texts(values: pa.Array, *, infinities: bool) -> pa.Array:
    """Single precision is widened, as in an online endpoint's answers: a reader of doubles finds the same number."""
    numbers = np.ascontiguousarray(pc.fill_null(values, np.nan).to_numpy(zero_copy_only=False), np.float64)
    texts = _plain_texts(numbers)
    sizes = np.abs(numbers)
    plain = (sizes >= _LEAST_PLAIN) & (sizes < _LEAST_EXPONENT) | (sizes == 0)
    if plain.all():
        return texts
    absent = np.isnan(sizes) if infinities else ~np.isfinite(sizes)
    written = pa.array(list(map(repr, numbers[~plain].tolist())), TEXTS)
    written = pc.if_else(pa.array(absent[~plain]), None, _bytes(written))
    return pc.replace_with_mask(texts, pa.array(~plain), written)


def _plain_texts(numbers: npt.NDArray[np.float64]) -> pa.Array:
    """orjson writes them as Python does, but for exponents and for what is not finite, and five times as fast."""
    document = orjson.dumps(numbers, option=orjson.OPT_SERIALIZE_NUMPY)[1:-1]
    places = np.flatnonzero(np.frombuffer(document, np.uint8) == ord(","))
    texts = document.replace(b",", b"")
    # Each text ends where its comma stood, less the commas before it.
    ends = (places - np.arange(len(places)), [len(texts)]) if len(numbers) else ()
    offsets = np.concatenate(([0], *ends)).astype(np.int64)
    return pa.Array.from_buffers(BYTES, len(numbers), [None, pa.py_buffer(offsets), pa.py_buffer(texts)])


def _iso_texts(values: pa.Array) -> pa.Array:
    """As many digits of the second's fraction as it has."""
    texts = pc.replace_substring(pc.cast(values, TEXTS), " ", "T")
    return _bytes(pc.utf8_rtrim(pc.utf8_rtrim(texts, "0"), "."))


def _bytes(values: pa.Array) -> pa.Array:
    return pc.cast(pc.cast(values, TEXTS), BYTES)
