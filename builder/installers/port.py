"""The installer port. The builder knows installers by the protocol `Installer` alone.

uv (`builder.installers.uv`) is the first implementation, for environments of Python packages; `builder.composition`
wires uv. An installer for conda packages comes beside uv. The lock of a conda environment has two parts: the conda
packages, with Python among them, and the packages of the pip section, for uv to install into the conda prefix. Both
parts go into `EnvironmentLock.text`; no module but the installer reads the text.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from builder.build_run import BuildRun
from modelyard.core.domain.environment_spec import EnvironmentLock, EnvironmentSpec, PackageSources


@dataclass(frozen=True, slots=True)
class LockedPackage:
    name: str
    """Normalised: "scikit-learn"."""
    version: str | None
    """None: only a build of `source` (a repository, for example) tells the version."""
    hashes: tuple[str, ...]
    """The hashes of the allowed files: "sha256:0f1e…"."""
    source: str | None
    """A file or URL of the spec. None: the package comes from the package sources."""


class Installer(Protocol):
    """Every method raises BuildCancelled when `run` is cancelled, and ends the installer's programs."""

    def resolve(self, spec: EnvironmentSpec, run: BuildRun) -> EnvironmentLock:
        """Choose the interpreter and a version of every package. Raises NoInterpreter and ResolutionFailed."""

    def load_lock(self, text: str, spec: EnvironmentSpec, run: BuildRun) -> EnvironmentLock:
        """Return the lock of an earlier resolution, for the interpreter of the machine. Raises NoInterpreter."""

    def install(self, lock: EnvironmentLock, sources: PackageSources, folder: Path, run: BuildRun) -> None:
        """Make the environment in `folder`, an empty folder, with exactly the packages of the lock.

        Raises NoInterpreter and InstallFailed.
        """

    def install_files(self, lock: EnvironmentLock, files: Sequence[Path], folder: Path, run: BuildRun) -> None:
        """Make the environment of local package files, without a request to any package source.

        Raises NoInterpreter and InstallFailed.
        """

    def describe(self, lock: EnvironmentLock) -> tuple[LockedPackage, ...]:
        """List the packages of the lock, by name."""


def index_versions(packages: Iterable[LockedPackage]) -> dict[str, str]:
    """The version of each package from the package sources, by name."""
    return {each.name: each.version for each in packages if each.source is None and each.version is not None}


def format_pins(packages: Iterable[LockedPackage]) -> str:
    """A log line: "numpy==2.5.5 pandas==3.1.1"."""
    return " ".join(f"{name}=={version}" for name, version in sorted(index_versions(packages).items()))
