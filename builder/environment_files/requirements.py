"""Turn pip lines of conda.yaml and requirements files into requirements without paths of a machine.

Every requirement is parsed, and written for the installer from the parsed parts. `-r` and `-c` files are read in place,
index options are collected, and a wheel or source archive of the model becomes
`${MODELYARD_WHEELS}/<sha256>/<file name>`. A line with a file of the training machine is refused. All refused lines
are named at once.
"""

import hashlib
import re
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote

from packaging.markers import InvalidMarker, Marker
from packaging.requirements import InvalidRequirement as UnreadableRequirement
from packaging.requirements import Requirement

from builder.environment_files.model_paths import path_in_model, read_text
from builder.environment_files.pip_lines import PipLine, lines_of, split_options
from builder.errors import FileOfTrainingMachine, InvalidRequirement
from modelyard.core.domain.declared_text import shown
from modelyard.core.domain.environment_spec import LocalFile, PackageSources, normalised
from modelyard.core.domain.outgoing_urls import WEB, RefusedUrl, UrlPolicy
from modelyard.core.errors import InvalidEnvironment

_ARCHIVES = (".whl", ".tar.gz", ".zip", ".tar.bz2", ".tgz")
_DRIVE = re.compile(r"[A-Za-z]:[\\/]|\\\\")
_URL = re.compile(r"^(?:[a-z]+\+)?[a-z][a-z0-9]+:(?://|/)", re.IGNORECASE)
_FILE_URL = re.compile(r"^(?:[a-z]+\+)?file:", re.IGNORECASE)
_PACKAGE_SCHEMES = WEB | {"git+http", "git+https", "git+ssh"}
_OPTIONS = re.compile(r"(?<!\s)\s+--")
_HASH = re.compile(r"hash[=\s]\s*((?:md5|sha256|sha384|sha512):[0-9a-fA-F]+)\s*")
_VARIABLE = re.compile(r"\$\{([A-Z0-9_]+)\}")
_MARKER = re.compile(r"(?<!\s)\s+;|;\s")
_EXTRAS = re.compile(r"\[[A-Za-z0-9._, -]*\]$")
_ARCHIVE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+!-]*")
_PACKAGE_LIST = re.compile(r":all:|:none:|[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?")
_HOST_AND_PORT = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?(:[0-9]{1,5})?")
_LONGEST_REQUIREMENT = 4096
_MOST_LINES = 5000
_MOST_REFUSALS = 50
_NAMED_FILE = re.compile(r"(?:^|[/:])([A-Za-z][A-Za-z0-9._]*)[-_](\d+(?:\.\d+)+)")
_BOUND = re.compile(r"([A-Za-z0-9][\w.-]*)\s*((?:>=|<=|>|<|~=)\s*[0-9][0-9.]*?)(?:\.\*|\+\w[\w.]*)")
_CONTINUATION = re.compile(r"\s\\(?:\s|$)")
_CONDA_PIN = re.compile(r"([A-Za-z0-9][\w.-]*)\s*=\s*([0-9][\w.!*]*)(=\w+)?")
_REPOSITORY = re.compile(r"^(?:git\+|git@|git://)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class RequirementPolicy:
    """The operator's rules for the lines of models."""

    variables: frozenset[str] = frozenset()
    """Names that lines may write as `${NAME}`."""
    urls: UrlPolicy = field(default_factory=UrlPolicy)
    unset: frozenset[str] = frozenset()
    """Names of `variables` without a value in the builder's environment."""
    has_git: bool = True
    """Whether the builder has git, for requirements from repositories."""


@dataclass(frozen=True, slots=True)
class DeclaredRequirements:
    lines: tuple[str, ...]
    constraints: tuple[str, ...]
    sources: PackageSources
    local_files: tuple[LocalFile, ...]
    notes: tuple[str, ...]
    origins: Mapping[str, str]
    """The place of each requirement, constraint and index: "conda.yaml, line 7"."""


def collect_requirements(
    model_folder: Path, base: Path, declared: Iterable[PipLine], policy: RequirementPolicy
) -> DeclaredRequirements:
    """Read the lines of a file in the folder `base`.

    Raises the error of a refused line, and InvalidRequirement with all refused lines if there are several.
    """
    reader = _Reader(model_folder, policy)
    try:
        for line in declared:
            reader.read(line, base)
    except _Stop as stop:
        reader.refusals.append(stop.refusal)
    if reader.refusals:
        raise _united(reader.refusals)
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


class _Stop(Exception):
    """No further line is read."""

    def __init__(self, refusal: InvalidEnvironment) -> None:
        super().__init__(refusal.message)
        self.refusal = refusal


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
    refusals: list[InvalidEnvironment] = field(default_factory=list)
    origins: dict[str, str] = field(default_factory=dict)

    def read(self, line: PipLine, base: Path, *, constraint: bool = False) -> None:
        self._count(line)
        try:
            self._read(line, base, constraint)
        except InvalidEnvironment as refusal:
            self.refusals.append(refusal)

    def _read(self, line: PipLine, base: Path, constraint: bool) -> None:
        text = line.without_comment()
        if text.startswith("-"):
            for option, value in split_options(line):
                self._option(option, value, line, base, constraint)
        elif text:
            # YAML joins the lines of a text, and leaves pip's backslashes at their ends.
            self._add_requirement(_CONTINUATION.sub(" ", text).strip(), line, base, constraint)

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
        return DeclaredRequirements(
            tuple(self.lines), tuple(self.constraints), sources, files, tuple(self.notes), self.origins
        )

    def _count(self, line: PipLine) -> None:
        """Files that include each other many times would multiply without end."""
        self.lines_read += 1
        if len(self.refusals) >= _MOST_REFUSALS:
            raise _Stop(InvalidRequirement(f"the lines from {line.where} on have not been read"))
        if self.lines_read > _MOST_LINES:
            raise _Stop(
                InvalidRequirement(
                    f"{line.where}: the environment files have more than {_MOST_LINES} lines, included files counted "
                    "each time; remove lines"
                )
            )

    def _option(self, option: str, value: str, line: PipLine, base: Path, constraint: bool) -> None:
        special: Mapping[str, Callable[[], None]] = {
            "requirement": lambda: self._file(value, line, base, constraint=constraint),
            "constraint": lambda: self._file(value, line, base, constraint=True),
            "find-links": lambda: self._find_links(value, line, base),
            "index-url": lambda: self._index(option, value, line),
            "extra-index-url": lambda: self._index(option, value, line),
            "no-binary": lambda: self._add(option, *_words_of(value, _PACKAGE_LIST, line)),
            "only-binary": lambda: self._add(option, *_words_of(value, _PACKAGE_LIST, line)),
            "trusted-host": lambda: self._add(option, *_words_of(value, _HOST_AND_PORT, line)),
            "no-index": lambda: self._add(option),
            "pre": lambda: self._add(option),
            "editable": lambda: self._editable(value, line, base, constraint),
            "prefer-binary": lambda: self._ignore(line),
            "use-feature": lambda: self._ignore(line),
            "require-hashes": lambda: self._ignore(line),
        }
        special[option]()

    def _add(self, option: str, *values: str) -> None:
        self.options.setdefault(option, []).extend(values)

    def _index(self, option: str, value: str, line: PipLine) -> None:
        self._add(option, self._url(value, line, WEB))
        self.origins.setdefault(value, line.where)

    def _add_requirement(self, text: str, line: PipLine, base: Path, constraint: bool) -> None:
        requirement = self._requirement(text, line, base)
        (self.constraints if constraint else self.lines).append(requirement)
        self.origins.setdefault(requirement, line.where)
        name = distribution_name(requirement)
        if name is not None and name.replace("-", "_") in sys.stdlib_module_names and not constraint:
            self.notes.append(
                f"{line.where}: {name} is a module of Python itself, and the package of this name changes nothing: "
                "remove the line"
            )

    def _file(self, name: str, line: PipLine, base: Path, *, constraint: bool) -> None:
        if _URL.match(name) or _FILE_URL.match(name):
            raise InvalidRequirement(
                f"{line.where} reads {shown(name)}, a URL; put the file into the model folder and write its path"
            )
        path = path_in_model(self.model_folder, base, name, where=line.where)
        if path in self.open_files:
            raise InvalidRequirement(f"{line.where} reads {shown(name)}, which includes this file; remove the line")
        shown_path = path.relative_to(self.model_folder.resolve()).as_posix()
        text = read_text(path, name=shown_path)
        self.open_files.append(path)
        for inner in lines_of(text, name=shown_path):
            self.read(inner, path.parent, constraint=constraint)
        self.open_files.pop()

    def _find_links(self, value: str, line: PipLine, base: Path) -> None:
        if _URL.match(value) or _FILE_URL.match(value):
            self._add("find-links", self._url(value, line, WEB))
            self.origins.setdefault(value, line.where)
            return
        folder = path_in_model(self.model_folder, base, value, where=line.where)
        archives = [folder] if folder.is_file() else sorted(folder.iterdir())
        for archive in archives:
            if archive.name.endswith(_ARCHIVES) and archive.is_file():
                self._add("find-links", self._local_file(archive, line).folder)

    def _editable(self, value: str, line: PipLine, base: Path, constraint: bool) -> None:
        """pip's freeze writes `-e` before a repository from which the training machine installed."""
        if not re.match(r"(?:[A-Za-z0-9._-]+(?:\[[^\]]*\])?\s*@\s*)?git\+", value):
            raise InvalidRequirement(
                f"{line.where} asks for an editable install ({shown(line.text)}); build a wheel of the project, put "
                "the wheel into the model folder and write its path"
            )
        self._add_requirement(value, line, base, constraint)
        self.notes.append(f"{line.where}: -e is ignored; the repository is installed as a package")

    def _ignore(self, line: PipLine) -> None:
        self.notes.append(f"{line.where}: {line.text} is ignored; the option has no effect on this platform")

    def _requirement(self, text: str, line: PipLine, base: Path) -> str:
        """Write the requirement for the installer, from its parsed parts."""
        written, hashes = _split_hashes(text, line)
        if len(written) > _LONGEST_REQUIREMENT:
            raise InvalidRequirement(
                f"{line.where}: {shown(written)} is longer than {_LONGEST_REQUIREMENT} characters; shorten the line"
            )
        if self._without_variables(written, line) != written and "://" not in written:
            raise InvalidRequirement(f"{line.where}: {shown(written)} has a variable outside a URL; write the value")
        requirement = parse_requirement(written)
        by_name = requirement is not None and requirement.url is None and not _looks_like_path(written)
        rendered = str(requirement) if by_name else self._source(requirement, written, line, base)
        return "".join((rendered, *(f" --hash={each}" for each in hashes)))

    def _source(self, requirement: Requirement | None, written: str, line: PipLine, base: Path) -> str:
        """A requirement with a URL or a path of the model folder."""
        if _REPOSITORY.match(written) and not _URL.match(written):
            raise InvalidRequirement(
                f"{line.where}: {shown(written)} is not the URL of a repository; write git+https://host/path or "
                "git+ssh://git@host/path"
            )
        if requirement is not None and requirement.url is not None:
            self._refuse_file_url(requirement.url, requirement, written, line)
            requirement.url = self._package_url(requirement.url, line)
            return str(requirement)
        target, marker = _split_marker(written, line)
        self._refuse_file_url(target, requirement, written, line)
        if _URL.match(target):
            return self._package_url(target, line) + marker
        return self._local_requirement(target, line, base) + marker

    def _refuse_file_url(self, url: str, requirement: Requirement | None, written: str, line: PipLine) -> None:
        if _FILE_URL.match(url) or _DRIVE.match(url):
            raise FileOfTrainingMachine(shown(written), line.where, _pin_instead(requirement, url))

    def _package_url(self, url: str, line: PipLine) -> str:
        checked = self._url(url, line, _PACKAGE_SCHEMES)
        if _REPOSITORY.match(url) and not self.policy.has_git:
            raise InvalidRequirement(
                f"{line.where}: {shown(line.text)} is a git repository, and the builder has no git; install git for "
                "the builder, or build a wheel of the project, put the wheel into the model folder and write its path"
            )
        return checked

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
                    f"{line.where} needs the variable {name}, which the builder does not have: ask the operator to set "
                    f"{name} for the platform and to list {name} in MODELYARD_BUILD_VARIABLES"
                )
            if name in self.policy.unset:
                raise InvalidRequirement(
                    f"{line.where} needs the variable {name}, which the builder does not have: "
                    f"MODELYARD_BUILD_VARIABLES lists {name}, and the platform's environment has no value; "
                    f"set {name}, and start the platform again"
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
            raise InvalidRequirement(
                f"{line.where}: {shown(target)} is not a valid requirement; write {_instead_of(target)}"
            )
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
    return written, [each[1].lower() for each in found if each]


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
    path = re.split(r"[;\[]", text)[0].strip().replace("\\", "/")
    return not _URL.match(text) and (path.startswith((".", "/")) or path.endswith(_ARCHIVES) or "/" in path)


def _instead_of(text: str) -> str:
    """The requirement to write: conda writes numpy=1.23.5=py39h0_1, and old versions of pip took numpy>=1.0.*."""
    pinned = _CONDA_PIN.fullmatch(text)
    bound = _BOUND.fullmatch(text)
    return f"{pinned[1]}=={pinned[2]}" if pinned else f"{bound[1]}{bound[2]}" if bound else "name==version"


def _united(refusals: Sequence[InvalidEnvironment]) -> InvalidEnvironment:
    """The only refusal, or one for all; packages of the training machine's files share a sentence."""
    if len(refusals) == 1:
        return refusals[0]
    files = [refusal for refusal in refusals if isinstance(refusal, FileOfTrainingMachine)]
    sentences = [refusal.message for refusal in refusals if refusal not in files]
    if files:
        lines = ", ".join(f"{refusal.where} ({refusal.pin})" for refusal in files)
        sentences.insert(
            0,
            f"these lines name files of the machine on which the model was trained: {lines}; write the version in "
            "parentheses instead of the file",
        )
    return InvalidRequirement("; ".join(sentences))


def _pin_instead(requirement: Requirement | None, path: str) -> str:
    """The pin of the package in a file "numpy-1.23.5-cp310-cp310-linux_x86_64.whl", as far as the name tells."""
    found = _NAMED_FILE.search(path.replace("\\", "/"))
    name = requirement.name if requirement is not None else found[1] if found else "name"
    return f"{name}=={found[2] if found else '<version>'}"
