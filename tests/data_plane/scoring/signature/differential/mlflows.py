"""Several versions of MLflow, each in a separate environment with a long-lived process that answers requests."""

import base64
import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from data_plane.scoring.signature import Enforced
from data_plane.scoring.wire.encode import encode_score
from tests.answering_program import AnsweringProgram, answering
from tests.cached_environments import cached_environment
from tests.data_plane.replicas.interpreters import interpreters
from tests.data_plane.scoring.signature.differential.cases import Case

# Each version of MLflow with pandas, numpy and scikit-learn of the same time.
ENVIRONMENTS = {
    "1.30.1": ("3.9", ["pandas==1.5.3", "numpy==1.23.5", "scikit-learn==1.2.2", "setuptools<81"]),
    "2.9.2": ("3.8", ["pandas==1.5.3", "numpy==1.23.5", "scikit-learn==1.2.2", "setuptools<81"]),
    "2.22.5": ("3.10", ["pandas==2.2.3", "numpy==1.26.4", "scikit-learn==1.6.1"]),
    "3.17.2": ("3.12", ["pandas==3.1.1", "numpy==2.5.5", "scikit-learn==1.9.1"]),
}
# The versions compared with the platform.
VERSIONS = ("2.9.2", "2.22.5", "3.17.2")


def environment(version: str) -> Path:
    """Return the python of an environment with the version of MLflow."""
    minor, beside = ENVIRONMENTS[version]
    return cached_environment(interpreters().get(minor, sys.executable), [f"mlflow-skinny=={version}", *beside])


class Oracle:
    def __init__(self, version: str, program: AnsweringProgram) -> None:
        self.version = version
        self._program = program

    def ask(self, case: Case, enforced: Enforced | None) -> None:
        frame = None
        if enforced is not None:
            encoded = b"".join(encode_score(enforced.payload, request_id=1, params=enforced.params))
            frame = base64.b64encode(encoded).decode()
        question = {
            "inputs": case.inputs,
            "params": case.params,
            "envelope": case.envelope,
            "body": json.dumps(case.body),
            "given_params": json.dumps(case.given_params),
            "frame": frame,
        }
        self._program.send(question)

    def answer(self) -> dict[str, Any]:
        answer: dict[str, Any] = self._program.receive()
        return answer


@contextmanager
def oracle(version: str, python: Path, log: Path) -> Iterator[Oracle]:
    with answering(python, Path(__file__).with_name("oracle.py"), log) as program:
        yield Oracle(version, program)
