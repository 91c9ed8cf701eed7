"""Every value gives SignatureViolations or a payload that can be sent to a worker, in bounded memory."""

import json
import tracemalloc
from typing import Any

import numpy as np
import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data_plane.scoring.payload.values import JsonPayload
from data_plane.scoring.signature import CompiledSignature, SignatureViolations, parse_json
from data_plane.scoring.wire.encode import encode_score
from tests.data_plane.scoring.signature.signatures import columns, compiled, tensor, violations

ARRAY = {"type": "array", "items": {"type": "any"}}
SIGNATURES = [
    columns(a="long", b="double", c="string?"),
    columns(a="datetime", b="binary", c="boolean"),
    columns("double", "string"),
    columns(a={"type": "any"}, b=ARRAY),
    columns(a=ARRAY),
    compiled([tensor("float32", -1, 2)]),
    compiled([tensor("object", -1)]),
    compiled([tensor("int64", -1, name="a"), tensor("str", -1, name="b")]),
    compiled(),
    compiled(type_hints=True),
    compiled(params=[{"name": "a", "type": "string", "default": "x", "shape": None}]),
]
KEYS = st.sampled_from(["a", "b", "c", "columns", "data", "index", "", "\ud800"])
LEAVES = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text(max_size=4)
    | st.sampled_from([10**400, -(10**30), "\ud800", "1e999999999", "9" * 400, 2**63, float("inf")])
)
VALUES = st.recursive(LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3))


def nested(depth: int) -> Any:
    value: Any = 1
    for level in range(depth):
        value = [value] if level % 2 else {"a": value}
    return value


def send(signature: CompiledSignature, value: Any) -> None:
    try:
        payload, params, *extra = signature.enforce(value, value)
    except SignatureViolations as refused:
        orjson.dumps([violation.message for violation in refused.violations])
        return
    orjson.dumps(extra)
    encode_score(payload, request_id=1, params=params)


@settings(max_examples=500, deadline=None, derandomize=True, database=None)
@given(st.sampled_from(SIGNATURES), VALUES)
def test_random_value_is_refused_or_sent_without_a_crash(signature: CompiledSignature, value: Any) -> None:
    send(signature, value)


@pytest.mark.parametrize("signature", SIGNATURES)
@pytest.mark.parametrize("depth", [100, 300, 900])
def test_deeply_nested_value_is_refused_or_sent_without_a_crash(signature: CompiledSignature, depth: int) -> None:
    for value in (nested(depth), [nested(depth)], {"a": [nested(depth)]}, {"columns": [nested(depth)], "data": [[1]]}):
        send(signature, value)


def test_undeclared_value_nested_over_200_deep_is_refused() -> None:
    (violation,) = violations(compiled(type_hints=True), nested(300))
    assert violation.expected == "values nested at most 200 deep"
    assert violations(columns(a={"type": "any"}), [{"a": nested(300)}])


def test_half_a_surrogate_pair_is_refused_as_text() -> None:
    assert violations(columns(a="string"), [{"a": "\ud800"}])
    assert violations(compiled([tensor("str", -1)]), ["\ud800"])


@pytest.mark.parametrize("name", ["\ud800", 10**30, ["a"], None])
def test_column_name_that_is_not_valid_text_or_a_small_integer_is_refused(name: Any) -> None:
    for signature in (compiled(), columns("long")):
        assert violations(signature, {"columns": [name], "data": [[1]]})
    if isinstance(name, str):
        assert violations(compiled(), {name: [1]})


def test_100000_records_with_distinct_keys_are_enforced_in_linear_time() -> None:
    signature = columns(**{f"c{place}": "long?" for place in range(3)})
    records = [{str(place): 1} for place in range(100_000)]
    enforced = signature.enforce([*records, {"c0": 1, "c1": 2, "c2": 3}], None)
    assert len(enforced.extra_columns) == 100_000


# Long enough for a measurable waste of memory, short enough for a failure to leave the machine alive.
LONG_AMONG_SHORT = ["x" * 20_000, *["y"] * 20_000]


def memory_for(signature: CompiledSignature, value: Any) -> int:
    """Return the peak of allocated bytes. numpy reports allocations to tracemalloc."""
    tracemalloc.start()
    try:
        send(signature, value)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("signature", [compiled(), compiled([tensor("str", -1)])], ids=["unsigned", "a text tensor"])
def test_long_text_among_short_texts_does_not_pad_the_short_texts(signature: CompiledSignature) -> None:
    assert memory_for(signature, LONG_AMONG_SHORT) < 64 << 20
    array = signature.enforce(LONG_AMONG_SHORT, None).payload.array  # type: ignore[union-attr]
    assert array.tolist() == LONG_AMONG_SHORT


@pytest.mark.parametrize(
    "value",
    [[*LONG_AMONG_SHORT, 1], [[text] for text in (*LONG_AMONG_SHORT, 1)], {"a": LONG_AMONG_SHORT, "b": [1]}],
    ids=["beside a number", "nested", "named"],
)
def test_long_text_in_a_mixed_list_or_a_dict_does_not_pad_the_short_texts(value: Any) -> None:
    assert memory_for(compiled(), value) < 64 << 20


class TestParseJson:
    @pytest.mark.parametrize("text", [str(2**64), str(2**64 + 1), str(-(2**63) - 1), "1" + "0" * 300])
    def test_integers_beyond_64_bits_stay_exact(self, text: str) -> None:
        assert parse_json(f'{{"n": [{text}]}}'.encode()) == {"n": [int(text)]}

    @pytest.mark.parametrize(
        "text", ["0.000012345678901234567", "[1.5, 123456789012345678]", '"12345678901234567890123"']
    )
    def test_body_without_large_integers_is_parsed_as_by_orjson(self, text: str) -> None:
        assert parse_json(text.encode()) == orjson.loads(text)

    @pytest.mark.parametrize("body", [b"", b"{", b"[1,]", b"\xff", b'"\\ud800"', b"1e400", b"[" * 2000])
    def test_invalid_json_is_refused(self, body: bytes) -> None:
        with pytest.raises(orjson.JSONDecodeError):
            parse_json(body)

    @given(VALUES)
    @settings(max_examples=200, deadline=None, derandomize=True, database=None)
    def test_random_value_survives_a_round_trip(self, value: Any) -> None:
        body = json.dumps(value).encode()
        try:
            orjson.loads(body)
        except orjson.JSONDecodeError:
            return
        assert parse_json(body) == json.loads(body)


def test_integer_beyond_64_bits_is_refused_by_every_number_type() -> None:
    for kind in ("integer", "long", "double", "float"):
        for number in (2**64 + 1, -(2**64) - 1, 10**25 + 1):
            body = parse_json(f'[{{"a": {number}}}]'.encode())
            (violation,) = violations(columns(a=kind), body)
            assert str(number)[:10] in violation.got


def test_integer_beyond_64_bits_reaches_a_model_of_any_input() -> None:
    value = {"n": [2**70]}
    assert compiled(type_hints=True).enforce(value, None).payload == JsonPayload(value)
    assert np.array_equal(compiled([tensor("object", -1)]).enforce([2**70], None).payload.array, [2**70])  # type: ignore[union-attr]
