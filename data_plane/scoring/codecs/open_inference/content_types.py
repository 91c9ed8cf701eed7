"""MLServer's content types of an input of BYTES, and the conversion of its elements."""

from collections.abc import Callable
from typing import Any

import numpy.typing as npt
import orjson

from data_plane.scoring.codecs.open_inference.infer_request import Tensor
from data_plane.scoring.codecs.open_inference.tensor_data import as_objects
from data_plane.scoring.errors import InvalidBody
from data_plane.scoring.signature import parse_json
from data_plane.scoring.signature.base64_text import NotBase64, decode_base64

JSON_CONTENT_TYPES = frozenset({"pd_json", "hg_json"})


def decoded(tensor: Tensor) -> npt.NDArray[Any]:
    """Convert the elements by the tensor's content type. Without a content type the array is returned as it is."""
    decode = _DECODERS.get(tensor.content_type or "")
    if decode is None:
        return tensor.array
    if not tensor.is_bytes:
        raise InvalidBody(f"input {tensor.name!r}: the content type {tensor.content_type!r} applies to BYTES only")
    return _each(tensor, decode)


def as_texts(tensor: Tensor) -> npt.NDArray[Any]:
    return _each(tensor, _text)


def as_texts_if_all_are(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Convert BYTES without a content type to text if every element is UTF-8."""
    elements = array.reshape(-1).tolist()
    try:
        texts = [element.decode() if isinstance(element, bytes) else element for element in elements]
    except UnicodeDecodeError:
        return array
    return as_objects(texts).reshape(array.shape)


def as_json_if_valid(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Parse the elements with valid JSON. The signature judges the rest."""

    def value(element: Any) -> Any:
        try:
            return element if element is None else _json(element)
        except orjson.JSONDecodeError:
            return element

    return as_objects([value(element) for element in array.reshape(-1)]).reshape(array.shape)


def _each(tensor: Tensor, decode: Callable[[Any], Any]) -> npt.NDArray[Any]:
    try:
        values = [None if element is None else decode(element) for element in tensor.array.reshape(-1)]
    except ValueError as error:
        called = tensor.content_type or "text"
        reason = f", {error}" if isinstance(error, NotBase64) else ""
        raise InvalidBody(
            f"input {tensor.name!r}: an element does not fit the content type {called!r}{reason}"
        ) from None
    return as_objects(values).reshape(tensor.array.shape)


def _text(element: str | bytes) -> str:
    return element.decode() if isinstance(element, bytes) else element


def _bytes(element: str | bytes) -> bytes:
    return decode_base64(element.decode() if isinstance(element, bytes) else element)


def _json(element: str | bytes) -> Any:
    return parse_json(element.encode() if isinstance(element, str) else element)


_DECODERS: dict[str, Callable[[Any], Any]] = {
    "str": _text,
    "datetime": _text,
    "base64": _bytes,
    **dict.fromkeys(JSON_CONTENT_TYPES, _json),
}
