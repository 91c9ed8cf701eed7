"""MLServer's content types of an input of BYTES: what its elements are."""

import base64
import binascii
from collections.abc import Callable
from typing import Any

import numpy.typing as npt
import orjson

from data_plane.scoring.codecs.open_inference.infer_request import Tensor
from data_plane.scoring.codecs.open_inference.tensor_data import as_objects
from data_plane.scoring.errors import InvalidBody

JSON_CONTENT_TYPES = frozenset({"pd_json", "hg_json"})


def decoded(tensor: Tensor) -> npt.NDArray[Any]:
    """The array with its elements as the content type has them; without one, as they came."""
    decode = _DECODERS.get(tensor.content_type or "")
    if decode is None:
        return tensor.array
    if not tensor.is_bytes:
        raise InvalidBody(f"input {tensor.name!r}: the content type {tensor.content_type!r} is one of BYTES only")
    return _each(tensor, decode)


def as_texts(tensor: Tensor) -> npt.NDArray[Any]:
    return _each(tensor, _text)


def as_texts_where_they_are(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """BYTES that say nothing of what they are: text if all of them are, else bytes."""
    elements = array.reshape(-1).tolist()
    try:
        texts = [element.decode() if isinstance(element, bytes) else element for element in elements]
    except UnicodeDecodeError:
        return array
    return as_objects(texts).reshape(array.shape)


def as_json_where_it_is(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """What is no JSON is left as it is, for the signature to judge."""

    def value(element: Any) -> Any:
        try:
            return element if element is None else orjson.loads(element)
        except orjson.JSONDecodeError:
            return element

    return as_objects([value(element) for element in array.reshape(-1)]).reshape(array.shape)


def _each(tensor: Tensor, decode: Callable[[Any], Any]) -> npt.NDArray[Any]:
    try:
        values = [None if element is None else decode(element) for element in tensor.array.reshape(-1)]
    except (ValueError, binascii.Error):
        called = tensor.content_type or "text"
        raise InvalidBody(f"input {tensor.name!r}: an element is not what the content type {called!r} says") from None
    return as_objects(values).reshape(tensor.array.shape)


def _text(element: str | bytes) -> str:
    return element.decode() if isinstance(element, bytes) else element


def _bytes(element: str | bytes) -> bytes:
    return base64.b64decode(element, validate=True)


_DECODERS: dict[str, Callable[[Any], Any]] = {
    "str": _text,
    "datetime": _text,
    "base64": _bytes,
    **dict.fromkeys(JSON_CONTENT_TYPES, orjson.loads),
}
