"""Input examples as MLflow writes them, read as bodies of `/score`."""

import json

import pytest

from modelyard.core.domain.input_example import read_input_example, size_of, with_rows

FRAME = {"columns": ["a", "b"], "data": [[1, 2], [3, 4]]}


class TestReading:
    @pytest.mark.parametrize(
        ("written", "read"),
        [
            (FRAME, {"input_data": FRAME}),
            ({**FRAME, "params": {"k": 1}}, {"input_data": FRAME, "params": {"k": 1}}),
            ({"dataframe_split": FRAME}, {"input_data": FRAME}),
            ({"dataframe_split": FRAME, "params": {"k": 1}}, {"input_data": FRAME, "params": {"k": 1}}),
            ({"inputs": {"a": [1]}, "params": None}, {"input_data": {"a": [1]}}),
            ({"dataframe_split": {"data": [[1, 2]]}}, {"input_data": [[1, 2]]}),
            ([[1.5]], {"input_data": [[1.5]]}),
            ("why?", {"input_data": "why?"}),
        ],
    )
    def test_finds_the_input_and_the_params(self, written, read):
        assert read_input_example(json.dumps(written).encode()) == read

    @pytest.mark.parametrize(
        "whole",
        [{"messages": [{"role": "user"}], "params": {}}, {"inputs": 1, "outputs": 2}, {"data": 1, "more": 2}, {}],
    )
    def test_leaves_what_only_looks_like_a_wrapper_whole(self, whole):
        assert read_input_example(json.dumps(whole).encode()) == {"input_data": whole}

    def test_reads_what_json_does_not_have_as_null(self):
        assert read_input_example(b"[NaN, -Infinity]") == {"input_data": [None, None]}

    @pytest.mark.parametrize("content", [b"", b"{", b"\xff", b'"\\ud800"', b"[" * 200 + b"]" * 200, b"[" * 200_000])
    def test_of_what_cannot_be_read_or_sent_is_none(self, content):
        assert read_input_example(content) is None


class TestRows:
    @pytest.mark.parametrize(
        ("input_data", "shortened"),
        [
            ({**FRAME, "index": [7, 8]}, {"columns": ["a", "b"], "data": [[1, 2]], "index": [7]}),
            ([{"a": 1}, {"a": 2}], [{"a": 1}]),
            ({"a": [1, 2]}, {"a": [1, 2]}),
            ({"data": "text"}, {"data": "text"}),
            ("text", "text"),
        ],
    )
    def test_are_cut_where_there_are_any(self, input_data, shortened):
        assert with_rows({"input_data": input_data, "params": {}}, 1) == {"input_data": shortened, "params": {}}


def test_the_size_is_that_of_the_text():
    assert size_of({"input_data": "ä"}) == len('{"input_data": "ä"}'.encode())
