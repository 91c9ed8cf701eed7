"""Check a wheel of a model or of the object store before an installer unpacks it.

Installers differ in what they make of such entries; the platform refuses the wheel.
"""

import configparser
import re
import stat
import zipfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from builder.errors import InstallFailed
from modelyard.core.domain.declared_text import shown, unprintable_in

_MOST_ENTRIES = 200_000
_LARGEST_ENTRY_POINTS = 1 << 20
_LARGEST_CONTENT = 64 << 30
_SCRIPT = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+ -]*")
_SCRIPT_GROUPS = ("console_scripts", "gui_scripts")
_FILE_TYPES = (0, stat.S_IFREG, stat.S_IFDIR)


def check_wheel(wheel: Path) -> None:
    """Raise InstallFailed for an entry or a script name that leaves its folder, a link, a device, or a bomb."""
    fault = next(_faults(wheel), None)
    if fault is not None:
        raise InstallFailed(f"the wheel {shown(wheel.name)} is refused: {fault}; build the wheel again")


def _faults(wheel: Path) -> Iterator[str]:
    try:
        with zipfile.ZipFile(wheel) as archive:
            entries = archive.infolist()
            yield from _entry_faults(entries)
            for entry in entries:
                if entry.filename.endswith(".dist-info/entry_points.txt"):
                    yield from _script_faults(archive, entry)
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError, RuntimeError) as error:
        yield f"it is not a readable zip file ({error})"


def _entry_faults(entries: list[zipfile.ZipInfo]) -> Iterator[str]:
    if len(entries) > _MOST_ENTRIES:
        yield f"it has more than {_MOST_ENTRIES} entries"
    if sum(entry.file_size for entry in entries) > _LARGEST_CONTENT:
        yield f"it unpacks to more than {_LARGEST_CONTENT} bytes"
    seen = set[str]()
    for entry in entries:
        name = entry.filename
        path = PurePosixPath(name)
        if not name or path.is_absolute() or ".." in path.parts or "\\" in name or name[1:2] == ":":
            yield f"the entry {shown(name)} leaves the folder"
        if entry.orig_filename != name or unprintable_in(name) is not None:
            yield f"the entry {shown(entry.orig_filename)} has a control character"
        if stat.S_IFMT(entry.external_attr >> 16) not in _FILE_TYPES:
            yield f"the entry {shown(name)} is neither a file nor a folder"
        if name in seen:
            yield f"the entry {shown(name)} stands in it twice"
        seen.add(name)


def _script_faults(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> Iterator[str]:
    """An installer writes a program of the name into the environment's folder of programs."""
    if entry.file_size > _LARGEST_ENTRY_POINTS:
        yield "its entry_points.txt is larger than 1 MB"
        return
    parser = configparser.RawConfigParser(delimiters=("=",), strict=False)
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    try:
        parser.read_string(archive.read(entry).decode())
    except (configparser.Error, UnicodeDecodeError) as error:
        yield f"its entry_points.txt is not readable ({shown(str(error))})"
        return
    for group in _SCRIPT_GROUPS:
        for name in parser.options(group) if parser.has_section(group) else ():
            if not _SCRIPT.fullmatch(name):
                yield f"the program name {shown(name)} is not a file name"
