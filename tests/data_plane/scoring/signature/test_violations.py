"""A refusal lists everything that is wrong, in few words."""

import json

import pytest

from data_plane.scoring.signature import InvalidSignature, SignatureViolations, compile_signature
from modelyard.core.domain.mlmodel import RawSignature
from tests.data_plane.scoring.signature.signatures import columns, compiled, refused, violations


def test_columns_and_params_are_looked_at_together() -> None:
    signature = compiled([{"type": "long", "name": "a"}], [{"name": "k", "type": "long", "default": 5, "shape": None}])
    found = violations(signature, [{"a": "x"}], {"k": "y"})
    assert [violation.column for violation in found] == ["a", "params.k"]


def test_at_most_fifty_are_listed_and_the_others_counted() -> None:
    with pytest.raises(SignatureViolations) as error:
        columns(a="long", b="long").enforce([["x", "y"]] * 60, None)
    assert (len(error.value.violations), error.value.more) == (50, 70)


def test_long_values_are_cut() -> None:
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
def test_a_signature_that_cannot_be_enforced_is_refused_when_it_is_compiled(inputs: str) -> None:
    with pytest.raises(InvalidSignature):
        compile_signature(RawSignature(inputs, None, None), type_hints=False)
