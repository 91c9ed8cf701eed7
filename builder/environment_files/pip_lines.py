"""Lines of requirements files and pip sections, joined and split into options (`-r other.txt`) as pip does."""

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass

from builder.errors import InvalidRequirement

_SHORT = {"-r": "requirement", "-c": "constraint", "-i": "index-url", "-f": "find-links", "-e": "editable"}
_WITH_VALUE = frozenset(
    {
        "requirement",
        "constraint",
        "index-url",
        "extra-index-url",
        "find-links",
        "editable",
        "no-binary",
        "only-binary",
        "trusted-host",
        "use-feature",
    }
)
_FLAGS = frozenset({"no-index", "pre", "prefer-binary", "require-hashes"})
_ALIASES = {"pypi-url": "index-url"}


@dataclass(frozen=True, slots=True)
class PipLine:
    text: str
    where: str
    """The place for messages: "conda.yaml, line 7"."""


def lines_of(text: str, *, name: str) -> Iterator[PipLine]:
    """The lines of a requirements file, without comments and with continuations joined."""
    joined, started = "", 0
    for number, raw in enumerate(text.splitlines(), 1):
        started = started or number
        stripped = re.sub(r"(^|\s+)#.*$", "", raw).rstrip()
        if stripped.endswith("\\"):
            joined += stripped[:-1]
            continue
        if (joined + stripped).strip():
            yield PipLine((joined + stripped).strip(), f"{name}, line {started}")
        joined, started = "", 0
    if joined.strip():
        yield PipLine(joined.strip(), f"{name}, line {started}")


def split_options(line: PipLine) -> Iterator[tuple[str, str]]:
    """Each option of the line by long name, with the value; the value of a flag is empty."""
    words = _words(line)
    while words:
        option, glued = _option(words.pop(0), line)
        if option in _FLAGS:
            yield option, ""
        elif glued is not None:
            yield option, glued
        elif words:
            yield option, words.pop(0)
        else:
            raise InvalidRequirement(f"{line.where}: {line.text!r} gives no value for --{option}")


def _words(line: PipLine) -> list[str]:
    try:
        return shlex.split(line.text, comments=True)
    except ValueError as error:
        raise InvalidRequirement(f"{line.where}: {line.text!r} cannot be read: {error}") from None


def _option(word: str, line: PipLine) -> tuple[str, str | None]:
    found = re.match(r"^--([a-z-]+)(?:=(.*))?$", word, re.DOTALL)
    if found is not None:
        name = _ALIASES.get(found[1], found[1])
        if name in _WITH_VALUE | _FLAGS:
            return name, found[2]
    if word[:2] in _SHORT:
        return _SHORT[word[:2]], word[2:].removeprefix("=") or None
    raise InvalidRequirement(
        f"{line.where}: unknown option {word!r}; use -r, -c, -f, --index-url, --extra-index-url, --no-index, "
        "--pre, --no-binary, --only-binary or --trusted-host"
    )
