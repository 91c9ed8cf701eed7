"""The body of an infer response: a JSON header with the data of the outputs, or the size of binary data behind it."""

import base64
import sys
from collections.abc import Sequence
from typing import Any

import numpy as np
import orjson

from data_plane.scoring.codecs.open_inference.byte_strings import write_elements
from data_plane.scoring.codecs.open_inference.infer_request import RequestedOutputs
from data_plane.scoring.codecs.open_inference.outputs import Output
from data_plane.scoring.codecs.port import Encoded, encoded_json
from data_plane.scoring.errors import InvalidBody, ResultTooLarge
from data_plane.scoring.payload.json_pieces import array_to_json, values_to_json
from data_plane.worker.frames import Buffer

_BINARY = (b"content-type", b"application/octet-stream")


def selected(outputs: Sequence[Output], requested: RequestedOutputs) -> list[Output]:
    """Return the outputs that the caller names, in the caller's order, or all outputs. Raises InvalidBody."""
    if requested.names is None:
        return list(outputs)
    by_name = {output.name: output for output in outputs}
    for name in requested.names:
        if name not in by_name:
            raise InvalidBody(f"the model has no output {name[:64]!r}; it has {', '.join(map(repr, by_name))}")
    return [by_name[name] for name in requested.names]


def infer_response(
    header: dict[str, Any], outputs: Sequence[Output], requested: RequestedOutputs, max_bytes: int = sys.maxsize
) -> Encoded:
    """Raises ResultTooLarge once the data of the outputs exceeds `max_bytes`."""
    described: list[dict[str, Any]] = []
    binary: list[Buffer] = []
    left = max_bytes
    for output in outputs:
        if requested.is_output_binary(output.name) and output.has_binary_form:
            content = _binary(output)
            binary.append(content)
            left -= len(content)
            described.append(_described(output, binary_data_size=len(content)))
        else:
            data = _data(output, left)
            left -= len(data)
            described.append(_described(output, content_type=output.content_type) | {"data": orjson.Fragment(data)})
        if left < 0:
            raise ResultTooLarge(max_bytes)
    text = orjson.dumps(header | {"outputs": described})
    if not binary:
        return encoded_json(text)
    length = (b"inference-header-content-length", b"%d" % len(text))
    return Encoded(b"".join([text, *binary]), [_BINARY, length])


def _described(output: Output, **parameters: Any) -> dict[str, Any]:
    return {"name": output.name, "datatype": output.datatype, "shape": output.shape, "parameters": parameters}


def _data(output: Output, max_bytes: int) -> bytes:
    values = output.values
    if isinstance(values, np.ndarray):
        return array_to_json(values, max_bytes)
    texts = [base64.b64encode(value).decode() if isinstance(value, bytes) else value for value in values]
    return values_to_json(texts, max_bytes)


def _binary(output: Output) -> Buffer:
    values = output.values
    if isinstance(values, np.ndarray):
        array = np.ascontiguousarray(values, dtype=values.dtype.newbyteorder("<"))
        return array.view(np.uint8).data if array.size else b""
    return write_elements(value.encode() if isinstance(value, str) else value for value in values)
