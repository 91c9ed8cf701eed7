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
    def test_input_and_params_are_found(self, written, read):
        assert read_input_example(json.dumps(written).encode()) == read

    @pytest.mark.parametrize(
        "whole",
        [{"messages": [{"role": "user"}], "params": {}}, {"inputs": 1, "outputs": 2}, {"data": 1, "more": 2}, {}],
    )
    def test_input_that_only_resembles_a_wrapper_is_kept(self, whole):
        assert read_input_example(json.dumps(whole).encode()) == {"input_data": whole}

    def test_nan_and_infinity_become_null(self):
        assert read_input_example(b"[NaN, -Infinity]") == {"input_data": [None, None]}

    @pytest.mark.parametrize("content", [b"", b"{", b"\xff", b'"\\ud800"', b"[" * 200 + b"]" * 200, b"[" * 200_000])
    def test_unreadable_or_unsendable_content_gives_no_example(self, content):
        assert read_input_example(content) is None


class TestRows:
    @pytest.mark.parametrize(
        ("input_data", "shortened"),
        [
            ({**FRAME, "index": [7, 8]}, {"columns": ["a", "b"], "data": [[1, 2]], "index": [7]}),
            ([{"a": 1}, {"a": 2}], [{"a": 1}]),
            ({"a": [1, 2], "b": [[3], [4]]}, {"a": [1], "b": [[3]]}),
            ({"a": [1, 2], "b": 3}, {"a": [1, 2], "b": 3}),
            ({"data": "text"}, {"data": "text"}),
            ("text", "text"),
        ],
    )
    def test_rows_beyond_the_limit_are_cut(self, input_data, shortened):
        assert with_rows({"input_data": input_data, "params": {}}, 1) == {"input_data": shortened, "params": {}}


def test_size_is_the_length_of_the_json_in_bytes():
    assert size_of({"input_data": "ä"}) == len('{"input_data": "ä"}'.encode())
