"""The declared columns are found in every layout of a table."""

from typing import Any

import pytest

from tests.data_plane.scoring.signature.signatures import columns, compiled, frame, violations

NAMED = columns(a="long", b="string")
EXPECTED = {"a": [1, 2], "b": ["x", "y"]}


@pytest.mark.parametrize(
    "body",
    [
        {"columns": ["a", "b"], "index": [0, 1], "data": [[1, "x"], [2, "y"]]},
        {"columns": ["a", "b"], "data": [[1, "x"], [2, "y"]]},
        {"columns": ["b", "a"], "data": [["x", 1], ["y", 2]]},
        {"columns": ["z", "b", "a"], "data": [[None, "x", 1], [[], "y", 2]]},
        {"data": [[1, "x"], [2, "y"]]},
        [{"a": 1, "b": "x"}, {"b": "y", "a": 2, "z": 0}],
        [[1, "x"], [2, "y"]],
        {"a": [1, 2], "b": ["x", "y"]},
        {"b": ["x", "y"], "z": [], "a": [1, 2]},
    ],
    ids=[
        "split",
        "without index",
        "reordered",
        "extra column",
        "data only",
        "records",
        "rows",
        "columns",
        "shuffled columns",
    ],
)
def test_every_layout_of_a_table_gives_the_same_frame(body: Any) -> None:
    assert frame(NAMED, body) == EXPECTED


def test_dict_of_scalars_is_one_row() -> None:
    assert frame(NAMED, {"a": 1, "b": "x"}) == {"a": [1], "b": ["x"]}
    with_list = columns(a="long", tags={"type": "array", "items": {"type": "string"}})
    assert frame(with_list, {"a": 1, "tags": ["x", "y"]}) == {"a": [1], "tags": [["x", "y"]]}


def test_body_without_rows_gives_a_frame_without_rows() -> None:
    for body in ([], {"columns": ["a", "b"], "data": []}, {"a": [], "b": []}):
        assert frame(NAMED, body) == {"a": [], "b": []}


def test_list_of_scalars_gives_the_rows_of_a_single_column() -> None:
    assert frame(columns("string"), ["one", "two"]) == {0: ["one", "two"]}


def test_unnamed_columns_match_by_position_and_extra_columns_are_dropped() -> None:
    unnamed = columns("long", "string")
    assert frame(unnamed, [[1, "x", "extra"]]) == {0: [1], 1: ["x"]}
    assert frame(unnamed, {"columns": ["any", "names"], "data": [[1, "x"]]}) == {"any": [1], "names": ["x"]}


def test_columns_with_numeric_names_match_numbers_and_text() -> None:
    signature = compiled([{"type": "long", "name": 0}, {"type": "long", "name": 1}])
    assert frame(signature, [{"0": 5, "1": 6}]) == {0: [5], 1: [6]}
    assert frame(signature, {"columns": [1, 0], "data": [[6, 5]]}) == {0: [5], 1: [6]}


def test_every_missing_required_column_is_a_violation() -> None:
    found = violations(columns(a="long", b="string", c="double?"), {"columns": ["z"], "data": [[1]]})
    assert [violation.message for violation in found] == [
        "missing required column 'a' (long); the input has 'z'",
        "missing required column 'b' (string); the input has 'z'",
    ]


def test_key_absent_from_a_record_is_null_there() -> None:
    (violation,) = violations(NAMED, [{"a": 1, "b": "x"}, {"a": 2}])
    assert (violation.column, violation.row, violation.got) == ("b", 1, "null")


def test_rows_of_wrong_length_are_violations_with_row_numbers() -> None:
    found = violations(NAMED, {"columns": ["a", "b"], "data": [[1, "x"], [2], [3, "y", 4], 5]})
    assert [(violation.row, violation.got) for violation in found] == [
        (1, "a list of 1 value"),
        (2, "a list of 3 values"),
        (3, "the number 5"),
    ]


def test_rows_without_names_need_exactly_the_declared_columns() -> None:
    assert violations(NAMED, [[1]])
    assert violations(NAMED, [[1, "x", 2]])
    assert frame(columns(a="long", b="string?"), [[1]]) == {"a": [1]}


def test_duplicate_column_is_refused() -> None:
    (violation,) = violations(NAMED, {"columns": ["a", "b", "a"], "data": [[1, "x", 2]]})
    assert violation.message == "column 'a': expected one column of this name, got 2"


@pytest.mark.parametrize(
    "body",
    [
        None,
        5,
        "text",
        [1, [2]],
        [{"a": 1, "b": "x"}, [1, "x"]],
        {"columns": "a", "data": []},
        {"columns": ["a", "b"], "data": {}},
        {"columns": ["a", "b"], "index": [0, 1], "data": [[1, "x"]]},
        {"a": [1, 2], "b": ["x"]},
        {"a": [1], "b": "x"},
    ],
)
def test_body_that_is_not_a_table_is_one_violation_without_a_row(body: Any) -> None:
    (violation,) = violations(NAMED, body)
    assert violation.row is None


def test_dict_with_data_is_a_column_if_the_signature_declares_data() -> None:
    assert frame(columns(data="long"), {"data": [1, 2]}) == {"data": [1, 2]}


def test_missing_column_and_wrong_value_are_both_reported() -> None:
    found = violations(columns(a="long", b="string"), {"columns": ["a"], "data": [[1.5]]})
    assert [violation.column for violation in found] == ["b", "a"]
