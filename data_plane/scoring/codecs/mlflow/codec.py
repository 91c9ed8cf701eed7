"""`POST /{endpoint}/invocations`: MLflow's formats in, `{"predictions": …}` out."""

from typing import NamedTuple

from data_plane.scoring.codecs.mlflow.errors import error_body
from data_plane.scoring.codecs.mlflow.json_body import read_json
from data_plane.scoring.codecs.mlflow.media_type import BodyKind, body_kind
from data_plane.scoring.codecs.port import Decoded, Encoded, RequestContent, encoded_json
from data_plane.scoring.errors import ScoringError
from data_plane.scoring.loaded_bundle import LoadedBundle
from data_plane.scoring.payload.result_json import result_to_json
from data_plane.scoring.payload.values import Result
from data_plane.scoring.tables.csv_body import read_csv
from data_plane.scoring.tables.parquet_body import ParquetToArrow, read_parquet


class MlflowReply(NamedTuple):
    is_unwrapped: bool = False
    """Whether the body was that of an LLM client, whose answer is not wrapped in `predictions` either."""


class MlflowCodec:
    def __init__(self, parquet_to_arrow: ParquetToArrow) -> None:
        self._parquet_to_arrow = parquet_to_arrow

    def decode(self, content: RequestContent, bundle: LoadedBundle) -> Decoded[MlflowReply]:
        signature, is_unwrapped = bundle.signature, False
        match body_kind(content.content_type):
            case BodyKind.JSON:
                enforced, is_unwrapped = read_json(content.body, signature)
            case BodyKind.CSV:
                enforced = signature.enforce_table(read_csv(content.body, signature), None)
            case BodyKind.PARQUET:
                table = read_parquet(content.body, signature, self._parquet_to_arrow)
                enforced = signature.enforce_table(table, None)
        return Decoded(enforced.payload, enforced.params, enforced.extra_columns, MlflowReply(is_unwrapped))

    def encode(self, result: Result, reply_context: MlflowReply) -> Encoded:
        written = result_to_json(result)
        return encoded_json(written if reply_context.is_unwrapped else b'{"predictions": %b}' % written)

    def encode_error(self, error: ScoringError) -> Encoded:
        return error_body(error)
