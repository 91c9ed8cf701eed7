"""The examples that MLflow saves with a model, answered by MLflow's scoring server and by the platform."""

import base64
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from builder.scoring_script.generate import ScriptSubject, generate_scoring_script
from data_plane.gateway.errors import error_response
from data_plane.replicas.local.worker_connection import worker_outcome
from data_plane.scoring.codecs.mlflow.codec import MlflowCodec
from data_plane.scoring.codecs.port import RequestContent
from data_plane.scoring.errors import ScoringError
from data_plane.scoring.loaded_bundle import LoadedBundle
from data_plane.scoring.pipeline import ScoringContext, finish, prepare
from data_plane.scoring.signature import compile_signature
from data_plane.scoring.wire.encode import encode_score
from data_plane.worker.frames import FrameReader
from modelyard.core.domain.mlmodel import MLModel, parse_mlmodel
from tests.answering_program import AnsweringProgram, answering
from tests.data_plane.gateway.gateway_process import bundle_of

REPOSITORY = Path(__file__).parents[3]
_PROGRAM = Path(__file__).with_name("program.py")
EXAMPLE = "input_example.json"
SERVING = "serving_input_example.json"
_JSON = "application/json"


@dataclass(frozen=True)
class ModelRequest:
    name: str
    content_type: str
    body: bytes


class Answer(NamedTuple):
    status: int
    text: str


@dataclass(frozen=True)
class Exchange:
    """A request with the answers of both servers."""

    model: str
    request: ModelRequest
    mlflow: Answer
    ours: Answer

    @property
    def name(self) -> str:
        return f"{self.model}, {self.request.name}"

    def __str__(self) -> str:
        sent = self.request.body.decode()[:300]
        return f"{self.name}: {sent}\n  MLflow: {self.mlflow.status} {self.mlflow.text[:500]}\n  here:   {self.ours}"


class Peers:
    """A process with the models, MLflow's scoring server and the model worker's code."""

    def __init__(self, program: AnsweringProgram, folder: Path) -> None:
        self._program = program
        self._folder = folder

    def save(self, names: Sequence[str] | None) -> tuple[dict[str, Any], dict[str, str]]:
        """Return examples and further requests of the saved models, and the errors of the others."""
        reply = self._program.ask({"what": "save", "folder": str(self._folder), "names": names})
        return reply["saved"], reply["failed"]

    def exchanges(self, name: str, examples: dict[str, Any]) -> Iterator[Exchange]:
        folder = self._folder / name
        model = parse_mlmodel((folder / "model" / "MLmodel").read_bytes())
        (folder / "score.py").write_text(generate_scoring_script(ScriptSubject(name, "1", "model", model)))
        requests = list(_requests(examples))
        prepared = [_Prepared(model, request) for request in requests]
        asked = [
            {"body": base64.b64encode(request.body).decode(), "type": request.content_type, "frame": ours.frame}
            for request, ours in zip(requests, prepared, strict=True)
        ]
        answers = self._program.ask({"what": "answer", "folder": str(folder), "requests": asked})
        for request, ours, answer in zip(requests, prepared, answers, strict=True):
            yield Exchange(name, request, Answer(*answer["mlflow"]), ours.answer(answer["worker"]))


@contextmanager
def peers(python: Path, folder: Path) -> Iterator[Peers]:
    with answering(python, _PROGRAM, folder / "log") as program:
        yield Peers(program, folder)


def _requests(saved: dict[str, Any]) -> Iterator[ModelRequest]:
    for file, text in saved["examples"].items():
        yield ModelRequest(file, _JSON, text.encode())
    if EXAMPLE in saved["examples"]:
        wrapped = b'{"inputs": %b}' % saved["examples"][EXAMPLE].encode()
        if "dataframe_split" not in saved["examples"].get(SERVING, ""):
            yield ModelRequest("input_example.json as inputs", _JSON, wrapped)
    for number, (content_type, body) in enumerate(saved["more"]):
        yield ModelRequest(f"request {number}", content_type, body.encode())


class _Prepared:
    """A request in the pipeline of the gateway, before and after the worker."""

    def __init__(self, model: MLModel, request: ModelRequest) -> None:
        self._codec = MlflowCodec(_no_parquet)
        self._refusal: ScoringError | None = None
        self._context: ScoringContext | None = None
        self.frame: str | None = None
        signature = compile_signature(model.signature, type_hints=model.type_hints)
        bundle = bundle_of("blue", 1, model.signature, model.type_hints, model.mlflow_version, "1")
        content = RequestContent(request.body, request.content_type.encode(), None, "invocations", "1")
        try:
            payload, params, self._context = prepare(self._codec, content, LoadedBundle(bundle, signature))
        except ScoringError as error:
            self._refusal = error
        else:
            self.frame = base64.b64encode(b"".join(encode_score(payload, request_id=1, params=params))).decode()

    def answer(self, frame: str | None) -> Answer:
        if self._refusal is not None:
            return self._error(self._refusal)
        assert frame is not None
        assert self._context is not None
        (read,) = FrameReader().feed(base64.b64decode(frame))
        outcome = worker_outcome(read, 1)
        if isinstance(outcome, ScoringError):
            return self._error(outcome)
        return Answer(200, finish(outcome.result, self._context).body.decode())

    def _error(self, error: ScoringError) -> Answer:
        response = error_response(error, self._codec)
        return Answer(int(response.status), response.body.decode())


def _no_parquet(body: bytes) -> bytes:
    raise AssertionError("no request is Parquet")
