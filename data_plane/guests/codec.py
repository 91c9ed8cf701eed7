"""What the platform says to a guest worker and hears from it, as values: the door to encode, decode and answers."""

from data_plane.guests.answers import result_to_json
from data_plane.guests.decode import decode_result
from data_plane.guests.encode import encode_score, row_count
from data_plane.guests.values import (
    ArrayPayload,
    ArrayResult,
    ArraysPayload,
    BlockPayload,
    Column,
    FramePayload,
    FrameResult,
    JsonPayload,
    JsonResult,
    LogicalType,
    Payload,
    Result,
)

__all__ = [
    "ArrayPayload",
    "ArrayResult",
    "ArraysPayload",
    "BlockPayload",
    "Column",
    "FramePayload",
    "FrameResult",
    "JsonPayload",
    "JsonResult",
    "LogicalType",
    "Payload",
    "Result",
    "decode_result",
    "encode_score",
    "result_to_json",
    "row_count",
]
