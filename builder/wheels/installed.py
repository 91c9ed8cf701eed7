"""Read installed distributions back as the content of wheels: uv keeps no .whl files.

RECORD lists the files of a distribution. Scripts of entry points are left out: an installer generates them again.
Other scripts, headers and data lie outside of site-packages and go below `<name>-<version>.data/` in the wheel.
"""

import csv
import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from importlib.metadata import PathDistribution
from pathlib import Path, PurePosixPath

# Files added by an installer.
_INSTALLERS_OWN = frozenset(
    {
        "RECORD",
        "RECORD.jws",
        "RECORD.p7s",
        "INSTALLER",
        "REQUESTED",
        "direct_url.json",
        "uv_cache.json",
        "uv_build.json",
    }
)
_VIRTUALENVS_OWN = frozenset({"_virtualenv.py", "_virtualenv.pth"})
_SCRIPT_GROUPS = ("console_scripts", "gui_scripts")
_SHELL_SHEBANG = re.compile(rb"#!/bin/sh\n'''exec' [^\n]*\n' '''\n")


@dataclass(frozen=True, slots=True)
class Content:
    """A file of a wheel."""

    path: str
    """The path in the wheel."""
    file: Path
    recorded: tuple[str, int] | None = None
    """Hash and size of RECORD. None: RECORD has no hash, or the file's size differs from RECORD."""
    text: bytes | None = None
    """The content in the wheel, if not the file's."""


@dataclass(frozen=True, slots=True)
class Distribution:
    name: str
    version: str
    information: str
    """The name of the .dist-info folder."""
    contents: tuple[Content, ...]

    @property
    def wheel_name(self) -> str:
        """Tagged for every platform. The platform of the environment is checked on restore instead."""
        return f"{re.sub(r'[-_.]+', '_', self.name)}-{self.version.replace('-', '_')}-py3-none-any.whl"


def installed_distributions(environment: Path) -> list[Distribution]:
    (site,) = environment.glob("lib/python3.*/site-packages")
    found = [_Reader(environment, site, folder).read() for folder in sorted(site.glob("*.dist-info"))]
    return _with_unrecorded(found, site)


class _Reader:
    def __init__(self, environment: Path, site: Path, information: Path) -> None:
        self._environment = environment
        self._site = site
        self._information = information
        self._installed = PathDistribution(information)

    def read(self) -> Distribution:
        return Distribution(
            name=self._installed.metadata["Name"],
            version=self._installed.version,
            information=self._information.name,
            contents=tuple(self._contents()),
        )

    def _contents(self) -> Iterator[Content]:
        generated = {point.name for point in self._installed.entry_points if point.group in _SCRIPT_GROUPS}
        seen = set()
        with (self._information / "RECORD").open(encoding="utf-8", newline="") as record:
            for written, digest, size in (row for row in csv.reader(record) if len(row) == 3):
                place = self._place(written)
                if place is not None and place not in seen and not self._is_generated(place, generated):
                    seen.add(place)
                    yield from self._content(place, digest, size)

    def _place(self, written: str) -> PurePosixPath | None:
        """The path below the environment. None: the file lies outside the environment."""
        path = os.path.normpath(self._site / written)
        relative = os.path.relpath(path, self._environment)
        return None if relative.startswith("..") else PurePosixPath(re.sub("^lib64/", "lib/", relative))

    def _is_generated(self, place: PurePosixPath, scripts: set[str]) -> bool:
        if place.parent == self._in_environment(self._information):
            return place.name in _INSTALLERS_OWN
        return "__pycache__" in place.parts or (place.parts[0] == "bin" and place.name in scripts)

    def _content(self, place: PurePosixPath, digest: str, size: str) -> Iterator[Content]:
        file = self._environment / place
        if not file.is_file() or file.is_symlink():
            return  # removed after the installation; the restored environment lacks the file too
        if place.parts[0] == "bin":
            text = _for_any_interpreter(file, self._environment)
            if text is not None:
                yield Content(self._path(place), file, text=text)
                return
        is_as_recorded = digest.startswith("sha256=") and size == str(file.stat().st_size)
        yield Content(self._path(place), file, (digest, int(size)) if is_as_recorded else None)

    def _path(self, place: PurePosixPath) -> str:
        site = self._in_environment(self._site)
        if place.is_relative_to(site):
            return place.relative_to(site).as_posix()
        data = f"{self._information.name.removesuffix('.dist-info')}.data"
        if place.parts[0] == "bin":
            return f"{data}/scripts/{'/'.join(place.parts[1:])}"
        if place.parts[:2] == ("include", "site") and len(place.parts) > 4:
            return f"{data}/headers/{'/'.join(place.parts[4:])}"
        return f"{data}/data/{place}"

    def _in_environment(self, folder: Path) -> PurePosixPath:
        return PurePosixPath(folder.relative_to(self._environment))


def _for_any_interpreter(script: Path, environment: Path) -> bytes | None:
    """A script with `#!python` in place of the environment's interpreter. None: the file names no interpreter."""
    with script.open("rb") as file:
        if file.read(2) != b"#!":
            return None
    content = script.read_bytes()
    shell = _SHELL_SHEBANG.match(content)
    shebang = shell[0] if shell else content.partition(b"\n")[0] + b"\n"
    if not any(os.fsencode(each / "bin" / "python") in shebang for each in (environment, environment.resolve())):
        return None
    return b"#!python\n" + content[len(shebang) :]


def _with_unrecorded(found: list[Distribution], site: Path) -> list[Distribution]:
    """Add the files of site-packages without a line in any RECORD: some wheels have an incomplete RECORD.

    A file goes to the wheel with the nearest folder above it. Any wheel would do: all are installed together.
    """
    owners = _owners_of_folders(found)
    unrecorded: dict[str, list[Content]] = {}
    for path in _unrecorded(found, site):
        above = PurePosixPath(path).parents
        owner = next((owners[folder] for folder in above if folder in owners), found[0].information)
        unrecorded.setdefault(owner, []).append(Content(path, site / path))
    return [replace(each, contents=(*each.contents, *unrecorded.get(each.information, ()))) for each in found]


def _owners_of_folders(found: Iterable[Distribution]) -> dict[PurePosixPath, str]:
    """The first distribution with a file below each folder."""
    owners: dict[PurePosixPath, str] = {}
    for each in found:
        for content in each.contents:
            for folder in PurePosixPath(content.path).parents[:-1]:
                if folder in owners:
                    break
                owners[folder] = each.information
    return owners


def _unrecorded(found: Iterable[Distribution], site: Path) -> Iterator[str]:
    known = {content.path for each in found for content in each.contents}
    for parent, folders, names in os.walk(site):
        folders[:] = sorted(name for name in folders if name != "__pycache__")
        folder = PurePosixPath(Path(parent).relative_to(site))
        for name in sorted(set(names) - _installers_own(folder)):
            path = (folder / name).as_posix()
            if path not in known and not (site / path).is_symlink():
                yield path


def _installers_own(folder: PurePosixPath) -> frozenset[str]:
    if not folder.parts:
        return _VIRTUALENVS_OWN
    return _INSTALLERS_OWN if folder.suffix == ".dist-info" and len(folder.parts) == 1 else frozenset()
