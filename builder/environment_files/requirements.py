"""Turn pip lines of conda.yaml and requirements files into requirements without paths of a machine.

`-r` and `-c` files are read in place, index options are collected, and a wheel or source archive of the model becomes
`${MODELYARD_WHEELS}/<sha256>/<file name>`. A line with a file of the training machine is refused.
"""

import hashlib
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote, urlsplit

from packaging.requirements import InvalidRequirement as UnreadableRequirement
from packaging.requirements import Requirement

from builder.environment_files.model_paths import path_in_model, read_text
from builder.environment_files.pip_lines import PipLine, lines_of, split_options
from builder.errors import InvalidRequirement
from modelyard.core.domain.environment_spec import LocalFile, PackageSources, normalised

_ARCHIVES = (".whl", ".tar.gz", ".zip", ".tar.bz2", ".tgz")
_URL = re.compile(r"^(?:[a-z]+\+)?[a-z][a-z0-9]+://", re.IGNORECASE)
_PER_REQUIREMENT_OPTIONS = re.compile(r"\s--(?:hash|config-settings?|global-option)[=\s].*$", re.DOTALL)
_EXTRAS_OR_MARKER = re.compile(r"^(?P<path>.+?)(?P<rest>(?:\[[^\]]*\])?\s*(?:;.*|--hash.*)?)$", re.DOTALL)


@dataclass(frozen=True, slots=True)
class DeclaredRequirements:
    lines: tuple[str, ...]
    constraints: tuple[str, ...]
    sources: PackageSources
    local_files: tuple[LocalFile, ...]
    notes: tuple[str, ...]


def collect_requirements(model_folder: Path, base: Path, declared: Iterable[PipLine]) -> DeclaredRequirements:
    """Read the lines of a file in the folder `base`. Raises InvalidRequirement and PathLeavesModelFolder."""
    reader = _Reader(model_folder)
    for line in declared:
        reader.read(line, base)
    return reader.result()


def parse_requirement(line: str) -> Requirement | None:
    """Parse a requirement by name. None: the line is a path or URL without a name."""
    try:
        return Requirement(_PER_REQUIREMENT_OPTIONS.sub("", line))
    except UnreadableRequirement:
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
    lines: list[str] = field(default_factory=list)
    constraints: list[str] = field(default_factory=list)
    local_files: dict[str, LocalFile] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    options: dict[str, list[str]] = field(default_factory=dict)
    open_files: list[Path] = field(default_factory=list)

    def read(self, line: PipLine, base: Path, *, constraint: bool = False) -> None:
        text = line.text.strip()
        if text.startswith("-"):
            for option, value in split_options(line):
                self._option(option, value, line, base, constraint)
        elif text and not text.startswith("#"):
            requirement = self._requirement(re.sub(r"\s+#.*$", "", text), line, base)
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

    def _option(self, option: str, value: str, line: PipLine, base: Path, constraint: bool) -> None:
        special: Mapping[str, Callable[[], None]] = {
            "requirement": lambda: self._file(value, line, base, constraint=constraint),
            "constraint": lambda: self._file(value, line, base, constraint=True),
            "find-links": lambda: self._find_links(value, line, base),
            "editable": lambda: self._refuse_editable(line),
            "prefer-binary": lambda: self._ignore(line),
            "use-feature": lambda: self._ignore(line),
            "require-hashes": lambda: self._ignore(line),
        }
        if option in special:
            special[option]()
        else:
            self.options.setdefault(option, []).extend(_values(option, value))

    def _file(self, name: str, line: PipLine, base: Path, *, constraint: bool) -> None:
        if _URL.match(name):
            raise InvalidRequirement(
                f"{line.where} reads {name!r} from the network; put the file into the model folder and write its path"
            )
        path = path_in_model(self.model_folder, base, name, where=line.where)
        if path in self.open_files:
            raise InvalidRequirement(f"{line.where} reads {name!r}, which includes this file; remove the line")
        self.open_files.append(path)
        shown = path.relative_to(self.model_folder.resolve()).as_posix()
        for inner in lines_of(read_text(path, name=shown), name=shown):
            self.read(inner, path.parent, constraint=constraint)
        self.open_files.pop()

    def _find_links(self, value: str, line: PipLine, base: Path) -> None:
        if _URL.match(value):
            self.options.setdefault("find-links", []).append(value)
            return
        folder = path_in_model(self.model_folder, base, value, where=line.where)
        archives = [folder] if folder.is_file() else sorted(folder.iterdir())
        for archive in archives:
            if archive.name.endswith(_ARCHIVES) and archive.is_file():
                self.options.setdefault("find-links", []).append(self._local_file(archive).folder)

    def _refuse_editable(self, line: PipLine) -> None:
        raise InvalidRequirement(
            f"{line.where} asks for an editable install ({line.text!r}); build a wheel of the project, put the "
            "wheel into the model folder and write its path"
        )

    def _ignore(self, line: PipLine) -> None:
        self.notes.append(f"{line.where}: {line.text} is ignored; the option has no effect on this platform")

    def _requirement(self, text: str, line: PipLine, base: Path) -> str:
        requirement = parse_requirement(text)
        if requirement is not None and requirement.url is None and not _looks_like_path(text):
            return text
        url = requirement.url if requirement is not None else None
        if _is_file_url(url or text):
            raise InvalidRequirement(
                f"{line.where}: {text!r} is a file of the machine on which the model was trained; "
                f"write {_pin_instead(requirement, url or text)} instead"
            )
        if url is not None or _URL.match(text):
            return text
        return self._local_requirement(text, line, base)

    def _local_requirement(self, text: str, line: PipLine, base: Path) -> str:
        found = _EXTRAS_OR_MARKER.match(text)
        if found is None or not _looks_like_path(text):
            raise InvalidRequirement(f"{line.where}: {text!r} is not a valid requirement; write name==version")
        path = path_in_model(self.model_folder, base, found["path"].strip(), where=line.where)
        if not path.is_file() or not path.name.endswith(_ARCHIVES):
            raise InvalidRequirement(
                f"{line.where}: {found['path']!r} is neither a wheel nor a source archive; build a wheel of the "
                "project, put the wheel into the model folder and write its path"
            )
        return self._local_file(path).requirement + found["rest"]

    def _local_file(self, path: Path) -> LocalFile:
        resolved = path.resolve()
        relative = path_in_model(self.model_folder, path.parent, path.name, where=path.name)
        shown = relative.relative_to(self.model_folder.resolve()).as_posix()
        with resolved.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        return self.local_files.setdefault(shown, LocalFile(shown, digest))


def _values(option: str, value: str) -> list[str]:
    return value.split(",") if option in {"no-binary", "only-binary"} else [value]


def _looks_like_path(text: str) -> bool:
    path = re.split(r"[;\[]", text)[0].strip()
    return not _URL.match(text) and (path.startswith((".", "/")) or path.endswith(_ARCHIVES) or "/" in path)


def _is_file_url(text: str) -> bool:
    return urlsplit(text.strip()).scheme == "file" or text.startswith("file:")


def _pin_instead(requirement: Requirement | None, url: str) -> str:
    name = requirement.name if requirement is not None else (distribution_name(url) or "name")
    version = re.search(r"-(\d+(?:\.\d+)+)", url)
    return f"{name}=={version[1]}" if version else f"{name}==<version>"
