"""Texts of models and files become storable where they enter."""

import json

import pytest

from modelyard.core.domain.storable_text import storable_json, storable_text
from modelyard.core.errors import WorkerFailed


class Unprintable:
    def __str__(self) -> str:
        raise ValueError("no text")


HOSTILE = {
    "NUL": "a\0b",
    "half a surrogate pair": "a\ud800b",
    "other half": "\udfff",
    "surrogate escapes of a file name": b"\xff\xfe".decode(errors="surrogateescape"),
    "escape sequence of a terminal": "\x1b[2J\x1b]0;title\x07",
    "backspaces": "rm\b\bok",
    "carriage return over the line": "failed\rsucceeded",
    "C1 control characters": "\x85\x9b31m",
    "line and paragraph separators": "a\u2028b\u2029c",
    "direction overrides": "\u202egnp.exe\u202c \u2066x\u2069",
    "DEL": "\x7f",
    "a million characters": "m" * 1_000_000,
    "a million NULs": "\0" * 1_000_000,
    "number": 2**5000 % 10**4000,
    "nested list": [[["\0"]] * 5],
    "object whose text raises": Unprintable(),
    "bytes": b"\0\xff",
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_text_becomes_short_printable_utf8(name: str) -> None:
    text = storable_text(HOSTILE[name])
    assert text
    assert len(text) < 4200
    assert all(character in "\n\t" or ord(character) >= 32 for character in text)
    assert json.loads(json.dumps(text).encode("utf-8")) == text
    text.encode("utf-8")


@pytest.mark.parametrize("text", ["", "one\n\ttwo", "naïve 漢字 👍🏽 עברית", "C:\\x00", "a" * 4096])
def test_ordinary_text_is_unchanged(text: str) -> None:
    assert storable_text(text) == text


def test_escapes_name_the_character():
    assert storable_text("bad \0 and \ud800\r\n") == "bad \\x00 and \\ud800\n"


def test_cut_text_tells_the_number_of_characters_left_out():
    assert storable_text("abcdef", max_characters=4) == "abcd … (2 characters left out)"


def test_nested_values_become_storable():
    assert storable_json({"a\0": ["\ud800", 1, None]}) == {"a\\x00": ["\\ud800", 1, None]}


def test_message_of_a_platform_error_is_storable():
    assert WorkerFailed("bad \0").message == "bad \\x00"
