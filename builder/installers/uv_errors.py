"""What uv says when it fails, as one readable sentence for an operation's error."""

import re

_LONGEST = 1500
_CAUSE = re.compile(r"\s*\n\s*(?:╰─▶|├─▶|cause:)\s*")
_DECORATION = re.compile(r"^[\s│├╰─▶×╭╮|]+", re.MULTILINE)
_CREDENTIALS = re.compile(r"(\w+://)[^/\s@]+@")


def failure_sentence(output: str) -> str:
    """From uv's output: "Because ..." where the resolver explains itself, else the error and its causes."""
    told = _from_the_error_on(output)
    flat = " ".join(_DECORATION.sub(" ", _CAUSE.sub(": ", told)).split())
    because = re.search(r"\bBecause\b.*", flat)
    sentence = redacted(because[0] if because else flat)
    return _shortened(sentence or "the installer ended without a word; see the build log")


def redacted(line: str) -> str:
    """Without the user name and password of a URL."""
    return _CREDENTIALS.sub(r"\1****@", line)


def _from_the_error_on(output: str) -> str:
    starts = [found.start() for found in re.finditer(r"^(?:error:|\s*×)", output, re.MULTILINE)]
    return re.sub(r"^error:\s*", "", output[starts[0] :]) if starts else "\n".join(output.splitlines()[-5:])


def _shortened(sentence: str) -> str:
    """The beginning says what failed, the end usually why."""
    if len(sentence) <= _LONGEST:
        return sentence
    third = _LONGEST // 3
    return f"{sentence[:third]} … {sentence[-2 * third :]}"
