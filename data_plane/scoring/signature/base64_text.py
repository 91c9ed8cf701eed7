"""The base64 of every route: MIME's line breaks are accepted, and missing padding where no bit is lost."""

import base64
import binascii
import re

_FOREIGN = re.compile(r"[^A-Za-z0-9+/=]")
_URL_SAFE = {"-": "+", "_": "/"}
_QUANTUM, _BYTES_OF_QUANTUM = 4, 3


class NotBase64(ValueError):
    """The text of the error is a relative clause: "which has ..."."""


def decode_base64(text: str) -> bytes:
    """Raises NotBase64."""
    compact = text.replace("\n", "").replace("\r", "")
    unpadded = compact.rstrip("=")
    missing = -len(unpadded) % _QUANTUM
    try:
        data = base64.b64decode(unpadded + "=" * missing, validate=True) if missing < _BYTES_OF_QUANTUM else None
    except (binascii.Error, ValueError):
        raise NotBase64(_reason(unpadded)) from None
    padding = len(compact) - len(unpadded)
    if data is None or padding > missing or (padding < missing and _has_more_bits(unpadded, data)):
        raise NotBase64(_reason(unpadded))
    return data


def _has_more_bits(unpadded: str, data: bytes) -> bool:
    """Return whether the last characters have bits beyond the last byte: the end of the text was cut off."""
    whole = len(unpadded) // _QUANTUM
    rest = base64.b64encode(data[whole * _BYTES_OF_QUANTUM :]).decode().rstrip("=")
    return rest != unpadded[whole * _QUANTUM :]


def _reason(unpadded: str) -> str:
    foreign = _FOREIGN.search(unpadded)
    if foreign is None:
        return "which has '=' before its end" if "=" in unpadded else "whose end is missing or has too much padding"
    character = foreign[0]
    standard = _URL_SAFE.get(character)
    instead = f" where standard base64 has {standard!r}" if standard else ""
    return f"which has {character!a}{instead}"
