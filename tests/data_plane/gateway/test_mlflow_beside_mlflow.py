"""The same requests to `/invocations` and to MLflow's own server: equal answers, or an intended difference."""

import datetime
import json
from typing import Any

import pandas as pd
import pytest

from tests.data_plane.gateway.gateway_process import GatewayProcess, Reply
from tests.data_plane.gateway.mlflow_peer import CSV, JSON, PARQUET, Rivals, parquet, with_null_for_nan

FRAME = pd.DataFrame({"a": [1.5, 2.0], "n": [3, 4], "s": ["x", "é"]})
SPLIT = {"columns": ["a", "n", "s"], "data": [[1.5, 3, "x"], [2.0, 4, "y"]]}
RECORDS = [{"a": 1.5, "n": 3, "s": "x"}, {"a": 2.0, "n": 4, "s": "y"}]
MESSAGES = [{"role": "user", "content": "hello"}]
RICH = {"t": "2024-05-31T12:00:00", "b": "AP8=", "f": True, "i": 7}

# Labels of two rows.
INDEXES: dict[str, list[Any]] = {
    "numbers": [7, 8],
    "default numbers": [0, 1],
    "dates in ISO 8601": ["2024-06-01", "2024-06-02"],
    "fractions and whole numbers": [1.5, 2],
    "a missing number": [None, 3],
    "texts, one missing": ["r", None],
    "booleans": [True, False],
    "numbers and texts": [1, "a"],
    "numbers beyond 64 bits": [2**70, 1],
    "equal texts": ["r", "r"],
    "two levels": [[1, 2], ["a", "b"]],
    "three levels": [["x", "x"], [1.5, None], [True, False]],
}
PARQUET_INDEXES: dict[str, Any] = {
    "named numbers": pd.Index([7, 8], name="label"),
    "texts": pd.Index(["r", "s"]),
    "dates": pd.DatetimeIndex(["2024-06-01", "2024-06-02T12:30"], name="day"),
    "dates in a time zone": pd.DatetimeIndex(["2024-06-01", "2024-12-02"], tz="Europe/Berlin"),
    "dates with an offset": pd.DatetimeIndex(["2024-06-01T00:00+02:00", "2024-12-02T00:00+02:00"]),
    "two levels": pd.MultiIndex.from_arrays([["r", "s"], [2, 3]], names=["key", None]),
    "a range": pd.RangeIndex(5, 9, 2, name="n"),
    "a descending range": pd.RangeIndex(3, 1, -1),
}


def text(value: Any) -> bytes:
    return json.dumps(value).encode()


# Model, body, content type.
ACCEPTED: dict[str, tuple[str, bytes, str]] = {
    "split": ("columns", text({"dataframe_split": SPLIT}), JSON),
    **{
        f"split, index of {kind}": ("columns", text({"dataframe_split": {**SPLIT, "index": labels}}), JSON)
        for kind, labels in INDEXES.items()
    },
    "no signature, split with an index": ("unsigned", text({"dataframe_split": {**SPLIT, "index": ["r", "s"]}}), JSON),
    "no signature, split with an index alone": (
        "unsigned",
        text({"dataframe_split": {"index": [4], "data": [[1, "x"]]}}),
        JSON,
    ),
    "split, columns in another order and a surplus one": (
        "columns",
        text({"dataframe_split": {"columns": ["s", "z", "n", "a"], "data": [["x", 0, 3, 1.5]]}}),
        JSON,
    ),
    "split without an optional column": (
        "columns",
        text({"dataframe_split": {"columns": ["a", "n"], "data": [[1.5, 3]]}}),
        JSON,
    ),
    "records": ("columns", text({"dataframe_records": RECORDS}), JSON),
    "instances, records": ("columns", text({"instances": RECORDS}), JSON),
    "inputs, columns": ("columns", text({"inputs": {"a": [1.5, 2.0], "n": [3, 4], "s": ["x", "y"]}}), JSON),
    "inputs, records": ("columns", text({"inputs": RECORDS}), JSON),
    "params": ("columns", text({"dataframe_records": RECORDS, "params": {"k": 9, "temperature": 1}}), JSON),
    "unknown params": ("columns", text({"dataframe_records": RECORDS, "params": {"zzz": 9}}), JSON),
    "unknown keys beside the format": ("columns", text({"dataframe_records": RECORDS, "note": 1}), JSON),
    "NaN, which Python's JSON writes": ("columns", b'{"dataframe_records": [{"a": NaN, "n": 3, "s": "x"}]}', JSON),
    "null in a double": ("columns", text({"dataframe_records": [{"a": None, "n": 3, "s": "x"}]}), JSON),
    "charset": ("columns", text({"dataframe_records": RECORDS}), "application/json; charset=utf-8"),
    "charset in capitals": ("columns", text({"dataframe_records": RECORDS}), "application/json;charset=UTF-8"),
    "base64, ISO 8601, boolean, integer": ("rich", text({"dataframe_records": [RICH]}), JSON),
    "matrix as inputs": ("matrix", text({"inputs": [[1, 2, 3]]}), JSON),
    "matrix as instances": ("matrix", text({"instances": [[1.5, 2, 3], [4, 5, 6]]}), JSON),
    "matrix as split": ("matrix", text({"dataframe_split": {"columns": ["a", "b", "c"], "data": [[1.5, 2, 3]]}}), JSON),
    "matrix as split without columns": ("matrix", text({"dataframe_split": {"data": [[1.5, 2.5, 3.5]]}}), JSON),
    "matrix as records": ("matrix", text({"dataframe_records": [{"a": 1.5, "b": 2.5, "c": 3.5}]}), JSON),
    "named tensors as inputs": ("tensors", text({"inputs": {"x": [[1, 2]], "mask": [1]}}), JSON),
    "named tensors as instances": ("tensors", text({"instances": [{"x": [1, 2], "mask": 1}]}), JSON),
    "named tensors as records": ("tensors", text({"dataframe_records": [{"x": [1.0, 2.0], "mask": 1}]}), JSON),
    "no signature, inputs": ("unsigned", text({"inputs": [[1, 2], [3, 4]]}), JSON),
    "no signature, named inputs": ("unsigned", text({"inputs": {"a": [1.5], "b": [2]}}), JSON),
    "no signature, instances": ("unsigned", text({"instances": [{"a": 1.5, "b": [1, 2]}]}), JSON),
    "no signature, split": ("unsigned", text({"dataframe_split": SPLIT}), JSON),
    "no signature, records": ("unsigned", text({"dataframe_records": RECORDS}), JSON),
    "no signature, chat": ("unsigned", text({"messages": MESSAGES, "temperature": 0.1}), JSON),
    "no signature, embeddings": ("unsigned", text({"input": ["a", "b"]}), JSON),
    "no signature, csv": ("unsigned", b"a,n,f,s\n1.5,3,true,x\n2,4,false,\n", CSV),
    "no signature, parquet": ("unsigned", parquet(FRAME), PARQUET),
    "chat": ("chat", text({"messages": MESSAGES}), JSON),
    "chat with params beside the messages": ("chat", text({"messages": MESSAGES, "temperature": 0.1, "k": 2}), JSON),
    "chat as records": ("chat", text({"dataframe_records": [{"messages": MESSAGES}]}), JSON),
    "type hints": ("hinted", text({"inputs": ["a", "b"]}), JSON),
    "csv": ("columns", b"a,n,s\n1.5,3,x\n2,4,y\n", CSV),
    "csv with quotes, line breaks and a byte order mark": (
        "columns",
        b'\xef\xbb\xbfa,n,s\r\n1.5,3,"x, ""y""\nz"\r\n',
        CSV,
    ),
    "csv with an index": ("columns", FRAME.to_csv().encode(), CSV),
    "csv with missing values": ("columns", b"a,n,s\n,3,NA\nnan,4,null\n", CSV),
    "csv with empty lines": ("columns", b"\na,n,s\n\n1.5,3,x\n\n", CSV),
    "csv without an optional column": ("columns", b"n,a\n3,1.5\n", CSV),
    "csv of numbers like text": ("columns", b"a,n,s\n1e3,3,007\n", CSV),
    "parquet": ("columns", parquet(FRAME), PARQUET),
    **{
        f"parquet, index of {kind}": ("columns", parquet(FRAME.set_index(index)), PARQUET)
        for kind, index in PARQUET_INDEXES.items()
    },
    "no signature, parquet of filtered rows": ("unsigned", parquet(FRAME[FRAME.n > 3]), PARQUET),
    "parquet, other order and a surplus column": ("columns", parquet(FRAME.assign(z=1)[["s", "z", "n", "a"]]), PARQUET),
}

REFUSED: dict[str, tuple[str, bytes, str]] = {
    "no JSON": ("columns", b"{", JSON),
    "empty body": ("columns", b"", JSON),
    "a list": ("columns", b"[1]", JSON),
    "a number": ("columns", b"1", JSON),
    "no format": ("columns", text({"input_data": []}), JSON),
    "two formats": ("columns", text({"inputs": [], "instances": []}), JSON),
    "split that is a list": ("columns", text({"dataframe_split": []}), JSON),
    "split without data": ("columns", text({"dataframe_split": {"columns": ["a"]}}), JSON),
    "an index of another length": ("columns", text({"dataframe_split": {**SPLIT, "index": [1]}}), JSON),
    "an index that is a text": ("columns", text({"dataframe_split": {**SPLIT, "index": "ab"}}), JSON),
    "an index with a level too short": ("columns", text({"dataframe_split": {**SPLIT, "index": [[1, 2], [3]]}}), JSON),
    "no signature, an index of another length": ("unsigned", text({"dataframe_split": {**SPLIT, "index": [1]}}), JSON),
    "split with more keys": ("columns", text({"dataframe_split": {**SPLIT, "dtype": 1}}), JSON),
    "records that are an object": ("columns", text({"dataframe_records": {}}), JSON),
    "params that are no object": ("columns", text({"dataframe_records": RECORDS, "params": 5}), JSON),
    "a param of another type": ("columns", text({"dataframe_records": RECORDS, "params": {"k": "x"}}), JSON),
    "type hints without inputs": ("hinted", text({"instances": ["a"]}), JSON),
    "text in a long": ("columns", text({"dataframe_records": [{"a": 1, "n": "x", "s": "x"}]}), JSON),
    "a missing column": ("columns", text({"dataframe_records": [{"a": 1}]}), JSON),
    "csv with a fraction in a long": ("columns", b"a,n,s\n1.5,3.5,x\n", CSV),
    "csv with nothing in a long": ("columns", b"a,n,s\n1.5,,x\n", CSV),
    "csv with too long a line": ("columns", b"a,n,s\n1,2,x\n1.5,3,x,y\n", CSV),
    "csv with an open quote": ("columns", b'a,n,s\n1,2,"x\n', CSV),
    "csv that is no UTF-8": ("columns", b"a,n,s\n1,2,\xff\n", CSV),
    "empty csv": ("columns", b"", CSV),
    "parquet that is none": ("columns", b"a,n,s\n", PARQUET),
    "half a parquet file": ("columns", parquet(FRAME)[:-100], PARQUET),
    "another media type": ("columns", b"x", "text/plain"),
    "another charset": ("columns", b"{}", "application/json; charset=latin-1"),
    "a parameter of another kind": ("columns", b"{}", "application/json; format=pandas-split"),
}

# What both accept or one refuses on purpose: our status, MLflow's, and why.
DIFFERENT: dict[str, tuple[tuple[str, bytes, str], int, int, str]] = {
    "a media type in capitals": (
        ("columns", text({"dataframe_records": RECORDS}), "Application/JSON"),
        200,
        415,
        "media types are case-insensitive",
    ),
    "a quoted charset and a byte order mark": (
        ("columns", b"\xef\xbb\xbf" + text({"dataframe_records": RECORDS}), 'application/json; charset="utf-8"'),
        200,
        415,
        "a quoted charset is the same charset",
    ),
    "no content type": (("columns", text({"dataframe_records": RECORDS}), ""), 200, 500, "it is JSON nearly always"),
    "a fraction in a long": (
        ("columns", text({"dataframe_records": [{"a": 1, "n": 1.5, "s": "x"}]}), JSON),
        400,
        200,
        "a long does not hold it; MLflow cuts it off",
    ),
    "a datetime with an offset": (
        ("rich", text({"dataframe_records": [{**RICH, "t": "2024-05-31T12:00:00Z"}]}), JSON),
        200,
        400,
        "it is a moment, and converted to UTC",
    ),
    "an index that is an object": (
        ("columns", text({"dataframe_split": {**SPLIT, "index": {"a": 1, "b": 2}}}), JSON),
        400,
        200,
        "pandas takes the keys for the labels, and the values are lost",
    ),
    "null in a boolean": (
        ("rich", text({"dataframe_records": [{**RICH, "f": None}]}), JSON),
        400,
        200,
        "no boolean holds null; MLflow makes it False",
    ),
    "rows without column names": (
        ("columns", text({"dataframe_split": {"data": [[1.5, 3, "x"]]}}), JSON),
        200,
        400,
        "the signature's order is known",
    ),
    "csv of a matrix": (
        ("matrix", b"a,b,c\n1.5,2.5,3.5\n", CSV),
        200,
        400,
        "MLflow cannot read CSV for a model of tensors",
    ),
    "csv with too short a line": (
        ("columns", b"a,n,s\n1,2\n", CSV),
        400,
        200,
        "MLflow takes the rest for missing",
    ),
    "csv with a value too many in every line": (
        ("columns", b"a,n,s\n0,1.5,3,x\n", CSV),
        400,
        200,
        "MLflow takes the first column for the index",
    ),
    "times of day in parquet": (
        ("unsigned", parquet(pd.DataFrame({"t": [datetime.time(12)]})), PARQUET),
        400,
        200,
        "no declared type corresponds to them",
    ),
    "csv with a column twice": (
        ("columns", b"a,a,n,s\n1,2,3,x\n", CSV),
        400,
        200,
        "MLflow takes the first and says nothing",
    ),
}


@pytest.fixture(scope="module")
def rivals(module_gateway: GatewayProcess) -> Rivals:
    return Rivals(module_gateway)


def essence(reply: Reply) -> Any:
    """Return the part that a client acts upon: the answer, or the error without the message."""
    media_type = reply.headers["content-type"].partition(";")[0]
    if reply.status == 200:
        return media_type, with_null_for_nan(reply.json)
    if media_type != JSON:
        return reply.status, media_type
    assert reply.json["message"]
    return reply.status, media_type


class TestEqualToMlflow:
    @pytest.mark.parametrize("name", ACCEPTED)
    def test_model_input_and_answer_equal_those_of_mlflows_server(self, rivals: Rivals, name: str) -> None:
        ours, theirs = rivals.ours(*ACCEPTED[name]), rivals.theirs(*ACCEPTED[name])
        assert (ours.status, theirs.status) == (200, 200), (ours, theirs)
        assert essence(ours) == essence(theirs)

    @pytest.mark.parametrize("name", REFUSED)
    def test_request_refused_by_mlflow_is_refused_with_mlflows_status_and_fields(
        self, rivals: Rivals, name: str
    ) -> None:
        ours, theirs = rivals.ours(*REFUSED[name]), rivals.theirs(*REFUSED[name])
        assert essence(ours) == essence(theirs), (ours, theirs)
        if theirs.headers["content-type"] == JSON:
            assert ours.json.keys() >= theirs.json.keys() - {"stack_trace"}

    @pytest.mark.parametrize(
        "kind",
        ["floats", "float32", "missing", "integers", "booleans", "texts", "objects", "frame", "numbered frame",
         "frame of datetimes", "empty frame", "series", "unnamed series", "list", "list of arrays", "dict", "text",
         "number", "scalar", "nothing", "raises"],
    )  # fmt: skip
    def test_every_kind_of_result_has_mlflows_shape(self, rivals: Rivals, kind: str) -> None:
        body = text({"dataframe_records": [{"kind": kind}]})
        ours, theirs = rivals.ours("results", body), rivals.theirs("results", body)
        assert essence(ours) == essence(theirs), (ours, theirs)


class TestDifferencesFromMlflow:
    @pytest.mark.parametrize("name", DIFFERENT)
    def test_documented_difference_from_mlflow_exists(self, rivals: Rivals, name: str) -> None:
        asked, our_status, their_status, reason = DIFFERENT[name]
        assert (rivals.ours(*asked).status, rivals.theirs(*asked).status) == (our_status, their_status), reason

    def test_missing_numbers_are_null(self, rivals: Rivals) -> None:
        body = text({"dataframe_records": [{"kind": "missing"}]})
        assert rivals.ours("results", body).content == b'{"predictions": [1.0,null,null,null]}'
        assert b"NaN" in rivals.theirs("results", body).content

    def test_datetimes_in_an_array_are_iso_8601(self, rivals: Rivals) -> None:
        body = text({"dataframe_records": [{"kind": "array of datetimes"}]})
        assert rivals.ours("results", body).json == {"predictions": ["2024-05-31T12:00:00"]}
        assert rivals.theirs("results", body).json == {"predictions": [1717156800000000000]}

    def test_bytes_are_base64_without_line_breaks(self, rivals: Rivals) -> None:
        body = text({"dataframe_records": [{"kind": "bytes"}]})
        assert rivals.ours("results", body).json == {"predictions": ["AP8="]}
        assert rivals.theirs("results", body).json == {"predictions": ["AP8=\n"]}

    def test_error_does_not_repeat_the_input(self, rivals: Rivals) -> None:
        secret = "a very private sentence that nobody should find in an error message"
        body = text({"dataframe_records": [{"a": secret, "s": secret}]})
        assert secret not in rivals.ours("columns", body).content.decode()

    def test_error_of_a_model_has_no_stack_trace(self, rivals: Rivals) -> None:
        body = text({"dataframe_records": [{"kind": "raises"}]})
        assert "stack_trace" in rivals.theirs("results", body).json
        ours = rivals.ours("results", body).json
        assert ours["error_code"] == "BAD_REQUEST"
        assert "ZeroDivisionError" in ours["message"]
        assert "reference" in ours["message"]
        assert "stack_trace" not in ours
