"""From a model's result to the JSON of the response, through worker and platform."""

import datetime
import decimal
import enum
import json
import math
import uuid
from collections import namedtuple
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

import numpy as np
import pandas as pd
import pydantic
import pytest
import scipy.sparse
from mlflow.utils.proto_json_utils import NumpyEncoder, _get_jsonable_obj

from data_plane.scoring.payload.result_json import result_to_json
from data_plane.scoring.wire.decode import decode_result
from data_plane.worker import frames
from data_plane.worker.json_text import NotJsonSerializable
from data_plane.worker.results import describe_result


def kind_and_json(answer: Any) -> tuple[str, Any]:
    described, body = describe_result(answer)
    packed = frames.pack(frames.RESULT, 1, json.dumps({"result": described}).encode(), body)
    (frame,) = frames.FrameReader().feed(b"".join(packed))
    text = result_to_json(decode_result(frame.meta, frame.body))
    return described["kind"], json.loads(text, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))


def as_json(answer: Any) -> Any:
    return kind_and_json(answer)[1]


class TestResultsThatMlflowEncodes:
    @pytest.mark.parametrize(
        ("kind", "answer"),
        [
            ("array", np.array([1.5, 2.5])),
            ("array", np.array([[0.1]], dtype="f4")),
            ("array", np.array([0.1], dtype="f2")),
            ("array", np.array([[1, 2]], dtype="u1").T),
            ("array", np.array([True])),
            ("array", np.array([1], dtype=">i8")),
            ("json", np.array(["red", "white"])),
            ("json", np.array(["red", None], dtype=object)),
            ("frame", pd.DataFrame({"a": [1, 2], "b": [0.5, 1.5], "c": ["x", "y"], "d": [True, False]})),
            ("frame", pd.DataFrame({"a": np.array([1], dtype="u2"), "b": np.array([1.5], dtype="f4")})),
            ("frame", pd.DataFrame({0: [1.5], 1: ["ä"]}, index=["row"])),
            ("json", pd.DataFrame({"when": pd.to_datetime(["2024-01-02T03:04:05"])})),
            ("json", pd.DataFrame({"list": [[1, 2], {"a": 1}]})),
            ("json", pd.DataFrame({"a": pd.array([1, 2], dtype="Int64")})),
            ("frame", pd.DataFrame({"a": pd.Categorical(["x", "y"])})),
            ("json", pd.Series([1, 2], name="prediction")),
            ("json", pd.Series([1, 2])),
            ("json", [1, "a", None, {"k": [True]}]),
            ("json", {"mean": np.float64(1.5), "all": np.array([1, 2])}),
            ("json", "text"),
            ("json", 3),
            ("json", np.int64(3)),
            ("json", [datetime.date(2024, 1, 2), datetime.datetime(2024, 1, 2, 3), pd.Timestamp("2024-01-02")]),
        ],
    )
    def test_result_is_encoded_as_by_mlflow(self, kind: str, answer: Any) -> None:
        theirs = json.loads(json.dumps(_get_jsonable_obj(answer, pandas_orient="records"), cls=NumpyEncoder))
        assert kind_and_json(answer) == (kind, theirs)


class Colour(enum.Enum):
    RED = "red"


@dataclass
class Wine:
    name: str
    rating: float


class Cheese(pydantic.BaseModel):
    name: str
    age: float


Point = namedtuple("Point", "x y")


class TestResultsThatMlflowCannotEncode:
    @pytest.mark.parametrize(
        ("answer", "expected"),
        [
            (None, None),
            (math.nan, None),
            ([1.0, math.inf, {"a": -math.inf}], [1.0, None, {"a": None}]),
            (np.array([1.5, math.nan]), [1.5, None]),
            (np.array([[1.5], [math.nan]], dtype="f4"), [[1.5], [None]]),
            ({"nested": np.array([math.nan, 1])}, {"nested": [None, 1.0]}),
            (np.float32(math.nan), None),
            (np.longdouble(0.5), 0.5),
            (np.array([0.5], dtype=np.longdouble), [0.5]),
            (pd.DataFrame({"a": [1.5, math.nan], "b": ["x", None]}), [{"a": 1.5, "b": "x"}, {"a": None, "b": None}]),
            (
                pd.DataFrame({"a": [pd.NaT, pd.Timestamp("2024-01-02", tz="UTC")]}),
                [{"a": None}, {"a": "2024-01-02T00:00:00+00:00"}],
            ),
            (pd.DataFrame({"a": pd.array([1, None], dtype="Int64")}), [{"a": 1}, {"a": None}]),
            (pd.DataFrame({"a": pd.array([True, None], dtype="boolean")}), [{"a": True}, {"a": None}]),
            (pd.DataFrame({"a": np.array([2**64 - 1], dtype="u8")}), [{"a": 2**64 - 1}]),
            (pd.DataFrame({("a", 1): [1]}), [{"('a', 1)": 1}]),
            (pd.DataFrame(index=[0, 1]), [{}, {}]),
            (pd.Series([math.nan, 1.5], name="p"), [{"p": None}, {"p": 1.5}]),
            (pd.Index([1, 2]), [1, 2]),
            (pd.array([1, None], dtype="Int64"), [1, None]),
            (pd.Categorical(["a", None]), ["a", None]),
            (pd.Period("2024-01", "M"), "2024-01"),
            (np.array(["2024-01-02T03:04:05.500", "NaT"], dtype="M8[ns]"), ["2024-01-02T03:04:05.500000", None]),
            (np.timedelta64(1500, "ms"), 1.5),
            (np.ma.masked_array([1, 2], [False, True]), [1, None]),
            (np.matrix([[1.5, math.nan]]), [[1.5, None]]),
            (np.array([(1, 0.5)], dtype=[("a", "i4"), ("b", "f8")]), [[1, 0.5]]),
            (scipy.sparse.csr_matrix([[0.0, 1.5]]), [[0.0, 1.5]]),
            (b"\xff\xfe", "//4="),
            ([bytearray(b"a")], ["YQ=="]),
            ({"a"}, ["a"]),
            (frozenset({1}), [1]),
            ((1, (2,)), [1, [2]]),
            (Point(1, math.nan), [1, None]),
            (Colour.RED, "red"),
            ([Wine("Rioja", math.nan)], [{"name": "Rioja", "rating": None}]),
            ([Cheese(name="Gouda", age=math.inf)], [{"name": "Gouda", "age": None}]),
            (decimal.Decimal("1.5"), 1.5),
            (datetime.timedelta(minutes=1), 60.0),
            (datetime.time(1, 2), "01:02:00"),
            (uuid.UUID(int=1), "00000000-0000-0000-0000-000000000001"),
            (PurePosixPath("/a"), "/a"),
            (
                {1: "a", np.int64(2): "b", None: "c", 1.5: {math.nan}, False: 0},
                {"1": "a", "2": "b", "null": "c", "1.5": [None], "false": 0},
            ),
            ({"key": [{datetime.date(2024, 1, 2): 1}]}, {"key": [{"2024-01-02": 1}]}),
            ("half a surrogate \ud800", "half a surrogate ?"),
            (2**70, float(2**70)),
        ],
        ids=lambda value: type(value).__name__,
    )
    def test_result_is_encoded_as_valid_json(self, answer: Any, expected: Any) -> None:
        assert as_json(answer) == expected


class TestResultsWithoutJsonForm:
    @pytest.mark.parametrize("answer", [object(), [1j], np.array([1j]), {"f": len}, (x for x in ()), {(1, 2): 3}, Wine])
    def test_error_names_the_type(self, answer: Any) -> None:
        with pytest.raises(NotJsonSerializable, match=r"holds a \w+(\.\w+)+, which JSON cannot express"):
            describe_result(answer)

    def test_result_that_contains_itself_is_rejected(self) -> None:
        endless: list[Any] = []
        endless.append(endless)
        with pytest.raises(ValueError, match="contains itself"):
            describe_result(endless)
