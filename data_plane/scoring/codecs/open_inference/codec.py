"""`POST /{endpoint}/v2/models/{name}/infer`: tensors in, tensors out."""

import sys
from typing import Any, NamedTuple

import orjson

from data_plane.scoring.codecs.open_inference.declared_tensors import SOLE_OUTPUT, declared_outputs
from data_plane.scoring.codecs.open_inference.infer_request import RequestedOutputs, read_infer_request
from data_plane.scoring.codecs.open_inference.infer_response import infer_response, selected
from data_plane.scoring.codecs.open_inference.model_input import enforce
from data_plane.scoring.codecs.open_inference.outputs import FRAME, outputs_of
from data_plane.scoring.codecs.open_inference.paths import requested_model
from data_plane.scoring.codecs.port import Decoded, Encoded, RequestContent, encoded_json
from data_plane.scoring.errors import ScoringError
from data_plane.scoring.loaded_bundle import LoadedBundle
from data_plane.scoring.payload.values import FrameResult, Result
from data_plane.scoring.signature import SignatureViolations


class OpenInferenceReply(NamedTuple):
    outputs: RequestedOutputs
    response_id: str
    model_name: str
    model_version: str
    sole_output: str
    """Name of a model's only output."""


class OpenInferenceCodec:
    def decode(self, content: RequestContent, bundle: LoadedBundle) -> Decoded[OpenInferenceReply]:
        request = read_infer_request(content.body, content.json_length)
        enforced = enforce(request, bundle.signature)
        reply = OpenInferenceReply(
            request.outputs,
            request.id or content.request_id,
            requested_model(content.path).name,
            bundle.bundle.model.version,
            _sole_output(bundle),
        )
        unused = tuple(f"parameters.{name}" for name in enforced.extra_params)
        return Decoded(enforced.payload, enforced.params, enforced.extra_columns, reply, unused)

    def encode(self, result: Result, reply_context: OpenInferenceReply, max_bytes: int = sys.maxsize) -> Encoded:
        outputs = selected(outputs_of(result, reply_context.sole_output), reply_context.outputs)
        header: dict[str, Any] = {
            "model_name": reply_context.model_name,
            "model_version": reply_context.model_version,
            "id": reply_context.response_id,
        }
        if isinstance(result, FrameResult):
            header["parameters"] = {"content_type": FRAME}
        return infer_response(header, outputs, reply_context.outputs, max_bytes)

    def encode_error(self, error: ScoringError) -> Encoded:
        """Write one text under `error`, with every violation: the protocol has no list of details."""
        message = error.message
        if isinstance(error, SignatureViolations):
            message = f"the input does not fit the model's signature: {error.listing}"
        return encoded_json(orjson.dumps({"error": message}))


def _sole_output(bundle: LoadedBundle) -> str:
    signature = bundle.bundle.signature
    declared = declared_outputs(signature.outputs if signature else None)
    return declared[0].name if len(declared) == 1 else SOLE_OUTPUT
