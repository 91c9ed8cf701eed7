"""Text from outside the platform, made fit for the database, a log line and a JSON response.

PostgreSQL stores no NUL, UTF-8 has no half of a surrogate pair, and a terminal acts on control characters. Text enters
the platform through `storable_text` once; code behind the entrance does not check again.
"""

import re
from typing import Any

MAX_CHARACTERS = 4096

# Control characters except tab and line feed, line and paragraph separators, direction overrides, halves of surrogate
# pairs.
_UNPRINTABLE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


def storable_text(value: object, *, max_characters: int = MAX_CHARACTERS) -> str:
    """Return `value` as text of about `max_characters` at most, unprintable characters as escapes such as `\\x00`.

    A cut text ends with the number of characters that are left out. A value without a text becomes the name of its
    type: `str()` of a foreign object may raise.
    """
    try:
        text = value if isinstance(value, str) else str(value)
    except Exception:  # noqa: BLE001 - `__str__` may be foreign code
        text = f"(a {type(value).__name__} without a text)"
    kept = text[:max_characters]
    printable = _UNPRINTABLE.sub(_escape, kept.replace("\r\n", "\n"))
    # Every escaped character becomes four to six characters.
    left_out = len(text) - len(kept) + max(0, len(printable) - max_characters)
    if not left_out:
        return printable
    return f"{printable[:max_characters]} … ({left_out} characters left out)"


def storable_optional_text(value: object) -> str | None:
    return None if value is None else storable_text(value)


def storable_json(value: Any) -> Any:
    """Return nested dicts and lists with every text in a storable form, keys included."""
    if isinstance(value, str):
        return storable_text(value)
    if isinstance(value, dict):
        return {storable_text(key): storable_json(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [storable_json(entry) for entry in value]
    return value


def _escape(match: "re.Match[str]") -> str:
    code = ord(match.group())
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"
