"""`POST /{endpoint}/v2/models/{name}/infer`: tensors in, tensors out."""

from collections.abc import MutableMapping
from typing import Any
from weakref import WeakKeyDictionary

from data_plane.gateway.messages import Request, Response
from data_plane.gateway.routing_table import LiveDeployment
from data_plane.replicas.port import ScoreResponse
from data_plane.scoring.codecs.open_inference.declared import SOLE_OUTPUT, declared_outputs
from data_plane.scoring.codecs.open_inference.errors import error_response
from data_plane.scoring.codecs.open_inference.infer_request import AskedAnswer, read_infer_request
from data_plane.scoring.codecs.open_inference.infer_response import infer_response, selected
from data_plane.scoring.codecs.open_inference.model_input import enforce
from data_plane.scoring.codecs.open_inference.outputs import FRAME, outputs_of
from data_plane.scoring.codecs.open_inference.paths import asked_model
from data_plane.scoring.errors import ScoringError
from data_plane.scoring.payload.values import FrameResult
from data_plane.scoring.signature import Enforced

_MILLISECONDS = 1000


class OpenInferenceEnvelope:
    def __init__(self) -> None:
        # A body can be large: what it says of the answer is kept from its one reading to the answer's writing.
        self._asked: MutableMapping[Request, AskedAnswer] = WeakKeyDictionary()

    def read(self, request: Request, body: bytes, deployment: LiveDeployment) -> Enforced:
        asked = read_infer_request(request, body)
        self._asked[request] = asked.answer
        return enforce(asked, deployment.signature)

    def write(self, request: Request, body: bytes, deployment: LiveDeployment, answer: ScoreResponse) -> Response:
        asked = self._asked[request]
        outputs = selected(outputs_of(answer.result, _sole_output(deployment)), asked)
        about: dict[str, Any] = {
            "model_name": asked_model(request.path).name,
            "model_version": deployment.bundle.model.version,
            "id": asked.id or request.id,
        }
        if isinstance(answer.result, FrameResult):
            about["parameters"] = {"content_type": FRAME}
        headers = [(b"x-ms-run-fn-exec-ms", b"%.3f" % (answer.model_seconds * _MILLISECONDS))]
        return infer_response(about, outputs, asked, headers)

    def refuse(self, refusal: ScoringError) -> Response:
        return error_response(refusal)


def _sole_output(deployment: LiveDeployment) -> str:
    signature = deployment.bundle.signature
    declared = declared_outputs(signature.outputs if signature else None)
    return declared[0].name if len(declared) == 1 else SOLE_OUTPUT
