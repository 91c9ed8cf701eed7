"""A model's Python version, in the notations of conda, MLflow and users."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.version import InvalidVersion, Version

from builder.errors import UnsupportedPython
from modelyard.core.domain.declared_text import shown

# Model workers are written in the grammar of 3.8.
OLDEST = (3, 8)
KNOWN_MINORS = ("3.13", "3.12", "3.11", "3.10", "3.9", "3.8")
"""The minor versions, newest first, for a range without a Python on the machine."""

_EXACT = re.compile(r"([0-9]{1,4})\.([0-9]{1,4})(?:\.([0-9]{1,4})\S*)?")
_LONGEST = 100


@dataclass(frozen=True, slots=True)
class PythonRequest:
    """A version with a preferred patch, or a range over several minor versions."""

    minor: str | None = None
    patch: str | None = None
    within: SpecifierSet | None = None
    where: str = field(default="the model", compare=False)
    """The place of the version, for messages: "conda.yaml, line 3"."""

    def allows(self, minor: str) -> bool:
        if self.minor is not None:
            return minor == self.minor
        return self.within is None or _some_patch_of(minor, self.within)


@dataclass(frozen=True, slots=True)
class ChosenPython:
    minor: str
    patch: str | None
    note: str | None = None
    where: str = "the model"


def exact_version(text: str, *, where: str) -> PythonRequest:
    """Parse a version of MLmodel or python_env.yaml: "3.10.11" or "3.10"."""
    found = _EXACT.fullmatch(text.strip()) if len(text) <= _LONGEST else None
    if found is None:
        raise UnsupportedPython(f"{where} asks for Python {shown(text)}; write a version like 3.10 or 3.10.11")
    return _exact(found, where)


def conda_version(text: str, *, where: str) -> PythonRequest:
    """Parse the text after the name of a conda dependency: "=3.10.11", "==3.10", ">=3.8,<3.12", "=3.8.5=h12_0"."""
    wanted = _without_build_string(text.strip())
    if wanted.lstrip("=").strip() in {"", "*"}:
        return PythonRequest()
    found = _EXACT.fullmatch(re.sub(r"^={1,2}\s*", "", wanted).removesuffix(".*"))
    if found is not None:
        return _exact(found, where)
    try:
        return PythonRequest(within=SpecifierSet(_pep440(wanted)), where=where)
    except InvalidSpecifier:
        raise UnsupportedPython(
            f"{where}: python{text} is not a Python version; write python=3.10, python=3.10.11 or python>=3.9,<3.12"
        ) from None


def choose_python(
    asked: PythonRequest, *, trained_with: PythonRequest | None, minors: Sequence[str], default: str
) -> ChosenPython:
    """Choose the minor version: the named version, else the training version if the range allows it, else the newest
    version of `minors` in the range. Raises UnsupportedPython."""
    if asked.minor is not None:
        return _supported(ChosenPython(asked.minor, asked.patch, where=asked.where))
    if trained_with is not None and trained_with.minor is not None and asked.allows(trained_with.minor):
        patch = _patch_within(trained_with, asked)
        return _supported(ChosenPython(trained_with.minor, patch, where=trained_with.where))
    if asked.within is None:
        return ChosenPython(default, None, f"the model names no Python version; using the platform's, {default}")
    for minor in (*minors, *KNOWN_MINORS):
        if asked.allows(minor):
            return _supported(ChosenPython(minor, None, f"the model asks for Python {asked.within}; using {minor}"))
    raise UnsupportedPython(
        f"{asked.where}: no supported Python version satisfies {asked.within}; write a version from 3.8 to 3.13"
    )


def _exact(found: re.Match[str], where: str) -> PythonRequest:
    major, minor, patch = found.groups()
    name = f"{int(major)}.{int(minor)}"
    return PythonRequest(name, f"{name}.{int(patch)}" if patch is not None else None, where=where)


def _without_build_string(text: str) -> str:
    """Remove conda's build string after the version: "3.8.5=h7579374_1", "3.8.5 h7579374_1"."""
    version = re.sub(r"^(={0,2}\s*[\d.*]+)\s*[=\s]\s*\w+$", r"\1", text)
    return version.strip()


def _pep440(text: str) -> str:
    parts = [part.strip() for part in text.split(",")]
    return ",".join(f"=={_starred(part.lstrip('='))}" if _is_fuzzy(part) else part for part in parts)


def _is_fuzzy(part: str) -> bool:
    """conda's single "=", or a version without an operator, means any version with the prefix."""
    return bool(re.match(r"^=?\s*\d", part))


def _starred(version: str) -> str:
    return version.strip() if version.endswith(".*") else f"{version.strip()}.*"


def _some_patch_of(minor: str, within: SpecifierSet) -> bool:
    return any(within.contains(f"{minor}.{patch}", prereleases=True) for patch in range(30))


def _patch_within(trained_with: PythonRequest, asked: PythonRequest) -> str | None:
    patch = trained_with.patch
    return patch if patch and (asked.within is None or asked.within.contains(patch)) else None


def _supported(chosen: ChosenPython) -> ChosenPython:
    try:
        release = Version(chosen.minor).release
    except InvalidVersion:
        release = (0,)
    if release < OLDEST or release[0] != OLDEST[0]:
        rounded = chosen.minor == "3.1" and chosen.patch is None
        hint = "; a YAML program that reads 3.10 as a number writes 3.1: write '3.10' in quotes" if rounded else ""
        raise UnsupportedPython(
            f"{chosen.where} asks for Python {chosen.minor}, and model workers run on 3.8 and newer; "
            f"write python=3.8 or newer in conda.yaml, and check that the model loads with it{hint}",
            target="python",
        )
    return chosen
