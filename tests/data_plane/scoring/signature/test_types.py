"""The values that each column type accepts and refuses."""

import math
from typing import Any

import numpy as np
import pytest

from tests.data_plane.scoring.signature.signatures import columns, frame, held, refused, violations

BIG = 2**53


class TestBoolean:
    @pytest.mark.parametrize(
        ("value", "expected"), [(True, True), (False, False), ("true", True), ("FALSE", False), ("True", True)]
    )
    def test_true_and_false_are_accepted_as_json_and_as_text(self, value: Any, expected: bool) -> None:
        assert held("boolean", value) is expected

    @pytest.mark.parametrize("value", [1, 0, 1.0, "yes", "1", "", None, []])
    def test_value_other_than_true_or_false_is_refused(self, value: Any) -> None:
        refused("boolean", value)


class TestWholeNumbers:
    @pytest.mark.parametrize("value", [63, 63.0, "63", "63.0", "6.3e1", "630e-1"])
    def test_every_spelling_of_63_is_accepted(self, value: Any) -> None:
        assert held("long", value) == 63
        assert held("integer", value) == 63

    @pytest.mark.parametrize(
        "value", [63.5, "63.5", "abc", "", " 63", "063", "+63", "0x3f", "1_0", "٣", True, None, [63]]
    )
    def test_value_that_is_not_a_whole_number_is_refused(self, value: Any) -> None:
        refused("long", value)

    def test_integer_accepts_exactly_32_bits(self) -> None:
        assert held("integer", 2**31 - 1) == 2**31 - 1
        assert held("integer", -(2**31)) == -(2**31)
        for value in (2**31, -(2**31) - 1, float(2**31), str(2**31)):
            assert "from -2147483648 to 2147483647" in refused("integer", value).expected

    def test_long_accepts_exactly_64_bits(self) -> None:
        assert held("long", 2**63 - 1) == 2**63 - 1
        assert held("long", str(-(2**63))) == -(2**63)
        for value in (2**63, str(2**63), 1e19, "1e19", "1e999999999", "9" * 400):
            refused("long", value)

    def test_number_in_text_is_read_without_rounding(self) -> None:
        assert held("long", f"{BIG + 1}.0") == BIG + 1
        refused("long", f"{BIG + 1}.5")

    def test_mixed_integers_and_whole_floats_are_accepted(self) -> None:
        assert frame(columns(a="long", b="long"), [[1, 2.0], [3.0, 4]]) == {"a": [1, 3], "b": [2, 4]}
        assert frame(columns(a="long"), [[float(BIG)], [1]]) == {"a": [BIG, 1]}

    def test_column_dtype_has_the_declared_width(self) -> None:
        payload, *_ = columns(a="integer", b="long").enforce([[1, 2]], None)
        assert [column.values.dtype for column in payload.columns] == [np.int32, np.int64]


class TestFloats:
    @pytest.mark.parametrize("value", [1.5, "1.5", "15e-1"])
    def test_float_is_accepted_as_json_and_as_text(self, value: Any) -> None:
        assert held("double", value) == 1.5
        assert held("float", value) == 1.5

    def test_integer_is_a_double_only_if_the_conversion_is_exact(self) -> None:
        assert held("double", BIG) == BIG
        assert held("double", 2**63) == 2.0**63
        for value in (BIG + 1, str(BIG + 1), -BIG - 1):
            refused("double", value)

    def test_integer_is_a_float_only_if_24_bits_suffice(self) -> None:
        assert held("float", 2**24) == 2**24
        assert held("float", 2**24 + 2) == 2**24 + 2
        refused("float", 2**24 + 1)

    def test_fraction_becomes_the_nearest_float(self) -> None:
        assert held("float", 0.1) == float(np.float32(0.1))
        assert held("double", "0.1") == 0.1

    def test_number_that_overflows_a_float_is_refused(self) -> None:
        refused("float", 1e300)
        refused("float", "1e39")
        refused("float", 10**300)
        refused("double", "1e400")

    def test_null_becomes_nan_in_a_float_column(self) -> None:
        assert math.isnan(held("double", None))
        assert math.isnan(held("float", None))

    @pytest.mark.parametrize("value", [True, "NaN", "inf", "abc", "", "1,5", [1.0], {}])
    def test_value_that_is_not_a_number_is_refused(self, value: Any) -> None:
        refused("double", value)

    def test_only_the_wrong_values_of_a_column_are_violations(self) -> None:
        found = violations(columns(a="double", b="double"), [[1, "2"], ["x", None], [True, 3]])
        assert [(violation.column, violation.row) for violation in found] == [("a", 1), ("a", 2)]


class TestTexts:
    def test_string_accepts_text_only(self) -> None:
        assert held("string", "Zürich") == "Zürich"
        for value in (7, True, None, ["x"], {}):
            refused("string", value)

    def test_binary_accepts_base64_text_only(self) -> None:
        assert held("binary", "AAH/") == b"\x00\x01\xff"
        for value in ("AAH", "no base64!", 5, None):
            refused("binary", value)


class TestDatetime:
    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            ("2024-05-31", "2024-05-31T00:00:00"),
            ("2024-05-31T12:30", "2024-05-31T12:30:00"),
            ("2024-05-31 12:30:01", "2024-05-31T12:30:01"),
            ("2024-05-31T12:30:01.123456789", "2024-05-31T12:30:01.123456789"),
            ("1960-01-01T00:00:00.5", "1960-01-01T00:00:00.5"),
            ("2024-05-31T12:30:00Z", "2024-05-31T12:30:00"),
            ("2024-05-31T12:30:00+02:00", "2024-05-31T10:30:00"),
            ("2024-05-31T12:30:00-0930", "2024-05-31T22:00:00"),
        ],
    )
    def test_iso_8601_is_accepted_and_an_offset_is_converted_to_utc(self, text: str, expected: str) -> None:
        assert held("datetime", text) == np.datetime64(expected, "ns")

    @pytest.mark.parametrize(
        "value",
        ["2024-13-01", "2024-02-30", "yesterday", "now", "NaT", "2024", "31.05.2024", "2300-01-01", "1600-01-01",
         "2024-05-31T12:30:00.1234567891", "2024-05-31T12.5", 1717158600, None],
    )  # fmt: skip
    def test_invalid_or_too_fine_datetime_is_refused(self, value: Any) -> None:
        refused("datetime", value)


class TestOptionalColumns:
    @pytest.mark.parametrize(
        ("kind", "value", "expected"),
        [
            ("long?", 1, 1),
            ("boolean?", True, True),
            ("string?", "x", "x"),
            ("integer?", 2, 2),
            ("binary?", "AA==", b"\0"),
        ],
    )
    def test_null_is_missing_in_an_optional_column(self, kind: str, value: Any, expected: Any) -> None:
        assert frame(columns(value=kind), [[value], [None]]) == {"value": [expected, None]}

    def test_absent_optional_column_is_left_out_of_the_frame(self) -> None:
        assert frame(columns(a="long", b="string?"), [{"a": 1}]) == {"a": [1]}

    def test_optional_flag_of_older_mlflow_makes_a_column_optional(self) -> None:
        signature = columns(a={"type": "long", "optional": True})
        assert frame(signature, [[None]]) == {"a": [None]}


ARRAY = {"type": "array", "items": {"type": "double"}}
MAP = {"type": "map", "values": {"type": "long"}}
OBJECT = {
    "type": "object",
    "properties": {"name": {"type": "string", "required": True}, "age": {"type": "long", "required": False}},
}


class TestNested:
    def test_whole_numbers_are_accepted_in_an_array_of_doubles(self) -> None:
        assert held(ARRAY, [1, 2]) == [1.0, 2.0]
        assert held(ARRAY, []) == []

    def test_wrong_item_of_an_array_is_reported_with_the_position(self) -> None:
        violation = refused(ARRAY, [1.0, "x"])
        assert violation.message == "column 'value[1]', row 0: expected double, got the text \"x\""

    def test_object_needs_required_properties_and_refuses_undeclared_properties(self) -> None:
        assert held(OBJECT, {"name": "Ada", "age": "36"}) == {"name": "Ada", "age": 36}
        assert held(OBJECT, {"name": "Ada", "age": None}) == {"name": "Ada", "age": None}
        assert refused(OBJECT, {"age": 36}).column == "value.name"
        assert refused(OBJECT, {"name": "Ada", "shoe": 39}).column == "value.shoe"

    def test_map_accepts_any_key_and_checks_the_values(self) -> None:
        assert held(MAP, {"a": 1, "b": 2.0}) == {"a": 1, "b": 2}
        assert refused(MAP, {"a": 1.5}).column == "value.a"

    def test_nested_types_are_checked_at_every_depth(self) -> None:
        deep = {"type": "array", "items": {"type": "map", "values": OBJECT}}
        assert held(deep, [{"x": {"name": "Ada"}}]) == [{"x": {"name": "Ada"}}]
        assert refused(deep, [{"x": {"name": 5}}]).column == "value[0].x.name"

    def test_null_array_is_refused_unless_the_column_is_optional(self) -> None:
        refused(ARRAY, None)
        assert frame(columns(value={**ARRAY, "required": False}), [{"value": None}]) == {"value": [None]}

    @pytest.mark.parametrize("value", [None, 1, "x", [1, "x"], {"a": None}])
    def test_any_accepts_every_json_value(self, value: Any) -> None:
        assert held({"type": "any"}, value) == value

    def test_sparkml_vector_is_an_array_of_doubles(self) -> None:
        assert held("sparkml_vector", [1, 2.5]) == [1.0, 2.5]
