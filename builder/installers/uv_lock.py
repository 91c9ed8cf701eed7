"""uv's lock: a requirements file with the exact version and the hashes of every package."""

import re
from collections.abc import Iterable, Iterator
from urllib.parse import unquote

from packaging.utils import InvalidSdistFilename, InvalidWheelFilename, parse_sdist_filename, parse_wheel_filename

from builder.environment_files.requirements import distribution_name
from builder.errors import ResolutionFailed
from builder.installers.port import LockedPackage
from modelyard.core.domain.declared_text import shown, unprintable_in
from modelyard.core.domain.environment_spec import normalised

_CONTINUATION = re.compile(r"\\\n\s*")
_HASH = re.compile(r"\s--hash=(\S+)")
_MARKER = re.compile(r"\s;.*$")
_PINNED = re.compile(r"^(?P<name>[A-Za-z0-9][\w.-]*)==(?P<version>\S+)$")
_NAMED_SOURCE = re.compile(r"^(?P<name>[A-Za-z0-9][\w.-]*)(?:\[[^\]]*\])?\s+@\s+(?P<source>\S+)$")


def check_lock(text: str) -> None:
    """Raise ResolutionFailed for a lock with a line that is no package: the code of a package may have written it."""
    for line in _logical_lines(text):
        source = _package(line).source or ""
        if line.startswith("-") or unprintable_in(line) is not None or "file:" in source:
            raise ResolutionFailed(f"the lock has the line {shown(line)}, which names no package")


def with_declared_hashes(text: str, requirements: Iterable[str]) -> str:
    """The lock with the hashes of the requirements in place of the index's, where a requirement has hashes.

    uv compares no file with a requirement's hashes while it resolves; the install compares with the lock's.
    """
    declared = {distribution_name(line): _HASH.findall(line) for line in requirements if _HASH.search(line)}
    if not declared:
        return text
    lines = []
    for line in _logical_lines(text):
        hashes = declared.get(_package(line).name) or _HASH.findall(line)
        lines.append(" \\\n    ".join((_HASH.sub("", line).strip(), *(f"--hash={each}" for each in hashes))))
    return "".join(f"{line}\n" for line in lines)


def locked_packages(text: str) -> tuple[LockedPackage, ...]:
    """The packages of a lock, by name."""
    packages = (_package(line) for line in _logical_lines(text) if not line.startswith("-"))
    return tuple(sorted(packages, key=lambda package: package.name))


def _logical_lines(text: str) -> Iterator[str]:
    lines = (line.strip() for line in _CONTINUATION.sub(" ", text).split("\n"))
    return (line for line in lines if line and not line.startswith("#"))


def _package(line: str) -> LockedPackage:
    hashes = tuple(_HASH.findall(line))
    requirement = _MARKER.sub("", _HASH.sub("", line)).strip()
    pinned = _PINNED.match(requirement)
    if pinned:
        return LockedPackage(normalised(pinned["name"]), pinned["version"], hashes, None)
    named = _NAMED_SOURCE.match(requirement)
    source = named["source"] if named else requirement
    name, version = next(_named_by_file(source), (source, None))
    return LockedPackage(normalised(named["name"]) if named else name, version, hashes, source)


def _named_by_file(source: str) -> Iterator[tuple[str, str]]:
    """The name and version in the file name of a wheel or source archive at the end of the source."""
    file = unquote(re.split(r"[\[#?]", source)[0].rpartition("/")[2])
    try:
        if file.endswith(".whl"):
            name, version, _, _ = parse_wheel_filename(file)
            yield name, str(version)
        else:
            name, version = parse_sdist_filename(file)
            yield name, str(version)
    except (InvalidWheelFilename, InvalidSdistFilename):
        return
