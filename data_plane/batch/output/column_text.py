"""Columns of predictions as texts: numbers that read back exactly, null for a missing value."""

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
"""A column: an array of one type, or a list of JSON values of mixed types."""

BYTES = pa.large_binary()
TEXTS = pa.large_string()
_NEEDS_QUOTES = '[",\r\n]'
_NEEDS_QUOTES_BYTES = (b'"', b",", b"\r", b"\n")
_SURROGATES = re.compile("[\ud800-\udfff]")
# Outside of these bounds Python writes an exponent.
_LEAST_PLAIN, _LEAST_EXPONENT = 1e-4, 1e16


def csv_texts(values: Values) -> pa.Array:
    """Return unquoted texts, null for missing values: numbers as by `repr`, True and False, datetimes in ISO 8601."""
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
        return pa.array([None if value is None else base64.b64encode(value) for value in values.to_pylist()], BYTES)
    return _bytes(values)


def few_number_texts(values: Values) -> list[bytes] | None:
    """Return the same texts as `csv_texts` for a short column of present numbers; None for any other column."""
    if isinstance(values, list) or values.null_count:
        return None
    if pa.types.is_integer(values.type):
        return [b"%d" % value for value in values.to_pylist()]
    if not pa.types.is_floating(values.type):
        return None
    numbers = np.ascontiguousarray(values.to_numpy(), np.float64)
    if not _are_plain(numbers).all():
        return None
    return orjson.dumps(numbers, option=orjson.OPT_SERIALIZE_NUMPY)[1:-1].split(b",")


def json_texts(values: Values) -> pa.Array:
    """Return JSON texts, with `null` for a missing value, NaN and infinity."""
    if isinstance(values, list):
        return pa.array([json_text(value) for value in values], BYTES)
    kind = values.type
    if pa.types.is_floating(kind):
        texts = _float_texts(values, infinities=False)
    elif pa.types.is_boolean(kind):
        texts = pc.if_else(values, pa.scalar(b"true", BYTES), pa.scalar(b"false", BYTES))
    elif pa.types.is_large_string(kind):
        texts = pa.array([None if value is None else json_text(value) for value in values.to_pylist()], BYTES)
    elif pa.types.is_timestamp(kind) or pa.types.is_large_binary(kind):
        texts = _in_quotes(csv_texts(values))
    else:
        texts = csv_texts(values)
    return pc.fill_null(texts, literal(b"null"))


def array_texts(array: npt.NDArray[Any]) -> pa.Array:
    """Return the JSON text of each entry of an array of two or more dimensions."""
    texts = json_texts(from_numpy(array.reshape(-1)))
    for depth in range(array.ndim - 1, 0, -1):
        lists = int(np.prod(array.shape[:depth]))
        offsets = np.arange(lists + 1, dtype=np.int32) * array.shape[depth]
        inner = pc.binary_join(pa.ListArray.from_arrays(pa.array(offsets), texts), literal(b","))
        texts = joined(literal(b"["), inner, literal(b"]"))
    return pc.cast(texts, TEXTS)


def record_texts(columns: Sequence[tuple[str, Values]]) -> pa.Array:
    """Return the JSON text of each row of a table."""
    pieces: list[Any] = []
    for position, (name, values) in enumerate(columns):
        pieces += [literal((b"," if position else b"{") + json_text(name) + b":"), json_texts(values)]
    return pc.cast(joined(*pieces, literal(b"}")), TEXTS)


def quoted(texts: pa.Array) -> pa.Array:
    """Return fields of RFC 4180. An empty text is quoted: an empty field is a missing value."""
    wanted = pc.or_(pc.match_substring_regex(texts, _NEEDS_QUOTES), pc.equal(pc.binary_length(texts), 0))
    if not pc.any(wanted).as_py():
        return texts
    inside = pc.replace_substring(pc.filter(texts, wanted), '"', '""')
    return pc.replace_with_mask(texts, pc.fill_null(wanted, False), _in_quotes(inside))


def _in_quotes(texts: pa.Array) -> pa.Array:
    """Put quotes around texts; a missing value stays missing."""
    return pc.binary_join_element_wise(literal(b'"'), texts, literal(b'"'), literal(b""))


def quoted_field(text: str) -> bytes:
    field = utf8(text)
    if field and not any(mark in field for mark in _NEEDS_QUOTES_BYTES):
        return field
    return b'"%b"' % field.replace(b'"', b'""')


def needs_quotes(values: Values) -> bool:
    return isinstance(values, list) or pa.types.is_large_string(values.type)


def joined(*pieces: Any, by: bytes = b"") -> pa.Array:
    """Concatenate row by row: a literal stands in every row, a missing value takes no place."""
    return pc.binary_join_element_wise(*pieces, literal(by), null_handling="replace", null_replacement="")


def literal(text: bytes) -> pa.Scalar:
    return pa.scalar(text, BYTES)


def from_numpy(array: npt.NDArray[Any]) -> pa.Array:
    return pa.array(array.astype(np.float32) if array.dtype == np.float16 else array)


def utf8(text: str) -> bytes:
    """Encode any text as UTF-8: half a surrogate pair becomes the replacement character."""
    try:
        return text.encode()
    except UnicodeEncodeError:
        return _SURROGATES.sub("\ufffd", text).encode()


def json_text(value: Any) -> bytes:
    """Encode a value as JSON; integers keep all their digits."""
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
    """Widen single precision, as online responses do: a reader of doubles then gets the same number."""
    numbers = np.ascontiguousarray(pc.fill_null(values, np.nan).to_numpy(zero_copy_only=False), np.float64)
    texts = _plain_texts(numbers)
    plain = _are_plain(numbers)
    if plain.all():
        return texts
    sizes = np.abs(numbers)
    absent = np.isnan(sizes) if infinities else ~np.isfinite(sizes)
    written = pa.array(list(map(repr, numbers[~plain].tolist())), TEXTS)
    written = pc.if_else(pa.array(absent[~plain]), None, _bytes(written))
    return pc.replace_with_mask(texts, pa.array(~plain), written)


def _are_plain(numbers: npt.NDArray[np.float64]) -> npt.NDArray[np.bool_]:
    """Return where orjson and Python write the same text."""
    sizes = np.abs(numbers)
    plain: npt.NDArray[np.bool_] = (sizes >= _LEAST_PLAIN) & (sizes < _LEAST_EXPONENT) | (sizes == 0)
    return plain


def _plain_texts(numbers: npt.NDArray[np.float64]) -> pa.Array:
    """Write numbers by orjson, five times as fast as Python and the same but for exponents, NaN and infinity."""
    document = orjson.dumps(numbers, option=orjson.OPT_SERIALIZE_NUMPY)[1:-1]
    commas = np.flatnonzero(np.frombuffer(document, np.uint8) == ord(","))
    texts = document.replace(b",", b"")
    # A text ends at its comma, less the number of commas before.
    ends = (commas - np.arange(len(commas)), [len(texts)]) if len(numbers) else ()
    offsets = np.concatenate(([0], *ends)).astype(np.int64)
    return pa.Array.from_buffers(BYTES, len(numbers), [None, pa.py_buffer(offsets), pa.py_buffer(texts)])


def _iso_texts(values: pa.Array) -> pa.Array:
    """Write datetimes with as many fractional digits as they have."""
    texts = pc.replace_substring(pc.cast(values, TEXTS), " ", "T")
    return _bytes(pc.utf8_rtrim(pc.utf8_rtrim(texts, "0"), "."))


def _bytes(values: pa.Array) -> pa.Array:
    return pc.cast(pc.cast(values, TEXTS), BYTES)
