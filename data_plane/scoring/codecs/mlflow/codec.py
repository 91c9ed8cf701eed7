"""`POST /{endpoint}/invocations`: MLflow's formats in, `{"predictions": …}` out."""

import sys
from enum import Enum
from typing import NamedTuple

from data_plane.scoring.codecs.mlflow.errors import error_body
from data_plane.scoring.codecs.mlflow.json_body import read_json
from data_plane.scoring.codecs.port import Decoded, Encoded, RequestContent, encoded_json
from data_plane.scoring.errors import ScoringError, UnsupportedMediaType
from data_plane.scoring.loaded_bundle import LoadedBundle
from data_plane.scoring.payload.result_json import result_to_json
from data_plane.scoring.payload.values import Result
from data_plane.scoring.tables.csv_body import read_csv
from data_plane.scoring.tables.parquet_body import ParquetToArrow, read_parquet


class _BodyKind(Enum):
    JSON = "application/json"
    CSV = "text/csv"
    PARQUET = "application/vnd.apache.parquet"


_KINDS = {kind.value: kind for kind in _BodyKind}
_BY_HEADER = {kind.value.encode(): kind for kind in _BodyKind}


class MlflowReply(NamedTuple):
    is_unwrapped: bool = False
    """Whether the body was that of an LLM client, whose answer is not wrapped in `predictions` either."""


class MlflowCodec:
    def __init__(self, parquet_to_arrow: ParquetToArrow) -> None:
        self._parquet_to_arrow = parquet_to_arrow

    def decode(self, content: RequestContent, bundle: LoadedBundle) -> Decoded[MlflowReply]:
        signature, is_unwrapped = bundle.signature, False
        without_effect: tuple[str, ...] = ()
        match _body_kind(content.content_type):
            case _BodyKind.JSON:
                enforced, is_unwrapped, without_effect = read_json(content.body, signature)
            case _BodyKind.CSV:
                enforced = signature.enforce_table(read_csv(content.body, signature), None)
            case _BodyKind.PARQUET:
                table = read_parquet(content.body, signature, self._parquet_to_arrow)
                enforced = signature.enforce_table(table, None)
        reply = MlflowReply(is_unwrapped)
        return Decoded(enforced.payload, enforced.params, enforced.extra_columns, reply, without_effect)

    def encode(self, result: Result, reply_context: MlflowReply, max_bytes: int = sys.maxsize) -> Encoded:
        written = result_to_json(result, max_bytes)
        return encoded_json(written if reply_context.is_unwrapped else b'{"predictions": %b}' % written)

    def encode_error(self, error: ScoringError) -> Encoded:
        return error_body(error)


def _body_kind(content_type: bytes | None) -> _BodyKind:
    """Return the kind of body by MLflow's rules: charset is the only parameter, and utf-8 the only charset.

    Without the header the body is JSON, because some clients send no header.
    """
    if not content_type:
        return _BodyKind.JSON
    return _BY_HEADER.get(content_type) or _parsed(content_type.decode("latin-1"))


def _parsed(content_type: str) -> _BodyKind:
    media_type, *parameters = (part.strip() for part in content_type.split(";"))
    kind = _KINDS.get(media_type.lower())
    if kind is None:
        raise UnsupportedMediaType(f"the Content-Type must be one of {', '.join(_KINDS)}")
    for parameter in filter(None, parameters):
        _check_parameter(parameter)
    return kind


def _check_parameter(parameter: str) -> None:
    name, _, value = parameter.partition("=")
    if name.strip().lower() != "charset":
        raise UnsupportedMediaType("the Content-Type may have the parameter charset=utf-8 only")
    if value.strip().strip('"').lower() not in {"utf-8", "utf8"}:
        raise UnsupportedMediaType("the scoring server only supports UTF-8")
