"""The generated script predicts from enforced input as the model's own predict does from raw input.

MLflow 1, 2 and 3 are compared, and MLflow does not enforce the signature a second time.
"""

import base64
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from builder.scoring_script.generate import ScriptSubject, generate_scoring_script
from data_plane.scoring.signature import compile_signature
from data_plane.scoring.wire.encode import encode_score
from modelyard.core.domain.mlmodel import MLModel, parse_mlmodel
from tests.answering_program import AnsweringProgram, answering
from tests.data_plane.scoring.signature.differential.mlflows import environment

OLDEST, *BETWEEN, NEWEST = VERSIONS = ("1.30.1", "2.9.2", "2.22.5", "3.17.2")
PROGRAM = Path(__file__).parent / "mlflow_models" / "program.py"

# Models with validation of their own, after no enforcement by MLflow.
VALIDATE_THEMSELVES = {"type_hints"}


@dataclass(frozen=True)
class ScoringRequest:
    """A scoring request: `value` is input_data of the body, or a notebook's value of the kind `kind`."""

    kind: str
    value: Any
    params: dict[str, Any] | None = None
    dtypes: dict[str, str] = field(default_factory=dict)
    """The dtypes to set in a notebook: MLflow's predict takes no wider number for a narrower type."""


def frame(columns: list[str], *rows: list[Any], **more: Any) -> ScoringRequest:
    return ScoringRequest("frame", {"columns": columns, "data": list(rows)}, **more)


REORDERED = frame(
    ["region", "surplus", "rooms", "has_lift", "area"],
    ["south", 1, 3, True, 55.5],
    ["north", 2, 5, False, 120.25],
)
HOUSES = frame(["area", "rooms", "region", "has_lift"], *[[20.0 + at, 1 + at % 6, "north", True] for at in range(50)])
EVERY_TYPE = frame(
    ["DataType.integer", "DataType.double", "DataType.long", "DataType.string", "DataType.boolean", "DataType.float"],
    [7, 0.1, 2**60, "é", True, 0.5],
    [-1, -1e300, -5, "", False, 3.25],
    dtypes={"DataType.integer": "int32", "DataType.float": "float32"},
)
EVERY_PARAM = {"count": 7, "factor": 2, "stop": ["x", "y"], "since": "2024-01-02T03:04:05"}
REQUESTS: dict[str, list[ScoringRequest]] = {
    "houses": [HOUSES, REORDERED],
    "matrix": [ScoringRequest("array", [[0.25, 1.5], [3.0, 4.5]])],
    "unsigned": [ScoringRequest("array", [[0.25, 1.5], [3.0, 4.5]]), ScoringRequest("array", [[1, 2]])],
    "probabilities": [frame(["rooms", "area"], [3, 55.5], [5, 120.25])],
    "texts": [frame(["text"], ["good"], ["a bad wine"], [""])],
    "witness": [EVERY_TYPE],
    "artifact": [frame(["key"], [1], [0])],
    "own_loader": [frame(["b", "a"], [1.5, 2.5])],
    "params": [frame(["a"], [1.5]), frame(["a"], [1.5], params=EVERY_PARAM), frame(["a"], [1.5], params={"new": 1})],
    "object_params": [frame(["a"], [1.5]), frame(["a"], [1.5], params={"tree": {"depth": 9}})],
    "chat": [ScoringRequest("value", {"messages": [{"role": "user", "content": "hello"}]})],
    "type_hints": [ScoringRequest("value", ["a", "b"])],
    "early_type_hints": [ScoringRequest("value", ["a", "b"])],
}


class Subjects:
    """The models of an MLflow version, in a process of that version."""

    def __init__(self, program: AnsweringProgram, folder: Path) -> None:
        self._program = program
        self._folder = folder
        self._program.send({"what": "save", "folder": str(folder)})
        self._saved: list[str] = []

    @property
    def saved(self) -> list[str]:
        if not self._saved:
            self._saved = self._program.receive()
        return self._saved

    def answers(self, name: str) -> list[dict[str, Any]]:
        folder = self._folder / name
        model = parse_mlmodel((folder / "model" / "MLmodel").read_bytes())
        (folder / "score.py").write_text(generate_scoring_script(ScriptSubject(name, "1", "model", model)))
        requests = [{**asdict(asked), "frame": _enforced(model, asked)} for asked in REQUESTS[name]]
        asked = {"what": "answer", "folder": str(folder), "requests": requests}
        answers: list[dict[str, Any]] = self._program.ask(asked)
        return answers


def _enforced(model: MLModel, asked: ScoringRequest) -> str:
    """The gateway's frame for the worker."""
    signature = compile_signature(model.signature, type_hints=model.type_hints)
    payload, params, *_ = signature.enforce(asked.value, asked.params)
    return base64.b64encode(b"".join(encode_score(payload, request_id=1, params=params))).decode()


@contextmanager
def subjects(python: Path, folder: Path) -> Iterator[Subjects]:
    with answering(python, PROGRAM, folder / "log") as program:
        yield Subjects(program, folder)


@pytest.fixture(scope="module")
def subjects_of(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], Subjects]]:
    """Returns the models of an MLflow version, whose process starts at the first call."""
    with ExitStack() as stack:

        @cache
        def start(version: str) -> Subjects:
            return stack.enter_context(subjects(environment(version), tmp_path_factory.mktemp("models")))

        yield start


@pytest.mark.parametrize(
    "version", [OLDEST, *(pytest.param(version, marks=pytest.mark.long) for version in BETWEEN), NEWEST]
)
def test_script_predicts_as_pyfunc_does_without_enforcing_twice(
    version: str, subjects_of: Callable[[str], Subjects]
) -> None:
    unequal, enforced_here, not_enforced_there, shortcuts = [], set(), set(), set()
    for name in subjects_of(version).saved:
        for answer in subjects_of(version).answers(name):
            if answer["ours"] != answer["theirs"] or answer["theirs"][0] == "raised":
                unequal.append(f"{name}: {answer['ours']}, and by itself {answer['theirs']}")
            if answer["shortest"] != answer["ours"]:
                unequal.append(f"{name}: {answer['shortest']} by the array shortcut, and otherwise {answer['ours']}")
            if answer["has_shortcut"]:
                shortcuts.add(name)
            if answer["enforced_here"]:
                enforced_here.add(name)
            if not answer["enforced_there"]:
                not_enforced_there.add(name)
    assert not unequal, "\n".join(unequal)
    assert enforced_here == set()
    # The other models have columns of text or booleans, tensors, or code of the user.
    assert shortcuts == {"probabilities"}
    # The count is real: predict does enforce, where there is a signature or MLflow looks whether there is.
    assert not_enforced_there <= VALIDATE_THEMSELVES | {"unsigned"}


@pytest.mark.long
def test_every_model_is_scored_in_some_mlflow_version(subjects_of: Callable[[str], Subjects]) -> None:
    saved = [set(subjects_of(version).saved) for version in VERSIONS]
    assert set.union(*saved) == set(REQUESTS)
    assert {"houses", "matrix", "witness", "unsigned"} <= set.intersection(*saved)
