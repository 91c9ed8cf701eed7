"""Several versions of MLflow, each in a separate environment with a long-lived process that answers requests."""

import base64
import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from data_plane.scoring.signature import Enforced
from data_plane.scoring.wire.encode import encode_score
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
_REPOSITORY = Path(__file__).parents[5]


def environment(version: str) -> Path:
    """Return the python of an environment with the version of MLflow."""
    minor, beside = ENVIRONMENTS[version]
    return cached_environment(interpreters().get(minor, sys.executable), [f"mlflow-skinny=={version}", *beside])


class Oracle:
    def __init__(self, version: str, process: "subprocess.Popen[str]") -> None:
        self.version = version
        self._process = process

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
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(question) + "\n")
        self._process.stdin.flush()

    def answer(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line, f"the oracle of MLflow {self.version} has died"
        answer: dict[str, Any] = json.loads(line)
        return answer


@contextmanager
def oracle(version: str, python: Path, log: Path) -> Iterator[Oracle]:
    program = Path(__file__).with_name("oracle.py")
    with log.open("w") as errors:
        process = subprocess.Popen(
            [python, "-I", program, _REPOSITORY],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
        )
        try:
            yield Oracle(version, process)
        finally:
            assert process.stdin is not None
            assert process.stdout is not None
            process.stdin.close()
            process.wait(30)
            process.stdout.close()
