"""Requests that share a predict call: each caller gets the same answer as without a batch.

The models write the row count of each call to a file, and wait while a gate exists for one of the rows. The gateway's
table has the number of pending requests. So a test knows when all requests of the test wait.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import mlflow.sklearn
import numpy
import pandas
import pytest
from mlflow.models import infer_signature
from sklearn.ensemble import RandomForestRegressor
from sklearn.linear_model import ElasticNet

from modelyard.core.domain.routing import DeploymentRoute
from tests.data_plane.gateway.gateway_process import DOUBLES, KEY, GatewayProcess, Reply
from tests.data_plane.gateway.logged_models import logged
from tests.data_plane.replicas.worker_harness import eventually

WATCHED = """
import os, time

CALLS, GATES = {calls!r}, {gates!r}

def run(input_data, params=None):
    alcohol = list(input_data["alcohol"])
    with open(CALLS, "a") as file:
        file.write(f"{{len(alcohol)}}\\n")
    while any(os.path.exists(os.path.join(GATES, str(int(value)))) for value in alcohol):
        time.sleep(0.005)
    return predict(input_data, params)

def init():
    pass
"""
TRAINED = """
def init():
    global model
    import numpy, pandas
    from sklearn.ensemble import GradientBoostingRegressor, RandomForestClassifier, RandomForestRegressor
    from sklearn.linear_model import ElasticNet, LinearRegression, LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    numbers = numpy.random.default_rng(3)
    known = pandas.DataFrame(numbers.uniform(0, 100, (300, 2)), columns=["alcohol", "acidity"])
    target = known["alcohol"] * 3 + numpy.sin(known["acidity"]) * 40 + numbers.normal(size=300)
    model = {model}
    model.fit(known, (target / 50).round())

def predict(frame, params):
    return (model.predict_proba if hasattr(model, "predict_proba") else model.predict)(frame)
"""
TREES = {
    "a forest": "RandomForestRegressor(n_estimators=40, random_state=7)",
    "boosted trees": "GradientBoostingRegressor(n_estimators=40, random_state=7)",
    "a forest that classifies": "RandomForestClassifier(n_estimators=20, random_state=7)",
}
LINEAR = {
    "elastic net": "ElasticNet(alpha=0.01)",
    "least squares": "LinearRegression()",
    "a pipeline's probabilities": "make_pipeline(StandardScaler(), LogisticRegression())",
}
# The script that is generated for a model of MLflow, in a separate namespace.
GENERATED = """
generated = {{}}
exec({source!r}, generated)

def init():
    generated["init"]()

def predict(frame, params):
    return generated["run"](frame, params)
"""
HOLDING, POISON = 7001, 666
SUM = """
def predict(frame, params):
    return (frame["alcohol"] + frame["acidity"]).to_numpy()
"""
LABELS = """
def predict(frame, params):
    return [f"wine {value:.0f}" for value in frame["alcohol"]]
"""
RECORDS = """
def predict(frame, params):
    return frame.assign(label=[f"wine {value:.0f}" for value in frame["alcohol"]])
"""
RAISES = """
def predict(frame, params):
    if (frame["alcohol"] == 666).any():
        raise ZeroDivisionError("there is no such wine")
    return frame["alcohol"].to_numpy()
"""
EXITS = """
def predict(frame, params):
    if (frame["alcohol"] == 666).any():
        os._exit(9)
    return frame["alcohol"].to_numpy()
"""
OVERFLOWS = """
def predict(frame, params):
    return frame["alcohol"].repeat([200_000 if value == 666 else 1 for value in frame["alcohol"]]).to_numpy()
"""
RUNNING_SUM = """
def predict(frame, params):
    return frame["alcohol"].cumsum().to_numpy()
"""
MEAN = """
def predict(frame, params):
    return {"mean": float(frame["alcohol"].mean())}
"""
LABELLED = """
def predict(frame, params):
    labels = frame.index if frame.index.dtype == object or str(frame.index.dtype) == "str" else [""] * len(frame)
    return [f"{label}: {value:.0f}" for label, value in zip(labels, frame["alcohol"])]
"""
SCALED = """
def predict(frame, params):
    return (frame["alcohol"] * params["factor"]).to_numpy()
"""
COLUMN = """
def predict(frame, params):
    return list(frame["alcohol"])
"""


def save_sklearn(model: Any, known: pandas.DataFrame, folder: Path) -> None:
    options = {"serialization_format": "cloudpickle", "pip_requirements": ["scikit-learn"]}
    mlflow.sklearn.save_model(model, folder, signature=infer_signature(known), **options)


Ask = Callable[[], "Future[Reply]"]


class Wines:
    """A deployment under test, and requests that wait for the model at the same time."""

    def __init__(self, gateway: GatewayProcess, folder: Path, threads: ThreadPoolExecutor) -> None:
        self.gateway = gateway
        self._threads = threads
        self._workers = 1
        self._calls = folder / "calls"
        self._gates = folder / "gates"
        self._gates.mkdir()
        self._gates.chmod(0o755)
        self._calls.touch()
        self._calls.chmod(0o666)

    def serve(self, model: str, *, instances: int = 1, **options: Any) -> None:
        self._workers = instances
        self.gateway.endpoint(self._deployment(model, instances=instances, **options))
        self.gateway.publish()

    def serve_logged(self, model: Any) -> None:
        """Serve a logged model with the generated script."""
        known = pandas.DataFrame(numpy.random.default_rng(3).uniform(0, 100, (300, 2)), columns=["alcohol", "acidity"])
        fitted = model.fit(known, known["alcohol"] * 3 + numpy.sin(known["acidity"]) * 40)
        source, logged_model = logged(self.gateway, type(model).__name__, partial(save_sklearn, fitted, known))
        assert logged_model.signature is not None
        self.serve(GENERATED.format(source=source), inputs=logged_model.signature.inputs)

    def _deployment(self, model: str, **options: Any) -> DeploymentRoute:
        # Trained models define another `init`, which replaces the empty `init`.
        script = WATCHED.format(calls=str(self._calls), gates=str(self._gates)) + model
        # A held call takes long; the throughput estimate must not make the next batches small.
        route, _ = self.gateway.deployment(script, **{"inputs": DOUBLES, "request_timeout_seconds": 300, **options})
        return route

    @property
    def calls(self) -> list[int]:
        """Return the row count of each call."""
        return [int(line) for line in self._calls.read_text().splitlines()]

    def gate(self, alcohol: int) -> Path:
        """Create the gate of a row: while the file exists, no call with the row ends."""
        file = self._gates / str(alcohol)
        file.touch()
        return file

    def ask(self, *rows: Sequence[float], **more: Any) -> "Future[Reply]":
        return self._threads.submit(self.gateway.score, {"columns": ["alcohol", "acidity"], "data": rows}, **more)

    def ask_data(self, labels: dict[str, Any], *rows: Sequence[float]) -> "Future[Reply]":
        return self._threads.submit(self.gateway.score, {"columns": ["alcohol", "acidity"], "data": rows, **labels})

    def at_once(self, *asking: Ask) -> list[Reply]:
        """Send the requests while a held request occupies each worker, then release the held requests."""
        gate = self.gate(HOLDING)
        before = len(self.calls)
        holding = [self.ask((HOLDING, 0)) for _ in range(self._workers)]
        eventually(lambda: len(self.calls) == before + len(holding))
        asked = [ask() for ask in asking]
        eventually(lambda: self.gateway.pending() == len(asked) + len(holding))
        gate.unlink()
        assert {future.result().status for future in holding} == {200}
        return [future.result() for future in asked]

    def rows_at_once(self, *rows: Sequence[float]) -> list[Reply]:
        return self.at_once(*(partial(self.ask, row) for row in rows))

    def finish_trials(self) -> None:
        """Send requests until the trial batches are over, so that callers get the results of batches."""
        assert {reply.status for reply in self.rows_at_once(*((at, 1) for at in range(60)))} == {200}


@pytest.fixture
def wines(gateway: GatewayProcess, tmp_path: Path) -> Iterator[Wines]:
    with ThreadPoolExecutor(100) as threads:
        yield Wines(gateway, tmp_path, threads)


def values(replies: Sequence[Reply]) -> list[Any]:
    assert {reply.status for reply in replies} == {200}, replies
    return [reply.json for reply in replies]


HEADERS = {"Authorization": f"Bearer {KEY}", "Content-Type": "application/json"}
ROWS = [(at * 1.37, 100 - at * 0.71) for at in range(60)]


class TestEqualAnswers:
    @pytest.mark.parametrize("model", TREES.values(), ids=TREES.keys())
    def test_trees_answer_bit_for_bit_as_without_batches(self, wines: Wines, model: str) -> None:
        wines.serve(TRAINED.format(model=model))
        batched, alone = _both_answers(wines)
        assert batched == alone

    @pytest.mark.parametrize("model", LINEAR.values(), ids=LINEAR.keys())
    def test_models_on_blas_differ_in_the_last_digits_at_most(self, wines: Wines, model: str) -> None:
        wines.serve(TRAINED.format(model=model))
        batched, alone = _both_answers(wines)
        numpy.testing.assert_allclose(batched, alone, rtol=1e-12, atol=0)

    @pytest.mark.parametrize("model", [RandomForestRegressor(40, random_state=7), ElasticNet(alpha=0.01)])
    def test_models_that_mlflow_logged_answer_as_without_batches(self, wines: Wines, model: Any) -> None:
        wines.serve_logged(model)
        batched, alone = _both_answers(wines)
        numpy.testing.assert_allclose(batched, alone, rtol=1e-12 if isinstance(model, ElasticNet) else 0, atol=0)

    def test_requests_of_several_rows_get_their_own_rows(self, wines: Wines) -> None:
        wines.serve(SUM)
        wines.finish_trials()
        sizes = [1, 3, 2, 5, 1, 4]
        asking = [partial(wines.ask, *((at, size) for at in range(size))) for size in sizes]
        assert values(wines.at_once(*asking)) == [[at + size for at in range(size)] for size in sizes]
        assert wines.calls[-1] == sum(sizes)

    def test_frame_result_is_split_by_rows(self, wines: Wines) -> None:
        wines.serve(RECORDS)
        wines.finish_trials()
        expected = [[{"alcohol": at, "acidity": 2, "label": f"wine {at}"}] for at in range(8)]
        assert values(wines.rows_at_once(*((at, 2) for at in range(8)))) == expected
        assert wines.calls[-1] == 8

    def test_label_result_is_split_by_rows(self, wines: Wines) -> None:
        wines.serve(LABELS)
        wines.finish_trials()
        assert values(wines.rows_at_once(*((at, 2) for at in range(8)))) == [[f"wine {at}"] for at in range(8)]
        assert wines.calls[-1] == 8


class TestOtherRequests:
    def test_a_row_that_makes_the_model_raise_harms_only_its_own_request(self, wines: Wines) -> None:
        wines.serve(RAISES)
        wines.finish_trials()
        replies = wines.rows_at_once((1, 1), (2, 1), (POISON, 1), (3, 1))
        assert 4 in wines.calls
        assert [reply.status for reply in replies] == [200, 200, 424, 200]
        assert "ZeroDivisionError" in replies[2].error["message"]
        assert [replies[at].json for at in (0, 1, 3)] == [[1], [2], [3]]

    def test_a_row_that_ends_the_worker_harms_only_its_own_request(self, wines: Wines) -> None:
        # Of four workers the batch ends one, and the row alone ends two before the row is taken for the cause.
        wines.serve(EXITS, instances=4)
        wines.finish_trials()
        replies = wines.rows_at_once((1, 1), (2, 1), (POISON, 1), (3, 1))
        assert [reply.status for reply in replies] == [200, 200, 424, 200]
        assert replies[2].error["code"] == "WorkerDied"
        assert [replies[at].json for at in (0, 1, 3)] == [[1], [2], [3]]

    def test_200_000_outputs_for_one_row_reach_no_other_caller(self, wines: Wines) -> None:
        wines.serve(OVERFLOWS)
        wines.finish_trials()
        before, overflowing, after = values(wines.rows_at_once((1, 1), (POISON, 1), (3, 1)))
        assert (before, overflowing == [POISON] * 200_000, after) == ([1], True, [3])
        assert "Batching is off" in wines.gateway.log.read_text()

    def test_model_that_depends_on_earlier_rows_is_detected_before_any_caller_gets_its_result(
        self, wines: Wines
    ) -> None:
        wines.serve(RUNNING_SUM)
        assert values(wines.rows_at_once(*((at, 1) for at in range(40)))) == [[at] for at in range(40)]
        assert max(wines.calls) > 1
        log = wines.gateway.log.read_text()
        assert log.count("Batching is off") == 1
        assert "not the same alone and in a batch" in log

    def test_model_without_one_result_per_row_gets_no_batch(self, wines: Wines) -> None:
        wines.serve(MEAN)
        assert values(wines.rows_at_once(*((at, 1) for at in range(10)))) == [{"mean": at} for at in range(10)]
        assert set(wines.calls) == {1}

    def test_a_caller_that_hangs_up_frees_its_place_in_a_batch(self, wines: Wines) -> None:
        wines.serve(SUM)
        wines.finish_trials()
        held, before = wines.gate(2), len(wines.calls)
        first = wines.gate(HOLDING)
        holding = wines.ask((HOLDING, 0))
        eventually(lambda: len(wines.calls) > before)
        impatient = wines.gateway.connection()
        body = json.dumps({"input_data": {"columns": ["alcohol", "acidity"], "data": [[2, 1]]}})
        impatient.request("POST", "/wines/score", body, HEADERS)
        patient = wines.ask((3, 1))
        eventually(lambda: wines.gateway.pending() == 3)
        first.unlink()
        assert holding.result().status == 200
        eventually(lambda: wines.calls[-1] == 2)
        impatient.close()
        eventually(lambda: wines.gateway.pending() == 1)
        held.unlink()
        assert patient.result().json == [4]


class TestBatches:
    def test_row_labels_stay_with_the_rows_of_their_request(self, wines: Wines) -> None:
        """Requests with labels share a batch; so do requests without."""
        wines.serve(LABELLED)
        wines.finish_trials()

        def ask(at: int) -> "Future[Reply]":
            return wines.ask_data({"index": [f"wine {at}"]} if at % 2 else {}, (at, 1))

        replies = wines.at_once(*(partial(ask, at) for at in range(16)))
        assert values(replies) == [[f"wine {at}: {at}" if at % 2 else f": {at}"] for at in range(16)]
        assert wines.calls[-2:] == [8, 8]

    def test_only_equal_params_share_a_batch(self, wines: Wines) -> None:
        wines.serve(SCALED, params='[{"name": "factor", "type": "long", "default": 1, "shape": null}]')
        wines.finish_trials()
        asking = [partial(wines.ask, (at, 1), params={"factor": at % 2 + 1}) for at in range(20)]
        assert values(wines.at_once(*asking)) == [[at * (at % 2 + 1)] for at in range(20)]
        assert wines.calls[-2:] == [10, 10]

    @pytest.mark.parametrize("options", [{"batching": "off"}, {"inputs": None}], ids=["switched off", "no signature"])
    def test_model_without_batching_gets_one_request_at_a_time(self, wines: Wines, options: dict[str, Any]) -> None:
        wines.serve(COLUMN, **options)
        assert values(wines.rows_at_once(*((at, 1) for at in range(20)))) == [[at] for at in range(20)]
        assert set(wines.calls) == {1}

    def test_batching_on_batches_a_model_without_a_signature(self, wines: Wines) -> None:
        wines.serve(SUM, inputs=None, batching="on")
        wines.finish_trials()
        assert values(wines.rows_at_once(*((at, 1) for at in range(8)))) == [[at + 1] for at in range(8)]
        assert wines.calls[-1] == 8

    def test_batch_has_at_most_max_batch_rows(self, wines: Wines) -> None:
        wines.serve(SUM, max_batch_rows=3)
        wines.finish_trials()
        wines.rows_at_once(*((at, 1) for at in range(12)))
        assert max(wines.calls) == 3

    def test_batch_waits_for_max_batch_delay(self, wines: Wines) -> None:
        wines.serve(SUM, max_batch_rows=2, max_batch_delay_seconds=5)
        for _ in range(12):
            pair = [wines.ask((1, 1)), wines.ask((2, 1))]
            assert values([future.result() for future in pair]) == [[2], [3]]
        assert wines.calls[-1] == 2


def _both_answers(wines: Wines) -> tuple[list[Any], list[Any]]:
    """Answers to the rows in batches, and to each row in a call of its own."""
    wines.finish_trials()
    batched = values(wines.rows_at_once(*ROWS))
    assert wines.calls[-1] > 1
    before = len(wines.calls)
    alone = values([wines.ask(row).result() for row in ROWS])
    assert wines.calls[before:] == [1] * len(ROWS)
    return batched, alone
