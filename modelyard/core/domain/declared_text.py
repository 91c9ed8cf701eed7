"""Text that a user's file declares: one printable line, shown in messages cut to a readable length."""

import re
import unicodedata

_LONGEST_SHOWN = 200
# Linear in the text: a match begins only after "://" or at a query's separator.
_USER_INFORMATION = re.compile(r"(?<=://)[^/\s]*@")
_SECRET_PARAMETER = re.compile(r"([?&#][\w.-]*(?:token|key|secret|password|sig|signature)=)[^&\s#]+", re.IGNORECASE)
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
    """The value for a message, quoted, with escapes for control characters, at most 200 characters long.

    Credentials of URLs are masked.
    """
    value = mask_credentials(value) if isinstance(value, str) else value
    text = ascii(value) if isinstance(value, str) and not value.isprintable() else repr(value)
    return text if len(text) <= _LONGEST_SHOWN else f"{text[:_LONGEST_SHOWN]}…"


def mask_credentials(text: str) -> str:
    """The text with the user names and passwords of URLs, and the secrets of their queries, masked."""
    return _SECRET_PARAMETER.sub(r"\1****", _USER_INFORMATION.sub("****@", text))
