"""The sentence for the report of a failed uv run."""

import re

from modelyard.core.domain.declared_text import mask_credentials

_MAX_LENGTH = 1500
_CAUSE = re.compile(r"\s*\n\s*(?:╰─▶|├─▶|cause:)\s*")
_DECORATION = re.compile(r"^[\s│├╰─▶×╭╮|]+", re.MULTILINE)


def failure_sentence(output: str) -> str:
    """From uv's output: the resolver's explanation ("Because …") if present, else the error and the causes."""
    flat = " ".join(_DECORATION.sub(" ", _CAUSE.sub(": ", _from_the_error_on(output))).split())
    because = re.search(r"\bBecause\b.*", flat)
    sentence = mask_credentials(because[0] if because else flat)
    return _shortened(sentence or "uv failed without a message; see the build log")


def _from_the_error_on(output: str) -> str:
    error = re.search(r"^(?:error:|\s*×)", output, re.MULTILINE)
    return re.sub(r"^error:\s*", "", output[error.start() :]) if error else "\n".join(output.splitlines()[-5:])


def _shortened(sentence: str) -> str:
    """The beginning tells what failed; the end usually tells the cause."""
    if len(sentence) <= _MAX_LENGTH:
        return sentence
    third = _MAX_LENGTH // 3
    return f"{sentence[:third]} … {sentence[-2 * third :]}"
