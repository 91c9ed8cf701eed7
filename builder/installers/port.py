"""The installer port. The builder knows installers by this protocol alone; `builder.composition` chooses one.

uv (`builder.installers.uv`) is the first implementation, for environments whose packages all come from Python package
indexes. An installer for conda packages comes beside uv: its lock has two parts, one for the conda packages (Python
among them) and one for the packages of the pip section, which uv installs into the conda prefix. The two parts are
one `EnvironmentLock.text`; no module outside the installer reads the text.
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
    """None where only a build of `source` tells the version: a source archive, a repository."""
    hashes: tuple[str, ...]
    """Of the files that may be installed: "sha256:0f1e…"."""
    source: str | None
    """The file or URL that the spec names. None: the package sources of the spec."""


class Installer(Protocol):
    """Programs that an installer runs are cancelled with `run`, and every method raises BuildCancelled then."""

    def resolve(self, spec: EnvironmentSpec, run: BuildRun) -> EnvironmentLock:
        """Choose the interpreter and one version of every package. Raises NoInterpreter and ResolutionFailed."""

    def load_lock(self, text: str, spec: EnvironmentSpec, run: BuildRun) -> EnvironmentLock:
        """Return the lock of an earlier resolution, for this machine's interpreter. Raises NoInterpreter."""

    def install(self, lock: EnvironmentLock, sources: PackageSources, folder: Path, run: BuildRun) -> None:
        """Make the environment in `folder`, an empty folder, with exactly the packages of the lock.

        Raises NoInterpreter and InstallFailed.
        """

    def install_files(self, lock: EnvironmentLock, files: Sequence[Path], folder: Path, run: BuildRun) -> None:
        """Make the environment of package files on this machine, without a request to any package source.

        Raises NoInterpreter and InstallFailed.
        """

    def describe(self, lock: EnvironmentLock) -> tuple[LockedPackage, ...]:
        """List the packages of the lock, by name."""


def index_versions(packages: Iterable[LockedPackage]) -> dict[str, str]:
    """The version of each package that the resolver chose by name."""
    return {each.name: each.version for each in packages if each.source is None and each.version is not None}


def format_pins(packages: Iterable[LockedPackage]) -> str:
    """A log line: "numpy==2.5.5 pandas==3.1.1"."""
    return " ".join(f"{name}=={version}" for name, version in sorted(index_versions(packages).items()))
