"""Declared params get defaults and are checked like columns; undeclared params are dropped."""

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
def test_absent_params_get_defaults_and_unknown_params_are_dropped(params: Any) -> None:
    assert enforced(params) == DEFAULTS


def test_given_params_are_converted_to_the_declared_type() -> None:
    assert enforced({"k": 9.0, "words": [], "rate": 1}) == {**DEFAULTS, "k": 9, "words": [], "rate": 1.0}
    assert isinstance(enforced({"rate": 1})["rate"], float)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2024-01-02", date(2024, 1, 2)),
        ("2024-01-02T03:04:05", datetime(2024, 1, 2, 3, 4, 5)),
        ("2024-01-02T03:04:05.25+02:00", datetime(2024, 1, 2, 1, 4, 5, 250_000)),
    ],
)
def test_datetime_param_becomes_python_date_or_datetime_in_utc(text: str, expected: date) -> None:
    assert enforced({"since": text})["since"] == expected
    assert type(enforced({"since": text})["since"]) is type(expected)


def test_datetime_param_with_nanoseconds_is_refused() -> None:
    assert violations(SIGNATURE, [[1]], {"since": "2024-01-02T03:04:05.000000001"})


def test_explicit_null_param_stays_none() -> None:
    assert enforced({"k": None})["k"] is None
    assert enforced({"words": ["a", None]})["words"] == ["a", None]


def test_every_wrong_param_is_a_violation() -> None:
    found = violations(SIGNATURE, [[1]], {"k": "x", "words": ["a", 5], "since": "tomorrow", "rate": []})
    assert [violation.column for violation in found] == ["params.k", "params.words[1]", "params.since", "params.rate"]


def test_param_with_a_shape_needs_a_list_and_param_without_refuses_a_list() -> None:
    assert violations(SIGNATURE, [[1]], {"words": "a"})
    assert violations(SIGNATURE, [[1]], {"k": [9]})


@pytest.mark.parametrize("params", [[1], "k=5", 5])
def test_params_other_than_an_object_are_refused(params: Any) -> None:
    (violation,) = violations(SIGNATURE, [[1]], params)
    assert violation.column == "params"


@pytest.mark.parametrize(("params", "expected"), [(None, None), ({}, {}), ({"unknown": 1}, {})])
def test_model_without_params_gets_none_or_an_empty_object_as_in_mlflow(params: Any, expected: Any) -> None:
    assert compiled([{"type": "double", "name": "a", "required": True}]).enforce([[1.5]], params).params == expected
