# ruff: noqa: E402 - imports need the path from the command line
"""Save models with their examples, and answer requests by MLflow's own scoring server and by the model worker's code.

Runs in an environment with some version of MLflow, and reads and writes JSON lines.
"""

import base64
import json
import os
import sys
import tempfile
import warnings

replies = os.fdopen(os.dup(1), "w")
os.dup2(2, 1)
MODELS_OF_THE_BUILDER = os.path.join(sys.argv[1], "tests", "builder", "mlflow_models")
sys.path[:0] = [os.path.dirname(os.path.abspath(__file__)), MODELS_OF_THE_BUILDER, sys.argv[1]]
warnings.simplefilter("ignore")
os.environ.update(GIT_PYTHON_REFRESH="quiet", MLFLOW_TRACKING_URI=tempfile.mkdtemp())

import logging

import mlflow.pyfunc
from mlflow.pyfunc import scoring_server
from models import EXTRA_REQUESTS, MODELS, VERSION, save

from data_plane.worker.array_shortcut import array_shortcut
from data_plane.worker.channel import ScoreJob
from data_plane.worker.configuration import Configuration
from data_plane.worker.frames import FrameReader, unpack_meta
from data_plane.worker.scorer import Scorer
from data_plane.worker.script import Script
from data_plane.worker.state import WorkerState

logging.disable(logging.WARNING)
SERVED = "_MLFLOW_IS_IN_SERVING_ENVIRONMENT"
EXAMPLES = ("serving_input_example.json", "input_example.json")


class Recorder:
    """The other end of the worker's connection."""

    closed = False
    max_answer_bytes = None

    def send(self, buffers):
        self.sent = b"".join(map(bytes, buffers))


class OneJob:
    """The channel of a worker with one request."""

    def __init__(self, job):
        self._left = [job, None]

    def next_job(self):
        return self._left.pop(0)

    def finish(self, job):
        pass


def saved_models(folder, names):
    """Save the models; return the files of examples, and the error of a model that this MLflow does not save."""
    saved, failed = {}, {}
    for name in names or [name for name, (since, _) in MODELS.items() if since <= VERSION]:
        path = os.path.join(folder, name, "model")
        os.environ.pop(SERVED, None)
        try:
            save(name, path)
        except Exception as error:  # noqa: BLE001 - told to the test
            failed[name] = repr(error)[:300]
            continue
        saved[name] = {
            "examples": {file: text(path, file) for file in EXAMPLES if os.path.exists(os.path.join(path, file))},
            "more": EXTRA_REQUESTS.get(name, []),
        }
    return {"saved": saved, "failed": failed}


def text(path, file):
    with open(os.path.join(path, file)) as opened:
        return opened.read()


def answers(folder, requests):
    """The answers of MLflow's server, and the worker's frames. Each side loads the model and sets its own variables."""
    os.environ.pop(SERVED, None)
    theirs = mlflows_server(mlflow.pyfunc.load_model(os.path.join(folder, "model")))
    by_mlflow = [theirs(base64.b64decode(request["body"]), request["type"]) for request in requests]
    os.environ.pop(SERVED, None)
    os.environ["AZUREML_MODEL_DIR"] = folder
    script = Script(folder)
    shortcut = array_shortcut(script.run, script.module, os.environ)
    by_worker = [request["frame"] and scored(shortcut, base64.b64decode(request["frame"])) for request in requests]
    return [{"mlflow": theirs, "worker": ours} for theirs, ours in zip(by_mlflow, by_worker, strict=True)]


def mlflows_server(model):
    app = scoring_server.init(model)
    if hasattr(app, "test_client"):

        def ask(body, content_type):
            answer = app.test_client().post("/invocations", data=body, headers={"Content-Type": content_type})
            return [answer.status_code, answer.get_data(as_text=True)]

        return ask
    from starlette.testclient import TestClient

    client = TestClient(app, raise_server_exceptions=False)

    def ask_fastapi(body, content_type):
        answer = client.post("/invocations", content=body, headers={"Content-Type": content_type})
        return [answer.status_code, answer.text]

    return ask_fastapi


def scored(shortcut, frame):
    (read,) = FrameReader().feed(frame)
    peer = Recorder()
    job = ScoreJob(peer, read.request_id, unpack_meta(read.meta), read.body)
    state = WorkerState(Configuration("w", "e", "d", 1, "", 0.0, 0.0, {}))
    Scorer(shortcut, OneJob(job), state).run()
    return base64.b64encode(peer.sent).decode()


for line in sys.stdin:
    asked = json.loads(line)
    replied = (
        saved_models(asked["folder"], asked["names"])
        if asked["what"] == "save"
        else answers(asked["folder"], asked["requests"])
    )
    replies.write(json.dumps(replied) + "\n")
    replies.flush()
