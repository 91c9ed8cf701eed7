"""Time a deployment whose environment is known, step by step: from the PUT to the first answer.

The platform builds the environment with the first deployment. Each further deployment has the same model and a name of
its own. The steps come from the platform's audit events, the worker's log, /proc and the client, all on the clock of
one machine. For comparison, a Python program of the deployment's environment imports MLflow and loads the model without
the platform.
"""

import json
import math
import re
import subprocess
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from statistics import median

from benchmarks.models import SavedModel
from benchmarks.processes import command_line, started_at, tree
from benchmarks.servers.environments import clean_environ
from benchmarks.servers.server import split
from modelyard.client import Client
from modelyard.client.deploying import FolderDeployment, deploy_folder
from modelyard.demo.temporary_platform import temporary_platform

Say = Callable[[str], None]

MODEL_STEP = "import and load of the model"
STEPS: Mapping[str, str] = {
    "PUT": "the control plane checks the request and commits deployment, generation and operation",
    "claim": "the message reaches a builder, which takes the lease of the generation",
    "build": "the builder finds the environment by its hash, writes `score.py` and the bundle",
    "preparation": "the host reads the generation, finds bundle and environment, and starts the worker's shim",
    "start of the worker": "shim, sandbox and account, the interpreter twice, until the worker listens",
    MODEL_STEP: "`score.py` imports MLflow and the flavor's packages and loads the model",
    "proof of the array shortcut": "generated requests, predicted from a DataFrame and from an array",
    "ready": "the host sees the ready worker and commits the serving generation with a routing revision",
    "routing": "the host publishes the snapshot, the gateways apply it, the operation is `Succeeded`",
    "client": "the client asks again for the state of the operation",
    "first answer": "the first request, from the client's call to the prediction",
}
"""The steps in their order, with the work that each does."""

_ENDPOINT = "known-environment"
_LOG_SECONDS = 30.0
_LINE = re.compile(r"^(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d),(\d{3}) .*? modelyard - (.*)$", re.MULTILINE)
_PROOF = re.compile(r"\((\d+) ms\)")
_OWN = """
import sys, time
begun = time.perf_counter()
import mlflow.pyfunc
mlflow.pyfunc.load_model(sys.argv[1])
print(time.perf_counter() - begun)
"""


class StepMissing(Exception):
    """The platform recorded no moment for a step."""


@dataclass(slots=True)
class DeploySteps:
    """Seconds, an entry per deployment."""

    steps: dict[str, list[float]] = field(default_factory=lambda: {name: [] for name in STEPS})
    whole: list[float] = field(default_factory=list)
    """From the PUT to the first answer: the sum of the steps."""
    without_platform: list[float] = field(default_factory=list)
    """Import of MLflow and load of the model, in a program of the same environment."""

    def add(self, moments: Mapping[str, float]) -> None:
        """Add a deployment. `moments` are the end of each step, and "begin". Raises StepMissing."""
        if missing := STEPS.keys() - moments.keys():
            raise StepMissing(f"the platform recorded no moment for {', '.join(sorted(missing))}")
        before = moments["begin"]
        for name in STEPS:
            self.steps[name].append(moments[name] - before)
            before = moments[name]
        self.whole.append(before - moments["begin"])

    @property
    def ours(self) -> float:
        """Return the median of what is not the model's own import and load. NaN: not measured."""
        own = self.steps[MODEL_STEP]
        return median(whole - model for whole, model in zip(self.whole, own, strict=True)) if own else math.nan


def measure(model: SavedModel, folder: Path, environment: Mapping[str, str], rounds: int, say: Say) -> DeploySteps:
    """Deploy once to build the environment, then `rounds` times with the clock running. Raises StepMissing."""
    found = DeploySteps()
    with temporary_platform(folder, environment) as platform, Client(platform) as client:
        deploy_folder(client, FolderDeployment(model.folder, endpoint=_ENDPOINT))
        say("deploy: the environment is built")
        python = next((folder / "data" / "environments").glob("*/bin/python"))
        for number in range(rounds):
            found.add(_deploy(client, model, f"round-{number}", folder / "data"))
            found.without_platform.append(_seconds_without_platform(python, model.folder))
            own = found.steps[MODEL_STEP][-1]
            say(f"deploy: {found.whole[-1]:.2f} s, of which {own:.2f} s are the model's import and load")
            client.online_deployments.delete(_ENDPOINT, f"round-{number}").wait()
    return found


def _deploy(client: Client, model: SavedModel, name: str, data_dir: Path) -> dict[str, float]:
    """Return the end of each step, in seconds since the epoch, and the beginning."""
    body = json.dumps({"input_data": split(model.rows.head(1))}).encode()
    document = {"name": name, "endpoint_name": _ENDPOINT, "model": client.models.get(_ENDPOINT)["id"]}
    supervisor = json.loads((data_dir / "run" / "supervisor.json").read_text())["pid"]
    earlier = set(tree(supervisor))
    moments = {"begin": time.time()}
    change = client.put_deployment(document, model.folder)
    moments["PUT"] = time.time()
    change.wait()
    moments["client"] = time.time()
    client.invoke(_ENDPOINT, body, deployment=name)
    moments["first answer"] = time.time()
    started = [started_at(pid) for pid in tree(supervisor) if pid not in earlier and "worker-" in command_line(pid)]
    moments["preparation"] = min(started)
    return moments | _of_the_platform(client, name) | _of_the_worker(client, name)


def _of_the_platform(client: Client, name: str) -> dict[str, float]:
    named = {"start": "claim", "build": "build", "serve": "ready", "succeed": "routing"}
    resource = f"onlineEndpoints/{_ENDPOINT}/deployments/{name}"
    events = [event["properties"] for event in client.events.list(resource=resource)]
    return {
        named[event["action"]]: datetime.fromisoformat(event["eventTimestamp"]).timestamp()
        for event in events
        if event["action"] in named
    }


def _of_the_worker(client: Client, name: str) -> dict[str, float]:
    """Read the log, which the host ships every second."""
    deadline = time.monotonic() + _LOG_SECONDS
    moments: dict[str, float] = {}
    while "proof of the array shortcut" not in moments and time.monotonic() < deadline:
        time.sleep(0.2)
        moments = moments_of_log(client.online_deployments.logs(_ENDPOINT, name, lines=200))
    return moments


def moments_of_log(log: str) -> dict[str, float]:
    """Return the ends of the worker's steps from the lines that a worker writes until it is ready."""
    moments: dict[str, float] = {}
    proof = 0.0
    for day_and_time, milliseconds, message in _LINE.findall(log):
        second = datetime.strptime(day_and_time, "%Y-%m-%d %H:%M:%S").replace(tzinfo=UTC).timestamp()
        now = second + int(milliseconds) / 1000
        if message.startswith("Worker started"):
            moments["start of the worker"] = now
        elif message.startswith("Array shortcut on trial") and (took := _PROOF.search(message)):
            proof = int(took[1]) / 1000
        elif message.startswith("Worker ready"):
            moments[MODEL_STEP] = now - proof
            moments["proof of the array shortcut"] = now
    return moments


def _seconds_without_platform(python: Path, model: Path) -> float:
    done = subprocess.run(
        [python, "-I", "-W", "ignore", "-c", _OWN, model],
        env=clean_environ(),
        cwd="/",
        capture_output=True,
        text=True,
        check=True,
    )
    return float(done.stdout.split()[-1])
