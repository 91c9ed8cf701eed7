"""A text column keeps bytes and decodes them on access."""

import numpy as np
import pytest

from data_plane.scoring.payload.text_column import TextColumn

WORDS = ["a", "", "\u00e9\u4e2d", "last"]


def text_column(*words: str) -> TextColumn:
    encoded = [word.encode() for word in words]
    offsets = np.cumsum([0, *map(len, encoded)], dtype="<i8")
    return TextColumn(memoryview(b"".join(encoded)), offsets)


def test_text_column_is_a_sequence_of_the_words_sent() -> None:
    column = text_column(*WORDS)
    assert list(column) == WORDS
    assert [column[index] for index in range(-4, 4)] == WORDS * 2
    assert len(column) == 4
    with pytest.raises(IndexError):
        column[4]


@pytest.mark.parametrize("part", [slice(0, 2), slice(1, 4), slice(2, 99), slice(3, 1), slice(0, 0), slice(None)])
def test_text_column_slices_like_a_list(part: slice) -> None:
    assert list(text_column(*WORDS)[part]) == WORDS[part]


def test_text_columns_with_equal_words_are_equal() -> None:
    assert text_column("b", *WORDS)[1:] == text_column(*WORDS) == WORDS
    assert text_column("ab", "c") != text_column("a", "bc")


def test_halves_of_a_character_become_replacement_characters() -> None:
    assert list(TextColumn(memoryview("\u00e9".encode()), np.array([0, 1, 2]))) == ["\ufffd", "\ufffd"]


@pytest.mark.parametrize("offsets", [[], [0, 3], [-1, 2], [0, 2, 1]])
def test_offsets_that_decrease_or_point_outside_the_data_are_refused(offsets: list[int]) -> None:
    with pytest.raises(ValueError, match="decrease or point outside the data"):
        TextColumn(memoryview(b"ab"), np.array(offsets, dtype="<i8"))
