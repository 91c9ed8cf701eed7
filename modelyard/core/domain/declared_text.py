"""Text that a user's file declares: one printable line, shown in messages cut to a readable length."""

import unicodedata

_LONGEST_SHOWN = 200
_TAB = "\t"
# Control characters, lone surrogates, line and paragraph separators, and marks that reverse the direction of text.
_UNPRINTABLE = frozenset({"Cc", "Cs", "Zl", "Zp"})
_DIRECTION_MARKS = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def unprintable_in(text: str) -> str | None:
    """Return the first control character of the text as "U+000A", or None. A tab counts as a space."""
    if text.isprintable():
        return None
    for character in text:
        if character != _TAB and (unicodedata.category(character) in _UNPRINTABLE or character in _DIRECTION_MARKS):
            return f"U+{ord(character):04X}"
    return None


def shown(value: object) -> str:
    """The value for a message, quoted, with escapes for control characters, at most 200 characters long."""
    text = ascii(value) if isinstance(value, str) and not value.isprintable() else repr(value)
    return text if len(text) <= _LONGEST_SHOWN else f"{text[:_LONGEST_SHOWN]}…"
