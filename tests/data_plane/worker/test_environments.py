"""Frames in environments with other versions of pandas and numpy: dtypes as enforced by their MLflow."""

import json
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from data_plane.scoring.payload.result_json import result_to_json
from data_plane.scoring.payload.values import ArrayPayload, ArraysPayload, Column, FramePayload, FrameResult, Payload
from tests.cached_environments import cached_environment
from tests.data_plane.replicas.interpreters import interpreters
from tests.data_plane.replicas.worker_harness import PATIENCE, WorkerHarness

# Made once and kept in pytest's cache folder.
REQUIREMENTS = {
    "3.8": ["numpy==1.23.5", "pandas==1.5.3"],
    "3.13": ["numpy==2.2.6", "pandas==2.3.3"],
}
MADE_FOR_TESTS = [version for version in REQUIREMENTS if version in interpreters()]

SCRIPT = """
    import datetime, gc, numpy, pandas

    collected_while_loading = gc.isenabled()

    ANSWERS = {
        "moments": numpy.array(["2024-01-02T03:04:05.5", "NaT"], dtype="M8[ns]"),
        "days": numpy.array(["2024-01-02"], dtype="M8[D]"),
        "floats": numpy.array([[0.5, float("nan")]], dtype="f4"),
        "missing": pandas.DataFrame({
            "a": pandas.array([1, None], dtype="Int64"), "b": pandas.Categorical(["x", None])
        }),
        "zone": pandas.Series(pandas.to_datetime(["2024-01-02", None]).tz_localize("UTC"), name="t"),
        "sparse": pandas.DataFrame({"a": pandas.arrays.SparseArray([0.0, 1.5])}),
        "keys": {numpy.int64(1): numpy.float32(0.5), float("nan"): range(2), None: datetime.timedelta(seconds=90)},
        "names": pandas.DataFrame([[1, 2, 3]], columns=pandas.Index([1.5, None, "a"], dtype=object)),
    }

    def init():
        pass

    def run(input_data, params=None):
        if params == "echo":
            return input_data
        if params == "answers":
            return ANSWERS
        if params == "collections":
            return [collected_while_loading, gc.isenabled(), any(each is ANSWERS for each in gc.get_objects())]
        if isinstance(input_data, pandas.DataFrame):
            input_data.iloc[0, 0] = input_data.iloc[0, 0]
            missing = {str(name): input_data[name].isna().tolist() for name in input_data}
            return {"dtypes": {str(n): str(t) for n, t in input_data.dtypes.items()}, "missing": missing}
        if isinstance(input_data, dict):
            return {name: [str(a.dtype), a.shape, a.flags.writeable] for name, a in input_data.items()}
        input_data[0] = 7
        return input_data
"""

COLUMNS = (
    Column("boolean", "boolean", np.array([True, False])),
    Column("optional boolean", "boolean", np.array([True, False]), np.array([False, True])),
    Column("integer", "integer", np.array([1, 2])),
    Column("long", "long", np.array([1, 2])),
    Column("optional long", "long", np.array([1, 2]), np.array([True, False])),
    Column("float", "float", np.array([1, 2])),
    Column("double", "double", np.array([1, 2]), np.array([True, False])),
    Column("string", "string", ["a", None]),
    Column("binary", "binary", [b"a", None]),
    Column("datetime", "datetime", np.array(["2024-01-02", "2024-01-03"], dtype="M8[ns]"), np.array([False, True])),
    Column("json", "json", [[1], {"a": 1}]),
)
DTYPES = {
    "boolean": "bool",
    "optional boolean": "object",
    "integer": "int32",
    "long": "int64",
    "optional long": "object",
    "float": "float32",
    "double": "float64",
    "string": "object",
    "binary": "object",
    "datetime": "datetime64[ns]",
    "json": "object",
}
MISSING = {
    **{column.name: [False, False] for column in COLUMNS},
    "optional boolean": [False, True],
    "optional long": [True, False],
    "double": [True, False],
    "string": [False, True],
    "binary": [False, True],
    "datetime": [False, True],
}


@pytest.fixture(scope="module", params=[*MADE_FOR_TESTS, "ours"])
def worker(request: pytest.FixtureRequest) -> Iterator[tuple[str, Any]]:
    """Yield (the environment's dtype for text, a function that asks a worker)."""
    if request.param == "ours":
        python, text = Path(sys.executable), "str"
    else:
        python = cached_environment(interpreters()[request.param], REQUIREMENTS[request.param])
        text = "object"
    with tempfile.TemporaryDirectory(prefix="my-harness-") as root:
        harness = WorkerHarness(Path(root), python)
        _, connection = harness.ready(SCRIPT)

        def ask(payload: Payload, params: Any = None) -> Any:
            return connection.score(payload, params=params, timeout=PATIENCE)

        yield text, ask
        harness.end()


class TestOwnPandas:
    def test_dtypes_are_those_that_its_mlflow_would_enforce(self, worker: tuple[str, Any]) -> None:
        text, ask = worker
        seen = json.loads(result_to_json(ask(FramePayload(COLUMNS, 2))))
        assert seen["dtypes"] == {**DTYPES, "string": text}
        assert seen["missing"] == MISSING

    def test_frame_of_doubles_is_writable(self, worker: tuple[str, Any]) -> None:
        _, ask = worker
        columns = tuple(Column(name, "double", np.array([1.5, 2.5])) for name in ("a", 0))
        seen = json.loads(result_to_json(ask(FramePayload(columns, 2))))
        assert seen["dtypes"] == {"a": "float64", "0": "float64"}

    def test_dataframe_result_is_sent_by_columns(self, worker: tuple[str, Any]) -> None:
        _, ask = worker
        columns = (
            Column("d", "double", np.array([1.5, np.nan])),
            Column("s", "string", ["ä", None]),
            Column("b", "boolean", np.array([True, False])),
            Column("i", "integer", np.array([1, 2])),
        )
        result = ask(FramePayload(columns, 2), "echo")
        assert isinstance(result, FrameResult)
        assert [column.type for column in result.columns] == ["double", "string", "boolean", "integer"]
        assert json.loads(result_to_json(result)) == [
            {"d": 1.5, "s": "ä", "b": True, "i": 1},
            {"d": None, "s": None, "b": False, "i": 2},
        ]

    def test_other_results_are_sent_as_json(self, worker: tuple[str, Any]) -> None:
        _, ask = worker
        assert json.loads(result_to_json(ask(FramePayload(COLUMNS, 2), "echo"))) == [
            {
                "boolean": True,
                "optional boolean": True,
                "integer": 1,
                "long": 1,
                "optional long": None,
                "float": 1.0,
                "double": None,
                "string": "a",
                "binary": "YQ==",
                "datetime": "2024-01-02T00:00:00",
                "json": [1],
            },
            {
                "boolean": False,
                "optional boolean": None,
                "integer": 2,
                "long": 2,
                "optional long": 2,
                "float": 2.0,
                "double": 2.0,
                "string": None,
                "binary": None,
                "datetime": None,
                "json": {"a": 1},
            },
        ]

    def test_extension_dtypes_are_encoded(self, worker: tuple[str, Any]) -> None:
        _, ask = worker
        assert json.loads(result_to_json(ask(FramePayload(COLUMNS, 2), "answers"))) == {
            "moments": ["2024-01-02T03:04:05.500000", None],
            "days": ["2024-01-02"],
            "floats": [[0.5, None]],
            "missing": [{"a": 1, "b": "x"}, {"a": None, "b": None}],
            "zone": [{"t": "2024-01-02T00:00:00+00:00"}, {"t": None}],
            "sparse": [{"a": 0.0}, {"a": 1.5}],
            "keys": {"1": 0.5, "NaN": [0, 1], "null": 90.0},
            "names": [{"1.5": 1, "null": 2, "a": 3}],
        }

    def test_garbage_collections_begin_after_the_load_and_leave_loaded_objects_alone(
        self, worker: tuple[str, Any]
    ) -> None:
        _, ask = worker
        assert json.loads(result_to_json(ask(FramePayload(COLUMNS, 2), "collections"))) == [False, True, False]


class TestOwnNumpy:
    def test_array_is_writable_and_an_array_result_comes_back(self, worker: tuple[str, Any]) -> None:
        _, ask = worker
        assert result_to_json(ask(ArrayPayload(np.array([1, 2], dtype="i4")))) == b"[7,2]"

    def test_named_tensors_arrive_as_a_dict(self, worker: tuple[str, Any]) -> None:
        _, ask = worker
        tensors = {"x": np.zeros((2, 3), dtype="f4"), "empty": np.zeros((0, 2)), "t": np.array(["ab"])}
        assert json.loads(result_to_json(ask(ArraysPayload(tensors)))) == {
            "x": ["float32", [2, 3], True],
            "empty": ["float64", [0, 2], True],
            "t": ["<U2", [1], True],
        }
