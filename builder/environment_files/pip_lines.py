"""Lines of requirements files and pip sections, joined and split into options (`-r other.txt`) as pip does."""

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass

from builder.errors import InvalidRequirement
from modelyard.core.domain.declared_text import shown, unprintable_in

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


# The line of a package with a hundred hashes has 8,000 characters.
_LONGEST_LINE = 1 << 16
# A blank starts a comment only at the first blank of several: linear in the length of the line.
_COMMENT = re.compile(r"(^|(?<!\s)\s+)#.*$")
# Before a letter, digit or dot, a backslash separates folders in a path of Windows. Elsewhere it quotes, as in pip.
_WINDOWS_SEPARATOR = re.compile(r"\\(?=[\w.])")


@dataclass(frozen=True, slots=True)
class PipLine:
    """A line without control characters. Raises InvalidRequirement."""

    text: str
    where: str
    """The place for messages: "conda.yaml, line 7"."""

    def __post_init__(self) -> None:
        character = unprintable_in(self.text)
        if character is not None:
            raise InvalidRequirement(
                f"{self.where}: {shown(self.text)} has the control character {character}; write one requirement "
                "on each line, in plain text"
            )
        if len(self.text) > _LONGEST_LINE:
            raise InvalidRequirement(f"{self.where}: {shown(self.text)} is longer than {_LONGEST_LINE} characters")

    def without_comment(self) -> str:
        return _COMMENT.sub("", self.text).strip()


def lines_of(text: str, *, name: str) -> Iterator[PipLine]:
    """The lines of a requirements file, without comments and with continuations joined."""
    parts: list[str] = []
    started = 0
    for number, raw in enumerate(text.splitlines(), 1):
        started = started or number
        stripped = _COMMENT.sub("", raw).rstrip()
        if stripped.endswith("\\"):
            parts.append(stripped[:-1])
            continue
        text = "".join((*parts, stripped)).strip()
        if text:
            yield PipLine(text, f"{name}, line {started}")
        parts, started = [], 0
    text = "".join(parts).strip()
    if text:
        yield PipLine(text, f"{name}, line {started}")


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
            raise InvalidRequirement(f"{line.where}: {shown(line.text)} gives no value for --{option}")


def _words(line: PipLine) -> list[str]:
    try:
        return shlex.split(_WINDOWS_SEPARATOR.sub("/", line.without_comment()))
    except ValueError as error:
        raise InvalidRequirement(f"{line.where}: {shown(line.text)} cannot be read: {error}") from None


def _option(word: str, line: PipLine) -> tuple[str, str | None]:
    found = re.match(r"^--([a-z-]+)(?:=(.*))?$", word, re.DOTALL)
    if found is not None:
        name = _ALIASES.get(found[1], found[1])
        if name in _WITH_VALUE | _FLAGS:
            return name, found[2]
    if word[:2] in _SHORT:
        return _SHORT[word[:2]], word[2:].removeprefix("=") or None
    raise InvalidRequirement(
        f"{line.where}: unknown option {shown(word)}; use -r, -c, -f, --index-url, --extra-index-url, --no-index, "
        "--pre, --no-binary, --only-binary or --trusted-host"
    )
