"""`POST /{endpoint}/invocations`: MLflow's formats in, `{"predictions": …}` out."""

from weakref import WeakSet

from data_plane.gateway.messages import Request, Response, json_response
from data_plane.gateway.routing_table import LiveDeployment
from data_plane.replicas.port import ScoreResponse
from data_plane.scoring.codecs.mlflow.errors import error_response
from data_plane.scoring.codecs.mlflow.json_body import read_json
from data_plane.scoring.codecs.mlflow.media_type import BodyKind, body_kind
from data_plane.scoring.errors import ScoringError
from data_plane.scoring.payload.result_json import result_to_json
from data_plane.scoring.signature import Enforced
from data_plane.scoring.tables.csv_body import read_csv
from data_plane.scoring.tables.parquet_body import ParquetReader

_MILLISECONDS = 1000


class MlflowEnvelope:
    def __init__(self) -> None:
        self._parquet = ParquetReader()
        # A body can be large: what it says of the answer is kept from its one reading to the answer's writing.
        self._unwrapped: WeakSet[Request] = WeakSet()

    def read(self, request: Request, body: bytes, deployment: LiveDeployment) -> Enforced:
        signature = deployment.signature
        match body_kind(request.header(b"content-type")):
            case BodyKind.JSON:
                read = read_json(body, signature)
                if read.is_unwrapped:
                    self._unwrapped.add(request)
                return read.enforced
            case BodyKind.CSV:
                return signature.enforce_table(read_csv(body, signature), None)
            case BodyKind.PARQUET:
                return signature.enforce_table(self._parquet.read(body, signature), None)

    def write(self, request: Request, body: bytes, deployment: LiveDeployment, answer: ScoreResponse) -> Response:
        result = result_to_json(answer.result)
        if request not in self._unwrapped:
            result = b'{"predictions": %b}' % result
        return json_response(result, [(b"x-ms-run-fn-exec-ms", b"%.3f" % (answer.model_seconds * _MILLISECONDS))])

    def refuse(self, refusal: ScoringError) -> Response:
        return error_response(refusal)
