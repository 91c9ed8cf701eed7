"""The array shortcut: which models get arrays, how arrays are proven, and what turns them off."""

import contextlib
import sys
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.compose import ColumnTransformer, make_column_selector
from sklearn.experimental import enable_iterative_imputer  # noqa: F401  (makes IterativeImputer importable)
from sklearn.impute import IterativeImputer
from sklearn.linear_model import ElasticNet, Ridge
from sklearn.neighbors import KNeighborsRegressor
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from threadpoolctl import threadpool_limits

from data_plane.scoring.payload.result_json import result_to_json
from data_plane.scoring.payload.values import Payload
from data_plane.scoring.wire.encode import encode_score
from data_plane.worker import array_shortcut as module
from data_plane.worker.array_shortcut import ArrayShortcut, array_shortcut
from data_plane.worker.frames import FrameReader, unpack_meta
from data_plane.worker.same_result import difference
from tests.data_plane.replicas.worker_harness import PATIENCE, WorkerHarness, eventually
from tests.data_plane.worker.shortcut_models import (
    MIXED,
    MIXED_NUMBERS,
    NAMES,
    NUMBERS,
    SCRIPT,
    TARGET,
    block,
    estimators,
    fitted,
    requests,
    score,
    script_of,
    table,
    trust,
)

REQUEST = block([[1.0, 2.0, 3.0, 4.0]])
ANSWER_OF_THE_UNIVERSE = block([[42.0, 0.0, 0.0, 0.0]])

# A regression, trees of two libraries, a distance, a scaler before a regression, missing values, and several outputs.
SOME_ESTIMATORS = (
    "DecisionTreeClassifier",
    "ElasticNet",
    "GradientBoostingRegressor",
    "HistGradientBoostingClassifier",
    "KNeighborsRegressor",
    "LogisticRegression",
    "PLSRegression",
    "RandomForestRegressor",
    "SimpleImputer",
    "StandardScaler",
    "SVC",
    "VotingRegressor",
)


class Watched:
    """A script's `run` that records its inputs; `change` may change the answer to an array."""

    def __init__(
        self, model: Any, frame: pd.DataFrame = NUMBERS, change: Callable[[Any, Any], Any] | None = None
    ) -> None:
        self.script = script_of(model, frame)
        self.inputs: list[Any] = []
        self._change = change

    def __call__(self, input_data: Any, params: Any) -> Any:
        self.inputs.append(input_data)
        if self._change is not None and isinstance(input_data, np.ndarray):
            return self._change(input_data, self.script.predict)
        return self.script.predict(input_data)

    def shortcut(self, **environment: str) -> ArrayShortcut:
        return array_shortcut(self, self.script, environment)


def elastic_net(**more: Any) -> Watched:
    return Watched(ElasticNet(alpha=0.05).fit(NUMBERS, TARGET), **more)


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    lines: list[str] = []
    monkeypatch.setattr(module.output, "log", lambda level, message: lines.append(message))
    return lines


class TestTrust:
    def test_model_gets_arrays_after_16_requests_with_equal_results(self, log: list[str]) -> None:
        watched = elastic_net()
        shortcut = watched.shortcut()
        assert "Array shortcut on trial: " in log[0]
        for _ in range(16):
            watched.inputs.clear()
            score(shortcut, REQUEST)
            assert [type(each) for each in watched.inputs] == [pd.DataFrame, np.ndarray]
        watched.inputs.clear()
        result = score(shortcut, REQUEST)
        assert [type(each) for each in watched.inputs] == [np.ndarray]
        assert result.tobytes() == watched.script.predict(pd.DataFrame([[1.0, 2.0, 3.0, 4.0]], columns=NAMES)).tobytes()
        assert log[1] == "Array shortcut on: 16 requests had equal results"

    def test_setting_off_leaves_the_model_uncalled_before_the_first_request(self, log: list[str]) -> None:
        for setting in ("off", "OFF", "no"):
            watched = elastic_net()
            shortcut = watched.shortcut(MODELYARD_FAST_PATH=setting)
            assert watched.inputs == []
            score(shortcut, REQUEST)
            assert [type(each) for each in watched.inputs] == [pd.DataFrame]
        assert log[-1] == "Array shortcut off: MODELYARD_FAST_PATH is 'no'"

    def test_difference_at_load_turns_arrays_off(self, log: list[str]) -> None:
        watched = elastic_net(change=lambda array, predict: predict(array) + 1e-12)
        assert not watched.shortcut().is_on
        assert log == ["Array shortcut off from now on: the result from an array was not the same: other values"]

    @pytest.mark.parametrize(
        ("change", "words"),
        [
            (lambda answer: answer.astype("f4"), "the dtype float32 in place of float64"),
            (lambda answer: answer.reshape(-1, 1), "the shape"),
            (lambda answer: answer.tolist(), "a list in place of a ndarray"),
            (lambda answer: -answer * 0, "other values"),
        ],
        ids=["dtype", "shape", "type", "sign of zero"],
    )
    def test_kind_of_difference_is_logged(self, change: Any, words: str, log: list[str]) -> None:
        watched = Watched(Ridge().fit(NUMBERS, TARGET * 0), change=lambda array, predict: change(predict(array)))
        assert not watched.shortcut().is_on
        assert words in log[-1]

    def test_difference_on_trial_gives_the_result_of_the_dataframe(self, log: list[str]) -> None:
        watched = elastic_net(change=lambda array, predict: predict(array) + (array[0, 0] == 42))
        shortcut = watched.shortcut()
        assert shortcut.is_on
        result = score(shortcut, ANSWER_OF_THE_UNIVERSE)
        assert result == watched.script.predict(pd.DataFrame([[42.0, 0.0, 0.0, 0.0]], columns=NAMES))
        assert not shortcut.is_on
        assert "was not the same" in log[-1]

    def test_sample_of_later_requests_finds_a_difference(self) -> None:
        is_wrong = False
        watched = elastic_net(change=lambda array, predict: predict(array) + is_wrong)
        shortcut = watched.shortcut()
        trust(shortcut, REQUEST)
        is_wrong = True
        answers = [float(score(shortcut, REQUEST)[0]) for _ in range(256)]
        assert not shortcut.is_on
        assert len(set(answers[-10:])) == 2 or answers[-1] != answers[0]

    def test_result_of_the_dataframe_without_error_replaces_an_error_of_the_array(self, log: list[str]) -> None:
        def fail(array: Any, predict: Any) -> Any:
            if array[0, 0] == 42:
                array[:] = 0
                raise ValueError("only here")
            return predict(array)

        watched = elastic_net(change=fail)
        shortcut = watched.shortcut()
        trust(shortcut, REQUEST)
        assert shortcut.is_on
        expected = watched.script.predict(pd.DataFrame([[42.0, 0.0, 0.0, 0.0]], columns=NAMES))
        assert score(shortcut, ANSWER_OF_THE_UNIVERSE) == expected
        assert not shortcut.is_on
        assert "the array raised ValueError" in log[-1]

    def test_error_is_the_error_of_the_dataframe(self) -> None:
        watched = elastic_net()
        shortcut = watched.shortcut()
        missing = table([[1, 2, 3, 4]], ("double",) * 4, np.array([[True, False, False, False]]))
        for _ in range(2):
            watched.inputs.clear()
            with pytest.raises(ValueError, match="Input X contains NaN") as raised:
                score(shortcut, missing)
            assert raised.value.__context__ is None
            assert isinstance(watched.inputs[0 if shortcut._trials_left else -1], pd.DataFrame)
            trust(shortcut, REQUEST)
        assert shortcut.is_on

    def test_error_of_the_dataframe_alone_turns_arrays_off(self) -> None:
        watched = elastic_net(change=lambda array, predict: predict(np.nan_to_num(array)))
        assert not watched.shortcut().is_on

    def test_slow_calls_end_the_proof(self, monkeypatch: pytest.MonkeyPatch, log: list[str]) -> None:
        monkeypatch.setattr(module, "_MAX_CALL_SECONDS", 0.0)
        watched = elastic_net()
        assert not watched.shortcut().is_on
        assert len(watched.inputs) == 4
        assert "nothing to gain" in log[-1]

    def test_slow_requests_end_the_trial(self, monkeypatch: pytest.MonkeyPatch) -> None:
        watched = elastic_net()
        shortcut = watched.shortcut()
        monkeypatch.setattr(module, "_TRIAL_SECONDS", 0.0)
        score(shortcut, REQUEST)
        assert not shortcut.is_on

    def test_generated_requests_stop_at_the_time_limit(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(module, "_LOAD_SECONDS", 0.0)
        watched = elastic_net()
        assert watched.shortcut().is_on
        assert len(watched.inputs) == 4


class TestRequests:
    @pytest.mark.parametrize(
        "payload",
        [
            block([[1, 2, 3, 4]], NAMES[::-1]),
            block(np.zeros((0, 4))),
            table([[1, 2, 3, 4]], nulls=np.array([[False, True, False, False]])),
            table([[1, 2**60 + 1, 3, 4]]),
            table([[1, 2, 3, 4]], ("double",) * 4),
        ],
        ids=["other order", "no rows", "missing integer", "large integer", "other types"],
    )
    def test_request_without_an_equal_array_is_scored_from_a_dataframe(self, payload: Payload) -> None:
        watched = Watched(Ridge().fit(MIXED_NUMBERS, TARGET), MIXED_NUMBERS)
        shortcut = watched.shortcut()
        trust(shortcut, table([[1, 2, 3, 4]]))
        watched.inputs.clear()
        with contextlib.suppress(ValueError, TypeError):
            score(shortcut, payload)
        assert [type(each) for each in watched.inputs] == [pd.DataFrame]
        assert shortcut.is_on

    def test_payload_with_an_unknown_part_is_scored_from_a_dataframe(self) -> None:
        watched = elastic_net()
        shortcut = watched.shortcut()
        trust(shortcut, REQUEST)
        (frame,) = FrameReader().feed(b"".join(encode_score(REQUEST, request_id=1)))
        watched.inputs.clear()
        shortcut.score({**unpack_meta(frame.meta)["payload"], "index": None}, frame.body, None)
        assert [type(each) for each in watched.inputs] == [pd.DataFrame]

    @pytest.mark.parametrize(
        ("frame", "payload"),
        [
            (NUMBERS, REQUEST),
            (MIXED_NUMBERS, table([[1, 2, 3, 4]] * 3)),
            (NUMBERS.astype("int64"), table([[1, 2, 3, 4]], ("long",) * 4)),
        ],
        ids=["doubles", "mixed", "integers"],
    )
    def test_array_is_numpy_s_array_of_the_dataframe(self, frame: pd.DataFrame, payload: Payload) -> None:
        watched = Watched(Ridge().fit(frame, TARGET), frame)
        shortcut = watched.shortcut()
        watched.inputs.clear()
        score(shortcut, payload)
        frame, array = watched.inputs
        expected = np.asarray(frame)
        assert (array.dtype, array.shape, array.strides) == (expected.dtype, expected.shape, expected.strides)
        assert array.flags.writeable == expected.flags.writeable
        assert array.tobytes() == expected.tobytes()

    def test_model_that_writes_into_its_input_is_compared_on_the_same_numbers(self) -> None:
        def overwrite(array: Any, predict: Any) -> Any:
            answer = predict(array)
            if array.flags.writeable:
                array[:] = -1
            return answer

        watched = Watched(Ridge().fit(MIXED_NUMBERS, TARGET), MIXED_NUMBERS, overwrite)
        shortcut = watched.shortcut()
        trust(shortcut, table([[1, 2, 3, 4]]))
        assert shortcut.is_on


class TestWarnings:
    def test_no_warning_about_feature_names_reaches_the_log(self) -> None:
        watched = elastic_net()
        shortcut = watched.shortcut()
        with warnings.catch_warnings(record=True) as caught:
            for _ in range(18):
                score(shortcut, REQUEST)
        assert isinstance(watched.inputs[-1], np.ndarray)
        assert caught == []

    def test_model_that_warns_about_a_dataframe_keeps_the_dataframe(self, log: list[str]) -> None:
        # Fitted without names: scikit-learn warns about the names of each DataFrame.
        watched = Watched(Ridge().fit(NUMBERS.to_numpy(), TARGET))
        assert not watched.shortcut().is_on
        assert "warns about a DataFrame" in log[-1]


def _logarithm(frame: Any) -> Any:
    return frame


class _OwnRidge(Ridge):  # type: ignore[misc]
    pass


def _distance(one: Any, other: Any) -> float:
    return float(abs(one - other).sum())


def _by_names(columns: Any) -> Pipeline:
    return make_pipeline(ColumnTransformer([("scale", StandardScaler(), columns)]), Ridge())


class TestLeftAlone:
    @pytest.mark.parametrize(
        ("model", "words"),
        [
            (_by_names(["a", "b"]), "selects columns by name"),
            (_by_names(slice("a", "b")), "selects columns by name"),
            (_by_names(make_column_selector("a|b")), "selects columns by name"),
            (make_pipeline(StandardScaler().set_output(transform="pandas"), Ridge()), "set_output"),
            (make_pipeline(FunctionTransformer(_logarithm), Ridge()), "test_array_shortcut._logarithm"),
            (make_pipeline(FunctionTransformer(np.vectorize(float)), Ridge()), "numpy.vectorize"),
            (make_pipeline(FunctionTransformer(np.frompyfunc(float, 1, 1)), Ridge()), "numpy.ufunc"),
            (KNeighborsRegressor(metric=_distance), "test_array_shortcut._distance"),
            (_OwnRidge(), "test_array_shortcut._OwnRidge"),
            (Pipeline([("own", _OwnRidge())], verbose=False), "test_array_shortcut._OwnRidge"),
            (Pipeline([("ridge", Ridge())], verbose=True), "Pipeline is verbose"),
            (make_pipeline(IterativeImputer(sample_posterior=True), Ridge()), "may draw random numbers"),
        ],
        ids=[
            "names",
            "slice of names",
            "selector",
            "set_output",
            "own function",
            "vectorize",
            "frompyfunc",
            "own metric",
            "own class",
            "own class in a pipeline",
            "verbose",
            "random imputer",
        ],
    )
    def test_model_that_may_observe_the_dataframe_or_the_proof_is_not_called(
        self, model: Any, words: str, log: list[str]
    ) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            watched = Watched(model.fit(NUMBERS, TARGET))
        assert not watched.shortcut().is_on
        assert watched.inputs == []
        assert words in log[-1]

    def test_columns_by_position_take_arrays(self) -> None:
        assert Watched(_by_names([0, 1]).fit(NUMBERS, TARGET)).shortcut().is_on

    def test_text_column_needs_a_dataframe(self, log: list[str]) -> None:
        frame = NUMBERS.assign(d="x")
        watched = Watched(Ridge().fit(NUMBERS, TARGET), frame)
        assert not watched.shortcut().is_on
        assert log == ["Array shortcut off: the column 'd' is a string, not a number"]

    def test_loader_of_custom_models_needs_a_dataframe(self, log: list[str]) -> None:
        script = script_of(Ridge().fit(NUMBERS, TARGET), NUMBERS, loader="mlflow.pyfunc.model")
        assert not array_shortcut(lambda data, params: script.predict(data), script, {}).is_on
        assert "may observe a DataFrame" in log[-1]

    def test_script_of_the_user_is_left_alone_silently(self, log: list[str]) -> None:
        watched = elastic_net()
        watched.script.ACCEPTS_ARRAY = None
        assert not watched.shortcut().is_on
        assert (watched.inputs, log) == ([], [])

    def test_random_answers_turn_arrays_off(self) -> None:
        random = np.random.default_rng(1)
        watched = elastic_net(change=lambda array, predict: random.random(len(array)))
        assert not watched.shortcut().is_on


class TestWorker:
    @pytest.mark.parametrize(
        ("setting", "line"),
        [
            ("on", "Array shortcut on: 16 requests had equal results"),
            ("off", "Array shortcut off: MODELYARD_FAST_PATH"),
        ],
    )
    def test_log_of_the_worker_tells_about_the_shortcut(self, setting: str, line: str) -> None:
        with tempfile.TemporaryDirectory(prefix="my-harness-") as folder:
            harness = WorkerHarness(Path(folder), Path(sys.executable))
            try:
                worker, connection = harness.ready(SCRIPT, environment_variables={"MODELYARD_FAST_PATH": setting})
                results = [connection.score(REQUEST, timeout=PATIENCE) for _ in range(18)]
                assert len({result_to_json(result) for result in results}) == 1
                eventually(lambda: line in worker.log.read_text())
                assert "valid feature names" not in worker.log.read_text()
            finally:
                harness.end()


def _unequal(estimator: str, count: int) -> list[str]:
    """Differences between a DataFrame and the shortcut, over both data sets and both predict functions."""
    found = []
    for frame, kinds in ((NUMBERS, ("double",) * 4), (MIXED_NUMBERS, MIXED)):
        model = fitted(estimators()[estimator], frame)
        for method in ("predict", "predict_proba") if model is not None else ():
            if not hasattr(model, method):
                continue
            script = script_of(model, frame, method=method)
            run = lambda data, params, script=script: script.predict(data)  # noqa: E731
            shortcut, plain = array_shortcut(run, script, {}), ArrayShortcut(run)
            for payload in requests(kinds, count):
                expected, actual = _outcome(plain, payload), _outcome(shortcut, payload)
                if isinstance(expected, str) or isinstance(actual, str):
                    unequal = None if expected == actual else f"{expected} and {actual}"
                else:
                    unequal = difference(expected[0], actual[0])
                if unequal is not None:
                    found.append(f"{estimator}.{method}: {unequal}")
    return found


def _outcome(shortcut: ArrayShortcut, payload: Payload) -> Any:
    try:
        return (score(shortcut, payload),)
    except Exception as error:  # noqa: BLE001 - the errors are compared
        return repr(error)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("estimator", "count"),
    [
        pytest.param(name, 22, id=name)
        if name in SOME_ESTIMATORS
        else pytest.param(name, 40, id=name, marks=pytest.mark.long)
        for name in sorted(estimators())
    ],
)
def test_shortcut_is_off_or_equal_to_the_bit(estimator: str, count: int) -> None:
    # Threads that wait for each other on a busy machine would make the test slow.
    with threadpool_limits(1):
        assert _unequal(estimator, count) == []
