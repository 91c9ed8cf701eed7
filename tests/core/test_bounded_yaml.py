"""YAML of untrusted authors: what is refused, in a time linear in the size, and the values that are read."""

import time

import pytest

from modelyard.core.domain.bounded_yaml import LARGEST_BYTES, RefusedYaml, load_yaml

# The time of a linear reader is below 0.5 s for each; a quadratic reader takes minutes.
_MOST_SECONDS = 5.0


class TestValues:
    @pytest.mark.parametrize(
        ("text", "value"),
        [
            ("a: 1\nb: [x, 2.5, true, no, ~, null]\n", {"a": 1, "b": ["x", 2.5, True, False, None, None]}),
            ("1: a\ntrue: b\n", {"1": "a", "true": "b"}),
            ("d: 2020-01-01\n", {"d": "2020-01-01"}),
            (
                "n: .nan\ni: -.inf\no: 0o17\nh: 0x1f\ns: 1:30\n",
                {"n": ".nan", "i": "-.inf", "o": "0o17", "h": "0x1f", "s": "1:30"},
            ),
            ("t: !!python/object/apply:os.system ['id']\n", {"t": ["id"]}),
            ("b: !!binary AAA=\n", {"b": "AAA="}),
            ("x: |\n  two\n  lines\n", {"x": "two\nlines\n"}),
            ("", None),
        ],
    )
    def test_plain_values_are_read_and_tags_construct_nothing(self, text, value):
        assert load_yaml(text) == value

    def test_number_of_a_million_digits_stays_text(self):
        assert load_yaml("x: " + "9" * 5000) == {"x": "9" * 5000}

    def test_utf_16_is_read(self):
        assert load_yaml("a: é\n".encode("utf-16")) == {"a": "é"}


BOMBS = {
    "alias bomb": (
        "a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n"
        + "".join(f"a{i}: &a{i} [{','.join([f'*a{i - 1}'] * 10)}]\n" for i in range(1, 9)),
        "anchor or alias",
    ),
    "self reference": ("a: &a [*a]\n", "anchor or alias"),
    "merge of an alias": ("a: &a {b: 1}\nc: {<<: *a}\n", "anchor or alias"),
    "unused anchor": ("a: &a 1\n", "anchor or alias"),
    "deep flow list": ("[" * 500_000, "deeper than 50"),
    "deep block list": ("- " * 500_000 + "x", "deeper than 50"),
    "deep mapping": ("{a: " * 200_000, "deeper than 50"),
    "51 levels": ("[" * 51 + "]" * 51, "deeper than 50"),
    "too large": ("a: " + "b" * LARGEST_BYTES, "1 MB"),
    "too many values": ("[" + "1," * 500_000 + "1]", "more than 50000 values"),
    "too many documents": ("---\n" * 250_000, "more than 50000 values"),
    "two documents": ("a: 1\n---\nb: 2\n", "not valid YAML"),
    "tag directives": ("".join(f"%TAG !a{i}! tag:x,y:\n" for i in range(40_000)), "begins with '%'"),
    "list as a key": ("[1, 2]: 3\n", "as a key"),
    "mapping as a key": ("{a: 1}: 3\n", "as a key"),
    "NUL": ("a: \0\n", "not valid YAML"),
    "lone surrogate": ("a: \ud800\n", "not valid YAML"),
    "escaped surrogate": ('a: "\\ud800"\n', "not valid YAML"),
}

LARGE = {
    "base 60": "x: " + ":".join(["1"] * 300_000),
    "digits": "x: " + "9" * 900_000,
    "colliding keys": "".join(f"{i * (2**61 - 1)}: 1\n" for i in range(24_000)),
    "simple key candidates": "{" + "a " * 400_000 + "}",
    "folded lines": "x: " + "a\n  " * 200_000,
    "escapes": 'x: "' + "\\x41" * 200_000 + '"',
    "comment": "#" * 1_000_000,
    "blanks": " " * 1_000_000,
    "49 levels": "[" * 49 + "1," * 24_000 + "]" * 49,
}


@pytest.mark.parametrize(("text", "says"), BOMBS.values(), ids=BOMBS)
def test_bomb_is_refused_with_the_limit_at_once(text, says):
    started = time.process_time()
    with pytest.raises(RefusedYaml, match=says):
        load_yaml(text)
    assert time.process_time() - started < _MOST_SECONDS


@pytest.mark.parametrize("text", LARGE.values(), ids=LARGE)
def test_large_document_is_read_in_linear_time(text):
    started = time.process_time()
    load_yaml(text)
    assert time.process_time() - started < _MOST_SECONDS
