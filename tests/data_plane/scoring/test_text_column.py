"""Columns of text that stay bytes until somebody looks at them."""

import numpy as np
import pytest

from data_plane.scoring.payload.text_column import Texts

WORDS = ["a", "", "\u00e9\u4e2d", "last"]


def texts(*words: str) -> Texts:
    encoded = [word.encode() for word in words]
    offsets = np.cumsum([0, *map(len, encoded)], dtype="<i8")
    return Texts(memoryview(b"".join(encoded)), offsets)


def test_are_a_sequence_of_what_was_sent() -> None:
    some = texts(*WORDS)
    assert list(some) == WORDS
    assert [some[place] for place in range(-4, 4)] == WORDS * 2
    assert len(some) == 4
    with pytest.raises(IndexError):
        some[4]


@pytest.mark.parametrize("part", [slice(0, 2), slice(1, 4), slice(2, 99), slice(3, 1), slice(0, 0), slice(None)])
def test_are_cut_as_a_list_is(part: slice) -> None:
    assert list(texts(*WORDS)[part]) == WORDS[part]


def test_are_equal_when_their_words_are() -> None:
    assert texts("b", *WORDS)[1:] == texts(*WORDS) == WORDS
    assert texts("ab", "c") != texts("a", "bc")


def test_show_half_of_a_character_that_was_cut_in_two() -> None:
    assert list(Texts(memoryview("\u00e9".encode()), np.array([0, 1, 2]))) == ["\ufffd", "\ufffd"]


@pytest.mark.parametrize("offsets", [[], [0, 3], [-1, 2], [0, 2, 1]])
def test_must_lie_in_their_data(offsets: list[int]) -> None:
    with pytest.raises(ValueError, match="do not lie in"):
        Texts(memoryview(b"ab"), np.array(offsets, dtype="<i8"))
