"""The lines of the model's files that a build's failure is about."""

import re
from collections.abc import Mapping

from builder.environment_files.requirements import distribution_name
from modelyard.core.domain.environment_spec import normalised

_MOST_LINES = 10
_VERSION = re.compile(r"[=<>!~]=?[^\s,]+")
_NAME = re.compile(r"[A-Za-z0-9][\w.-]*")

# In every function, `origins` are the places of requirements and constraints: {"numpy==1.23.5": "conda.yaml, line 7"}.


def with_lines(name: str, origins: Mapping[str, str]) -> str:
    """A package with the places that list the package: "numpy (conda.yaml, line 7)"."""
    return f"{name}{lines_of(name, origins)}"


def lines_of(name: str, origins: Mapping[str, str]) -> str:
    lines = [line for text, line in origins.items() if distribution_name(text) == normalised(name)]
    return f" ({', '.join(dict.fromkeys(lines))})" if lines else ""


def lines_named(sentence: str, origins: Mapping[str, str]) -> str:
    """A sentence with the lines whose packages `sentence` names; empty without such lines."""
    named = {normalised(word) for word in _NAME.findall(_VERSION.sub(" ", sentence))}
    lines = [f"{_pin(text)} is {line}" for text, line in origins.items() if distribution_name(text) in named]
    more = [f"and {len(lines) - _MOST_LINES} more"] if len(lines) > _MOST_LINES else []
    return f"Lines to change: {'; '.join([*lines[:_MOST_LINES], *more])}." if lines else ""


def _pin(text: str) -> str:
    return text.partition(" --hash=")[0]
