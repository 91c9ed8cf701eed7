"""A scoring script that returns the requested kind of value. The tests import the kinds, too."""

import collections
import dataclasses
import datetime
import decimal
import enum
import fractions
import uuid
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pydantic
import scipy.sparse
from mlflow.types.llm import ChatChoice, ChatCompletionResponse, ChatMessage

nan, inf = float("nan"), float("inf")
MOMENT = "2024-01-02T03:04:05.5"


@dataclasses.dataclass
class Wine:
    name: str
    rating: float


class Cheese(pydantic.BaseModel):
    name: str
    age: float


class Colour(enum.Enum):
    RED = "red"


def frame(values: Any) -> pd.DataFrame:
    return pd.DataFrame({"a": values})


def column(values: list[Any], dtype: str) -> pd.DataFrame:
    return frame(pd.array(values, dtype=dtype))


def objects(*values: Any) -> Any:
    array = np.empty(len(values), dtype=object)
    array[:] = values
    return array


def endless_list() -> list[Any]:
    endless: list[Any] = []
    endless.append(endless)
    return endless


def endless_dict() -> dict[str, Any]:
    endless: dict[str, Any] = {}
    endless["a"] = {"b": endless}
    return endless


def nested(depth: int) -> Any:
    value: Any = 1
    for _ in range(depth):
        value = [value]
    return value


def dtyped(dtype: str, *values: Any) -> Any:
    return np.array(values, dtype=dtype)


KINDS: dict[str, Callable[[], Any]] = {
    **{
        dtype: lambda dtype=dtype: dtyped(dtype, 0, 1, 100)
        for dtype in ("i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f2", "f4", "f8", ">i4", ">f8")
    },
    "largest u8": lambda: dtyped("u8", 2**64 - 1),
    "smallest i8": lambda: dtyped("i8", -(2**63)),
    "booleans": lambda: np.array([True, False]),
    "tenth as f2": lambda: dtyped("f2", 0.1),
    "tenth as f4": lambda: dtyped("f4", 0.1),
    "long double": lambda: dtyped("g", 0.5),
    "NaN in an array": lambda: np.array([[1.5, nan], [inf, -inf]]),
    "NaN in f2": lambda: dtyped("f2", nan, 1),
    "0-d": lambda: np.array(1.5),
    "0-d of NaN": lambda: np.array(nan),
    "0-d of text": lambda: np.array("a"),
    "3-d": lambda: np.arange(8).reshape(2, 2, 2),
    "empty": lambda: np.array([]),
    "no rows": lambda: np.zeros((0, 3)),
    "no columns": lambda: np.zeros((2, 0)),
    "transposed": lambda: np.arange(6.0).reshape(2, 3).T,
    "every third, backwards": lambda: np.arange(10)[::-3],
    "broadcast": lambda: np.broadcast_to(np.array(1.5), (3,)),
    "many numbers": lambda: np.arange(60_000.0).reshape(20_000, 3) / 7,
    "one wide row": lambda: np.arange(60_000).reshape(1, 2, 30_000),
    "many rows": lambda: pd.DataFrame({"a": np.arange(20_000) / 7, "b": [f"\u00e9{n}" for n in range(20_000)]}),
    "a long list": lambda: [[n, n / 7, nan] for n in range(40_000)],
    "many records": lambda: [{"n": n, "s": "],["} for n in range(40_000)],
    "masked": lambda: np.ma.array([1, 2], mask=[True, False]),
    "texts": lambda: np.array([["a"], ["\u00e9"]]),
    "bytes in an array": lambda: np.array([b"ab", b"\xff"]),
    "structured": lambda: np.array([(1, 0.5), (2, nan)], dtype=[("a", "i4"), ("b", "f8")]),
    "objects": lambda: objects(1, "x", None, 2.5, [1, nan], {"a": np.float32(0.5)}),
    "arrays in an array": lambda: objects(np.array([1.0, nan]), np.array([2])),
    "days": lambda: dtyped("M8[D]", "2024-01-02"),
    "seconds": lambda: dtyped("M8[s]", "2024-01-02T03:04:05", "NaT"),
    "microseconds": lambda: dtyped("M8[us]", MOMENT),
    "nanoseconds": lambda: dtyped("M8[ns]", MOMENT, "NaT", "2024-01-02T03:04:05.123456789"),
    "durations": lambda: dtyped("m8[ms]", 1500, "NaT"),
    "complex numbers": lambda: np.array([1j]),
    "frame": lambda: pd.DataFrame(
        {"a": [1, 2], "b": ["x", "y"], "c": [0.5, nan], "d": [True, False]}, index=["r", "s"]
    ),
    "frame of one kind": lambda: pd.DataFrame(np.arange(4.0).reshape(2, 2), columns=["a", "b"]),
    "frame of small types": lambda: pd.DataFrame({"a": dtyped("u1", 1), "b": dtyped("f4", 0.1), "c": dtyped("u8", 7)}),
    "frame of anything": lambda: frame([1, "x", None, 2.5, [nan], {"b": b"a"}]),
    "frame of nothing but missing": lambda: frame([None, None]),
    "frame of lists": lambda: frame([[1, 2], None]),
    "frame of arrays": lambda: frame([np.array([1, nan]), np.array([2])]),
    "frame of bytes": lambda: frame([b"\xff\xfe"]),
    "frame without columns": lambda: pd.DataFrame(index=[0, 1]),
    "frame without rows": lambda: frame([]),
    "frame with a name twice": lambda: pd.DataFrame([[1, 2]], columns=["a", "a"]),
    "frame with names that are no texts": lambda: pd.DataFrame([[1, 2, 3, 4, 5]], columns=[0, 1.5, True, None, 2**70]),
    "frame with names of several levels": lambda: pd.DataFrame([[1]], columns=pd.MultiIndex.from_tuples([("a", 1)])),
    "frame with moments for names": lambda: pd.DataFrame([[1]], columns=pd.to_datetime(["2024-01-02"])),
    "frame with half a surrogate": lambda: pd.DataFrame(
        [["\ud800"]], columns=pd.Index(["\udfff"], dtype=object), dtype=object
    ),
    "datetimes": lambda: frame(pd.to_datetime([MOMENT, None])),
    "datetimes of a zone": lambda: frame(pd.to_datetime([MOMENT]).tz_localize("Europe/Berlin")),
    "durations in a frame": lambda: frame([pd.Timedelta("90s"), pd.NaT]),
    "dates": lambda: frame([datetime.date(2024, 1, 2)]),
    "Int64": lambda: column([1, None], "Int64"),
    "UInt64": lambda: column([2**64 - 1], "UInt64"),
    "Float64": lambda: column([0.5, None], "Float64"),
    "boolean": lambda: column([True, None], "boolean"),
    "string": lambda: column(["a", None], "string"),
    "category": lambda: frame(pd.Categorical(["x", None])),
    "category of numbers": lambda: frame(pd.Categorical([3, 1])),
    "period": lambda: frame(pd.period_range("2024", periods=1, freq="M")),
    "interval": lambda: frame(pd.interval_range(0, 1)),
    "sparse column": lambda: frame(pd.arrays.SparseArray([0.0, 1.5])),
    "Arrow's integers": lambda: column([1, None], "int64[pyarrow]"),
    "Arrow's texts": lambda: column(["a", None], "string[pyarrow]"),
    "series": lambda: pd.Series([1, 2], name="n", index=["r", "s"]),
    "series without a name": lambda: pd.Series([0.5, nan]),
    "series of texts": lambda: pd.Series(["a", None]),
    "index": lambda: pd.Index([1, 2]),
    "extension array": lambda: pd.array([1, None], dtype="Int64"),
    "csr": lambda: scipy.sparse.csr_matrix([[0.0, 1.5], [nan, 0.0]]),
    "csc": lambda: scipy.sparse.csc_array([[0, 1]]),
    "nothing": lambda: None,
    "integer": lambda: 3,
    "huge integer": lambda: 10**30,
    "boolean value": lambda: True,
    "number": lambda: 1.5,
    "NaN": lambda: nan,
    "numpy's float32": lambda: np.float32(0.1),
    "numpy's int64": lambda: np.int64(3),
    "numpy's boolean": lambda: np.bool_(True),
    "numpy's moment": lambda: np.datetime64("2024-01-02T03:04:05"),
    "text": lambda: "\u00e9 \u2028 \x00",
    "half a surrogate": lambda: ["a\ud800b", {"\udfff": "\ud83d\ude00"}],
    "bytes": lambda: b"\xff\xfe",
    "many bytes": lambda: bytes(99),
    "list": lambda: [1, "a", None, [True, {"k": 0.5}]],
    "tuple": lambda: (1, (2,)),
    "NaN in lists and dicts": lambda: [[1.0, nan], {"a": [inf, {"b": -inf}]}],
    "list of arrays": lambda: [np.array([1.0, nan]), np.array([[3]])],
    "list of frames": lambda: [frame([1])],
    "dict of arrays": lambda: {"a": np.array([1, 2]), "b": np.array([[0.5], [nan]])},
    "dict of lists": lambda: {"a": [1, 2], "b": ["x", "y"]},
    "dict of everything": lambda: {"frame": frame([1]), "series": pd.Series([1]), "n": {"k": np.float64(0.5)}},
    "dict with keys that are no texts": lambda: {1: "a", None: 1, 1.5: 2, nan: 3, False: 4},
    "dict with numpy's keys": lambda: {np.int64(2): datetime.date(2024, 1, 2)},
    "collections": lambda: [{1}, frozenset({2}), collections.deque([3]), range(2), {"a": 4}.values()],
    "ordered dict": lambda: collections.OrderedDict(b=1, a=np.int64(2)),
    "datetime": lambda: datetime.datetime(2024, 1, 2, 3, 4, 5, 500000),
    "datetime of a zone": lambda: datetime.datetime(2024, 1, 2, tzinfo=datetime.UTC),
    "date and time": lambda: [datetime.date(2024, 1, 2), datetime.time(1, 2)],
    "Timestamp": lambda: pd.Timestamp("2024-01-02T03:04:05.123456789"),
    "NaT and NA": lambda: [pd.NaT, pd.NA],
    "duration": lambda: datetime.timedelta(minutes=1.5),
    "Timedelta": lambda: pd.Timedelta("90s"),
    "decimals": lambda: [
        decimal.Decimal("1.5"),
        decimal.Decimal("NaN"),
        decimal.Decimal("sNaN"),
        fractions.Fraction(1, 2),
    ],
    "UUID": lambda: uuid.UUID(int=1),
    "enum": lambda: Colour.RED,
    "dataclass": lambda: [Wine("Rioja", nan)],
    "pydantic model": lambda: [Cheese(name="Gouda", age=2)],
    "chat response": lambda: ChatCompletionResponse(
        choices=[ChatChoice(index=0, message=ChatMessage(role="assistant", content="hi"))], model="m", created=1
    ),
    "nested 800 times": lambda: nested(800),
    "nested 100,000 times": lambda: nested(100_000),
    "a list in itself": endless_list,
    "a dict in itself": endless_dict,
    "generator": lambda: (each for each in [1]),
    "function": lambda: len,
    "module": lambda: np,
    "tuple as a key": lambda: {(1, 2): 3},
}


def init() -> None:
    """There is nothing to load."""


def run(input_data: Any, params: Any = None) -> Any:
    while not isinstance(input_data, str):
        input_data = input_data[0]
    return KINDS[input_data]()
