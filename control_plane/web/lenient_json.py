"""JSON bodies as the parser of Azure's Resource Manager takes them: with trailing commas and raw control characters.

Scripts of Azure's documentation end an object with `"miniBatchSize": "5",}` and put files with line breaks into
strings. A valid body reads as `json.loads` reads the body; the lenient rules count for a body that fails there.
"""

import json
import re
from typing import Any

from fastapi import Request

# A string, also one without an end; a comma after an opening bracket; a comma before a closing bracket, which alone is
# taken away. Possessive, so that the time is linear.
_TOKEN = re.compile(r'"[^"\\]*+(?:\\.[^"\\]*+)*+"?|[\[{]\s*+,|,(?=\s*+[}\]])', re.DOTALL)


class LenientRequest(Request):
    """A request whose JSON body is read by `read_json`."""

    async def json(self) -> Any:
        if not hasattr(self, "_json"):
            self._json = read_json(await self.body())
        return self._json


def read_json(body: bytes) -> Any:
    """Raises json.JSONDecodeError, with line and column in the message."""
    try:
        return json.loads(body)
    except json.JSONDecodeError:
        pass
    text = body.decode(json.detect_encoding(body), "surrogatepass").removeprefix("\ufeff")
    try:
        return json.loads(_without_trailing_commas(text), strict=False)
    except json.JSONDecodeError as error:
        place = f"{error.msg} at line {error.lineno}, column {error.colno}"
        raise json.JSONDecodeError(place, text, error.pos) from None


def _without_trailing_commas(text: str) -> str:
    """Replace each trailing comma by a space, so that positions stay."""
    return _TOKEN.sub(lambda found: " " if found[0] == "," else found[0], text)
