"""Params are filled in, checked like columns, and left out when the model does not declare them."""

from datetime import date, datetime
from typing import Any

import pytest

from tests.data_plane.scoring.signature.signatures import compiled, violations

SIGNATURE = compiled(
    params=[
        {"name": "k", "type": "long", "default": 5, "shape": None},
        {"name": "words", "type": "string", "default": ["a"], "shape": [-1]},
        {"name": "since", "type": "datetime", "default": "2024-01-01", "shape": None},
        {"name": "rate", "dtype": "double", "default": 0.5, "shape": None},
    ]
)
DEFAULTS = {"k": 5, "words": ["a"], "since": date(2024, 1, 1), "rate": 0.5}


def enforced(params: Any) -> Any:
    return SIGNATURE.enforce([[1]], params)[1]


@pytest.mark.parametrize("params", [None, {}, {"unknown": 1}])
def test_defaults_are_filled_in_and_unknown_ones_left_out(params: Any) -> None:
    assert enforced(params) == DEFAULTS


def test_given_ones_take_their_declared_type() -> None:
    assert enforced({"k": 9.0, "words": [], "rate": 1}) == {**DEFAULTS, "k": 9, "words": [], "rate": 1.0}
    assert isinstance(enforced({"rate": 1})["rate"], float)


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2024-01-02", date(2024, 1, 2)),
        ("2024-01-02T03:04:05", datetime(2024, 1, 2, 3, 4, 5)),
        ("2024-01-02T03:04:05.25+02:00", datetime(2024, 1, 2, 1, 4, 5, 250_000)),
    ],
)
def test_a_datetime_is_one_of_python(text: str, moment: date) -> None:
    assert enforced({"since": text})["since"] == moment
    assert type(enforced({"since": text})["since"]) is type(moment)


def test_a_datetime_finer_than_python_has_is_refused() -> None:
    assert violations(SIGNATURE, [[1]], {"since": "2024-01-02T03:04:05.000000001"})


def test_an_explicit_null_is_passed_on() -> None:
    assert enforced({"k": None})["k"] is None
    assert enforced({"words": ["a", None]})["words"] == ["a", None]


def test_wrong_ones_are_all_named() -> None:
    found = violations(SIGNATURE, [[1]], {"k": "x", "words": ["a", 5], "since": "tomorrow", "rate": []})
    assert [violation.column for violation in found] == ["params.k", "params.words[1]", "params.since", "params.rate"]


def test_a_list_is_expected_where_the_shape_says_so() -> None:
    assert violations(SIGNATURE, [[1]], {"words": "a"})
    assert violations(SIGNATURE, [[1]], {"k": [9]})


@pytest.mark.parametrize("params", [[1], "k=5", 5])
def test_params_that_are_no_object_are_refused(params: Any) -> None:
    (violation,) = violations(SIGNATURE, [[1]], params)
    assert violation.column == "params"


def test_a_model_without_params_is_given_none() -> None:
    assert compiled().enforce([[1]], {"k": 9})[1] is None
