"""Turn pip lines of conda.yaml and requirements files into requirements without paths of a machine.

Every requirement is parsed, and written for the installer from the parsed parts. `-r` and `-c` files are read in place,
index options are collected, and a wheel or source archive of the model becomes
`${MODELYARD_WHEELS}/<sha256>/<file name>`. A line with a file of the training machine is refused.
"""

import hashlib
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote

from packaging.markers import InvalidMarker, Marker
from packaging.requirements import InvalidRequirement as UnreadableRequirement
from packaging.requirements import Requirement

from builder.environment_files.model_paths import path_in_model, read_text
from builder.environment_files.pip_lines import PipLine, lines_of, split_options
from builder.errors import InvalidRequirement
from modelyard.core.domain.declared_text import shown
from modelyard.core.domain.environment_spec import LocalFile, PackageSources, normalised
from modelyard.core.domain.outgoing_urls import WEB, RefusedUrl, UrlPolicy

_ARCHIVES = (".whl", ".tar.gz", ".zip", ".tar.bz2", ".tgz")
_URL = re.compile(r"^(?:[a-z]+\+)?[a-z][a-z0-9]+:(?://|/)", re.IGNORECASE)
_FILE_URL = re.compile(r"^(?:[a-z]+\+)?file:", re.IGNORECASE)
_PACKAGE_SCHEMES = WEB | {"git+http", "git+https", "git+ssh"}
_OPTIONS = re.compile(r"(?<!\s)\s+--")
_HASH = re.compile(r"hash[=\s]\s*((?:md5|sha256|sha384|sha512):[0-9a-f]+)\s*")
_VARIABLE = re.compile(r"\$\{([A-Z0-9_]+)\}")
_MARKER = re.compile(r"(?<!\s)\s+;|;\s")
_EXTRAS = re.compile(r"\[[A-Za-z0-9._, -]*\]$")
_ARCHIVE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+!-]*")
_PACKAGE_LIST = re.compile(r":all:|:none:|[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?")
_HOST_AND_PORT = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?(:[0-9]{1,5})?")
_LONGEST_REQUIREMENT = 4096
_MOST_LINES = 5000


@dataclass(frozen=True, slots=True)
class RequirementPolicy:
    """The operator's rules for the lines of models."""

    variables: frozenset[str] = frozenset()
    """Names that lines may write as `${NAME}`."""
    urls: UrlPolicy = field(default_factory=UrlPolicy)


@dataclass(frozen=True, slots=True)
class DeclaredRequirements:
    lines: tuple[str, ...]
    constraints: tuple[str, ...]
    sources: PackageSources
    local_files: tuple[LocalFile, ...]
    notes: tuple[str, ...]


def collect_requirements(
    model_folder: Path, base: Path, declared: Iterable[PipLine], policy: RequirementPolicy
) -> DeclaredRequirements:
    """Read the lines of a file in the folder `base`. Raises InvalidRequirement and PathLeavesModelFolder."""
    reader = _Reader(model_folder, policy)
    for line in declared:
        reader.read(line, base)
    return reader.result()


def parse_requirement(line: str) -> Requirement | None:
    """Parse a requirement by name. None: the line is a path or URL without a name."""
    try:
        return Requirement(_OPTIONS.split(line, maxsplit=1)[0])
    except (UnreadableRequirement, RecursionError):
        return None


def distribution_name(line: str) -> str | None:
    """The normalised name of a line's distribution. None: the line does not tell the name."""
    requirement = parse_requirement(line)
    if requirement is not None:
        return normalised(requirement.name)
    egg = re.search(r"#(?:.*&)?egg=([A-Za-z0-9._-]+)", line)
    if egg:
        return normalised(egg[1])
    file_name = unquote(re.split(r"[\s;\[#?]", line)[0].rpartition("/")[2])
    return normalised(file_name.split("-")[0]) if file_name.endswith(".whl") else None


@dataclass(slots=True)
class _Reader:
    model_folder: Path
    policy: RequirementPolicy
    lines: list[str] = field(default_factory=list)
    constraints: list[str] = field(default_factory=list)
    local_files: dict[str, LocalFile] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    options: dict[str, list[str]] = field(default_factory=dict)
    open_files: list[Path] = field(default_factory=list)
    lines_read: int = 0

    def read(self, line: PipLine, base: Path, *, constraint: bool = False) -> None:
        self._count(line)
        text = line.without_comment()
        if text.startswith("-"):
            for option, value in split_options(line):
                self._option(option, value, line, base, constraint)
        elif text:
            requirement = self._requirement(text, line, base)
            (self.constraints if constraint else self.lines).append(requirement)

    def result(self) -> DeclaredRequirements:
        given = self.options
        sources = PackageSources(
            index_url=given["index-url"][-1] if given.get("index-url") else None,
            extra_index_urls=tuple(given.get("extra-index-url", ())),
            find_links=tuple(given.get("find-links", ())),
            trusted_hosts=tuple(given.get("trusted-host", ())),
            no_index="no-index" in given,
            pre="pre" in given,
            no_binary=tuple(given.get("no-binary", ())),
            only_binary=tuple(given.get("only-binary", ())),
        )
        files = tuple(self.local_files.values())
        return DeclaredRequirements(tuple(self.lines), tuple(self.constraints), sources, files, tuple(self.notes))

    def _count(self, line: PipLine) -> None:
        """Files that include each other many times would multiply without end."""
        self.lines_read += 1
        if self.lines_read > _MOST_LINES:
            raise InvalidRequirement(
                f"{line.where}: the environment files have more than {_MOST_LINES} lines, included files counted "
                "each time; remove lines"
            )

    def _option(self, option: str, value: str, line: PipLine, base: Path, constraint: bool) -> None:
        special: Mapping[str, Callable[[], None]] = {
            "requirement": lambda: self._file(value, line, base, constraint=constraint),
            "constraint": lambda: self._file(value, line, base, constraint=True),
            "find-links": lambda: self._find_links(value, line, base),
            "index-url": lambda: self._add(option, self._url(value, line, WEB)),
            "extra-index-url": lambda: self._add(option, self._url(value, line, WEB)),
            "no-binary": lambda: self._add(option, *_words_of(value, _PACKAGE_LIST, line)),
            "only-binary": lambda: self._add(option, *_words_of(value, _PACKAGE_LIST, line)),
            "trusted-host": lambda: self._add(option, *_words_of(value, _HOST_AND_PORT, line)),
            "no-index": lambda: self._add(option),
            "pre": lambda: self._add(option),
            "editable": lambda: self._refuse_editable(line),
            "prefer-binary": lambda: self._ignore(line),
            "use-feature": lambda: self._ignore(line),
            "require-hashes": lambda: self._ignore(line),
        }
        special[option]()

    def _add(self, option: str, *values: str) -> None:
        self.options.setdefault(option, []).extend(values)

    def _file(self, name: str, line: PipLine, base: Path, *, constraint: bool) -> None:
        if _URL.match(name) or _FILE_URL.match(name):
            raise InvalidRequirement(
                f"{line.where} reads {shown(name)}, a URL; put the file into the model folder and write its path"
            )
        path = path_in_model(self.model_folder, base, name, where=line.where)
        if path in self.open_files:
            raise InvalidRequirement(f"{line.where} reads {shown(name)}, which includes this file; remove the line")
        self.open_files.append(path)
        shown_path = path.relative_to(self.model_folder.resolve()).as_posix()
        for inner in lines_of(read_text(path, name=shown_path), name=shown_path):
            self.read(inner, path.parent, constraint=constraint)
        self.open_files.pop()

    def _find_links(self, value: str, line: PipLine, base: Path) -> None:
        if _URL.match(value) or _FILE_URL.match(value):
            self._add("find-links", self._url(value, line, WEB))
            return
        folder = path_in_model(self.model_folder, base, value, where=line.where)
        archives = [folder] if folder.is_file() else sorted(folder.iterdir())
        for archive in archives:
            if archive.name.endswith(_ARCHIVES) and archive.is_file():
                self._add("find-links", self._local_file(archive, line).folder)

    def _refuse_editable(self, line: PipLine) -> None:
        raise InvalidRequirement(
            f"{line.where} asks for an editable install ({shown(line.text)}); build a wheel of the project, put the "
            "wheel into the model folder and write its path"
        )

    def _ignore(self, line: PipLine) -> None:
        self.notes.append(f"{line.where}: {line.text} is ignored; the option has no effect on this platform")

    def _requirement(self, text: str, line: PipLine, base: Path) -> str:
        """Write the requirement for the installer, from its parsed parts."""
        written, hashes = _split_hashes(text, line)
        if len(written) > _LONGEST_REQUIREMENT:
            raise InvalidRequirement(
                f"{line.where}: {shown(written)} is longer than {_LONGEST_REQUIREMENT} characters; shorten the line"
            )
        self._without_variables(written, line)
        requirement = parse_requirement(written)
        by_name = requirement is not None and requirement.url is None and not _looks_like_path(written)
        rendered = str(requirement) if by_name else self._source(requirement, written, line, base)
        return "".join((rendered, *(f" --hash={each}" for each in hashes)))

    def _source(self, requirement: Requirement | None, written: str, line: PipLine, base: Path) -> str:
        """A requirement with a URL or a path of the model folder."""
        if requirement is not None and requirement.url is not None:
            self._refuse_file_url(requirement.url, requirement, written, line)
            requirement.url = self._url(requirement.url, line, _PACKAGE_SCHEMES)
            return str(requirement)
        target, marker = _split_marker(written, line)
        self._refuse_file_url(target, requirement, written, line)
        if _URL.match(target):
            return self._url(target, line, _PACKAGE_SCHEMES) + marker
        return self._local_requirement(target, line, base) + marker

    def _refuse_file_url(self, url: str, requirement: Requirement | None, written: str, line: PipLine) -> None:
        if _FILE_URL.match(url):
            raise InvalidRequirement(
                f"{line.where}: {shown(written)} is a file of the machine on which the model was trained; "
                f"write {_pin_instead(requirement, url)} instead"
            )

    def _url(self, url: str, line: PipLine, schemes: frozenset[str]) -> str:
        try:
            self.policy.urls.check(self._without_variables(url, line), schemes=schemes)
        except RefusedUrl as refusal:
            raise InvalidRequirement(f"{line.where}: {shown(line.text)} is refused: {refusal}") from None
        return url

    def _without_variables(self, text: str, line: PipLine) -> str:
        """The text with a word in place of each allowed variable. Raises InvalidRequirement for any other '$'."""
        for name in _VARIABLE.findall(text):
            if name not in self.policy.variables:
                raise InvalidRequirement(
                    f"{line.where}: {shown(line.text)} names the variable {name}, which this platform does not "
                    f"expand; write the value, or ask the operator to list {name} in "
                    "MODELYARD_BUILDER_REQUIREMENT_VARIABLES"
                )
        plain = _VARIABLE.sub("variable", text)
        if "$" in plain:
            raise InvalidRequirement(
                f"{line.where}: {shown(line.text)} has '$', which begins a variable; write '%24' in a URL"
            )
        return plain

    def _local_requirement(self, target: str, line: PipLine, base: Path) -> str:
        extras = _EXTRAS.search(target)
        name = _EXTRAS.sub("", target).strip()
        if not _looks_like_path(name):
            raise InvalidRequirement(f"{line.where}: {shown(target)} is not a valid requirement; write name==version")
        path = path_in_model(self.model_folder, base, name, where=line.where)
        if not path.is_file() or not path.name.endswith(_ARCHIVES):
            raise InvalidRequirement(
                f"{line.where}: {shown(name)} is neither a wheel nor a source archive; build a wheel of the "
                "project, put the wheel into the model folder and write its path"
            )
        return self._local_file(path, line).requirement + (extras[0] if extras else "")

    def _local_file(self, path: Path, line: PipLine) -> LocalFile:
        resolved = path_in_model(self.model_folder, path.parent, path.name, where=line.where)
        if not _ARCHIVE_NAME.fullmatch(resolved.name):
            raise InvalidRequirement(
                f"{line.where}: {shown(resolved.name)} is not a package's file name; use letters, digits and ._+!-"
            )
        relative = resolved.relative_to(self.model_folder.resolve()).as_posix()
        with resolved.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        return self.local_files.setdefault(relative, LocalFile(relative, digest))


def _split_hashes(text: str, line: PipLine) -> tuple[str, list[str]]:
    written, *options = _OPTIONS.split(text)
    found = [_HASH.fullmatch(option) for option in options]
    if not all(found):
        raise InvalidRequirement(
            f"{line.where}: {shown(text)} has an option that requirements cannot have here; "
            "only --hash=sha256:<hexadecimal digits> may follow a requirement"
        )
    return written, [each[1] for each in found if each]


def _split_marker(text: str, line: PipLine) -> tuple[str, str]:
    """The URL or path, and the marker as written for the installer."""
    target, *marker = _MARKER.split(text, maxsplit=1)
    if not marker:
        return target.strip(), ""
    try:
        return target.strip(), f" ; {Marker(marker[0])}"
    except (InvalidMarker, RecursionError):
        raise InvalidRequirement(
            f"{line.where}: {shown(marker[0].strip())} is not a condition; write one like python_version >= '3.8'"
        ) from None


def _words_of(value: str, pattern: re.Pattern[str], line: PipLine) -> list[str]:
    words = [word.strip() for word in value.split(",")]
    wrong = next((word for word in words if not pattern.fullmatch(word)), None)
    if wrong is not None:
        raise InvalidRequirement(f"{line.where}: {shown(line.text)} has the malformed value {shown(wrong)}")
    return words


def _looks_like_path(text: str) -> bool:
    path = re.split(r"[;\[]", text)[0].strip()
    return not _URL.match(text) and (path.startswith((".", "/")) or path.endswith(_ARCHIVES) or "/" in path)


def _pin_instead(requirement: Requirement | None, url: str) -> str:
    name = requirement.name if requirement is not None else (distribution_name(url) or "name")
    version = re.search(r"-(\d+(?:\.\d+)+)", url)
    return f"{name}=={version[1]}" if version else f"{name}==<version>"
