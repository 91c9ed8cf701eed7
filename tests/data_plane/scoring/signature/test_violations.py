"""SignatureViolations list the violations of a request."""

import json

import pytest

from data_plane.scoring.signature import InvalidSignature, SignatureViolations, compile_signature
from modelyard.core.domain.mlmodel import RawSignature
from tests.data_plane.scoring.signature.signatures import columns, compiled, refused, violations


def test_violations_of_columns_and_params_are_reported_together() -> None:
    signature = compiled([{"type": "long", "name": "a"}], [{"name": "k", "type": "long", "default": 5, "shape": None}])
    found = violations(signature, [{"a": "x"}], {"k": "y"})
    assert [violation.column for violation in found] == ["a", "params.k"]


def test_fifty_violations_are_listed_and_the_rest_counted() -> None:
    with pytest.raises(SignatureViolations) as error:
        columns(a="long", b="long").enforce([["x", "y"]] * 60, None)
    assert (len(error.value.violations), error.value.more) == (50, 70)


def test_missing_column_message_names_a_column_that_differs_in_case() -> None:
    (violation,) = violations(columns(thal="string", age="long"), [{"Thal": "fixed", "age": 63, "id": 7}])
    assert violation.message == "missing required column 'thal' (string); the input has 'Thal'"


def test_missing_column_message_lists_five_columns_of_the_input() -> None:
    extra = {f"x{position}": 1 for position in range(9)}
    (violation,) = violations(columns(a="long"), [extra])
    assert violation.got == "'x0', 'x1', 'x2', 'x3', 'x4' and 4 more"
    (violation,) = violations(columns(a="long", b="long"), [{"b": 1}])
    assert violation.got == "'b'"


@pytest.mark.parametrize(
    ("kind", "value", "message"),
    [
        ("double", "fifty-nine", "column 'value', row 0: expected double, got the text \"fifty-nine\""),
        ("double", 2**53 + 1, "got the number 9007199254740993, which double does not hold exactly"),
        ("float", 1e39, "got the number 1e+39, which is too large for float"),
        (
            "integer",
            2**31,
            "expected integer (a whole number from -2147483648 to 2147483647), got the number 2",
        ),
    ],
)
def test_violation_message_names_column_row_type_and_value(kind: str, value: object, message: str) -> None:
    assert message in refused(kind, value).message


def test_violation_message_of_a_param_names_the_param() -> None:
    signature = compiled([{"type": "long", "name": "a"}], [{"name": "k", "type": "long", "default": 5, "shape": None}])
    (violation,) = violations(signature, [{"a": 1}], {"k": "y"})
    assert (violation.column, violation.message.partition(":")[0]) == ("params.k", "param 'k'")


def test_long_values_are_cut_in_violations() -> None:
    got = refused("long", "x" * 1000).got
    assert len(got) < 60
    assert "a list of 3 values" in refused("long", [1, 2, 3]).got
    assert refused("long", {"secret": "value"}).got == "an object"


@pytest.mark.parametrize(
    "inputs",
    [
        "not json",
        "{}",
        json.dumps([{"type": "decimal", "name": "a"}]),
        json.dumps([{"type": "array", "name": "a"}]),
        json.dumps([{"type": "tensor", "tensor-spec": {"dtype": "complex128", "shape": [-1]}}]),
        json.dumps([{"type": "tensor", "tensor-spec": {"dtype": "nonsense", "shape": [-1]}}]),
        json.dumps([{"type": "tensor"}]),
    ],
)
def test_malformed_signature_is_refused_at_compilation(inputs: str) -> None:
    with pytest.raises(InvalidSignature):
        compile_signature(RawSignature(inputs, None, None), type_hints=False)
