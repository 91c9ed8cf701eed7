"""The body of an infer request: a JSON header, followed by the binary data of some inputs."""

from dataclasses import dataclass
from typing import Any

import numpy.typing as npt
import orjson

from data_plane.scoring.codecs.open_inference.datatypes import fixed_width
from data_plane.scoring.codecs.open_inference.tensor_data import from_binary, from_json, read_shape
from data_plane.scoring.errors import InvalidBody
from data_plane.scoring.signature import parse_json

_MOST_DIGITS = 18
_NOT_FOR_THE_MODEL = frozenset({"content_type", "headers", "binary_data_output"})
_UNSUPPORTED = ("shared_memory_region", "classification")


@dataclass(frozen=True, slots=True)
class Tensor:
    name: str
    array: npt.NDArray[Any]
    """Of the declared shape. dtype object for BYTES, and for values of which some are missing."""
    is_bytes: bool
    content_type: str | None


@dataclass(frozen=True, slots=True)
class RequestedOutputs:
    """The outputs that a caller selects, and the form of each output."""

    names: dict[str, bool | None] | None
    """Whether each selected output is to come as binary data; None follows `is_binary`. Without names, every output."""
    is_binary: bool

    def is_output_binary(self, name: str) -> bool:
        requested = (self.names or {}).get(name)
        return self.is_binary if requested is None else requested


@dataclass(frozen=True, slots=True)
class InferRequest:
    tensors: tuple[Tensor, ...]
    params: dict[str, Any]
    content_type: str | None
    id: str | None
    outputs: RequestedOutputs


def read_infer_request(body: bytes, json_length: bytes | None) -> InferRequest:
    """`json_length`: bytes of JSON at the beginning of the body, as the header says. Raises InvalidBody."""
    header, binary = _split(body, json_length)
    if not header:
        raise InvalidBody("the body is empty: send a JSON object with 'inputs'")
    try:
        document = parse_json(header)
    except orjson.JSONDecodeError as error:
        raise InvalidBody(f"the body is not JSON: {error}") from None
    if not isinstance(document, dict):
        raise InvalidBody("the body must be a JSON object with 'inputs'")
    parameters = _parameters(document, "the request")
    return InferRequest(
        tensors=_tensors(document.get("inputs"), binary),
        params={name: value for name, value in parameters.items() if name not in _NOT_FOR_THE_MODEL},
        content_type=_content_type(parameters),
        id=_id(document),
        outputs=RequestedOutputs(_outputs(document), _flag(parameters, "binary_data_output") is True),
    )


def _split(body: bytes, json_length: bytes | None) -> tuple[bytes, memoryview]:
    if json_length is None:
        return body, memoryview(b"")
    if not json_length.isdigit() or len(json_length) > _MOST_DIGITS or int(json_length) > len(body):
        raise InvalidBody("Inference-Header-Content-Length must be the length of the JSON at the beginning of the body")
    return body[: int(json_length)], memoryview(body)[int(json_length) :]


def _tensors(inputs: object, binary: memoryview) -> tuple[Tensor, ...]:
    if not isinstance(inputs, list) or not inputs:
        raise InvalidBody("'inputs' must be a list of at least one tensor")
    tensors: dict[str, Tensor] = {}
    for entry in inputs:
        name = _name(entry, "input")
        if name in tensors:
            raise InvalidBody(f"two inputs have the name {name!r}")
        tensors[name], binary = _tensor(name, entry, binary)
    if len(binary):
        raise InvalidBody(
            f"the body has {len(binary)} bytes more of binary data than the inputs' 'binary_data_size' add up to"
        )
    return tuple(tensors.values())


def _tensor(name: str, entry: dict[str, Any], binary: memoryview) -> tuple[Tensor, memoryview]:
    parameters = _parameters(entry, f"input {name!r}")
    datatype = fixed_width(entry.get("datatype"), name)
    shape = read_shape(name, entry.get("shape"))
    size = parameters.get("binary_data_size")
    if size is None:
        array = from_json(name, datatype, shape, entry.get("data"))
    else:
        if type(size) is not int or not 0 <= size <= len(binary):
            raise InvalidBody(f"input {name!r}: 'binary_data_size' must be at most the {len(binary)} bytes left")
        array = from_binary(name, datatype, shape, binary[:size])
        binary = binary[size:]
    return Tensor(name, array, datatype is None, _content_type(parameters)), binary


def _outputs(document: dict[str, Any]) -> dict[str, bool | None] | None:
    outputs = document.get("outputs")
    if not outputs:
        return None
    if not isinstance(outputs, list):
        raise InvalidBody("'outputs' must be a list of objects with a 'name'")
    return {
        _name(entry, "output"): _flag(_parameters(entry, f"output {entry['name']!r}"), "binary_data")
        for entry in outputs
    }


def _name(entry: object, kind: str) -> str:
    name = entry.get("name") if isinstance(entry, dict) else None
    if not isinstance(name, str):
        raise InvalidBody(f"each entry of '{kind}s' must be an object with a 'name'")
    return name


def _parameters(entry: dict[str, Any], owner: str) -> dict[str, Any]:
    parameters = entry.get("parameters")
    if parameters is None:
        return {}
    if not isinstance(parameters, dict):
        raise InvalidBody(f"'parameters' of {owner} must be an object")
    for name in _UNSUPPORTED:
        if name in parameters and owner != "the request":
            raise InvalidBody(f"{owner}: the parameter {name!r} is not supported")
    return parameters


def _content_type(parameters: dict[str, Any]) -> str | None:
    content_type = parameters.get("content_type")
    return content_type if isinstance(content_type, str) else None


def _flag(parameters: dict[str, Any], name: str) -> bool | None:
    flag = parameters.get(name)
    if flag is not None and not isinstance(flag, bool):
        raise InvalidBody(f"{name!r} must be true or false")
    return flag


def _id(document: dict[str, Any]) -> str | None:
    given = document.get("id")
    if given is not None and not isinstance(given, str):
        raise InvalidBody("'id' must be a string")
    return given or None
