"""Probable causes of a table whose columns do not have the declared names, from the names in its first line."""

import re
from collections.abc import Sequence

_SEPARATORS = (";", "\t", "|")
_NUMBER = re.compile(r"[+-]?[0-9.]*[0-9](?:[eE][+-]?[0-9]+)?", re.ASCII)


def separator_hint(names: Sequence[str]) -> str:
    """Return a clause for a table with one column, whose name contains another separator; else an empty text."""
    if len(names) != 1:
        return ""
    counts = {separator: names[0].count(separator) for separator in _SEPARATORS}
    likeliest = max(_SEPARATORS, key=counts.__getitem__)
    return f"; the separator looks like {likeliest!r}: write the table with commas" if counts[likeliest] else ""


def header_hint(names: Sequence[str]) -> str:
    """Return a clause for a table whose names include none of the declared names; else an empty text."""
    if any(_NUMBER.fullmatch(name.strip()) for name in names if len(name) < 64):
        return "; the first line looks like values: write a line with the names of the columns before it"
    return separator_hint(names)
