"""The places that have Pythons on a machine: pyenv, uv, PATH, and the platform's own interpreter."""

import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

_NAME = re.compile(r"^python3(?:\.\d+)?$")
_USUAL_FOLDERS = ("/usr/local/bin", "/usr/bin", "/opt/homebrew/bin")


@dataclass(frozen=True, slots=True)
class SearchPlaces:
    pyenv_versions: Path
    uv_installs: tuple[Path, ...]
    path_folders: tuple[Path, ...]
    own: Path
    """The platform's interpreter."""
    remedy: str | None = None
    """How to add a Python to a container image, where none can be fetched. None: missing Pythons are fetched."""

    @classmethod
    def of(cls, environ: Mapping[str, str], *, home: Path, fetched: Path) -> "SearchPlaces":
        """The places that the account's variables name. `fetched` is the folder of fetched interpreters."""
        share = Path(environ.get("XDG_DATA_HOME") or home / ".local" / "share")
        uv_installs = Path(environ.get("UV_PYTHON_INSTALL_DIR") or share / "uv" / "python")
        folders = [*environ.get("PATH", "").split(":"), *_USUAL_FOLDERS]
        return cls(
            pyenv_versions=Path(environ.get("PYENV_ROOT") or home / ".pyenv") / "versions",
            uv_installs=(fetched, uv_installs),
            path_folders=tuple(Path(folder) for folder in dict.fromkeys(folders) if folder),
            own=Path(getattr(sys, "_base_executable", None) or sys.executable),
            remedy=environ.get("MISSING_PYTHON_REMEDY"),
        )

    def candidates(self) -> Iterator[Path]:
        """Yield the executables that may be Pythons, each file once."""
        seen: set[Path] = set()
        for candidate in self._all():
            if candidate not in seen:
                seen.add(candidate)
                yield candidate

    def _all(self) -> Iterator[Path]:
        yield self.own
        yield from _installed(self.pyenv_versions, "3.*/bin/python")
        for installs in self.uv_installs:
            yield from _installed(installs, "cpython-3.*/bin/python3")
        for folder in self.path_folders:
            yield from _pythons_in(folder)


def _installed(folder: Path, pattern: str) -> list[Path]:
    try:
        return sorted(folder.glob(pattern))
    except OSError:
        # Variables of another account, kept by su, name folders that are closed to this account.
        return []


def _pythons_in(folder: Path) -> Iterator[Path]:
    try:
        names = sorted(entry.name for entry in folder.iterdir() if _NAME.match(entry.name))
    except OSError:
        return
    # A shim starts the selected version or fails. pyenv's versions have been yielded already.
    if folder.name != "shims":
        yield from (folder / name for name in names)
