"""The contract of the installer port. Every installer passes these tests; the next installer adds a parameter.

A parameter makes an `InstallerUnderTest`: the installer, and packages in the installer's format.
"""

import hashlib
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from builder.build_run import BuildCancelled, BuildLog, BuildRun, cancellation_token
from builder.errors import InstallFailed, ResolutionFailed
from builder.installers.port import Installer
from builder.toolchain import this_platform
from modelyard.core.domain.environment_spec import EnvironmentSpec, PackageSources
from tests.builder.installers.wheel_folder_installer import WheelFolderInstaller
from tests.builder.packages import make_wheel

PYTHON = f"{sys.version_info[0]}.{sys.version_info[1]}"


@dataclass(frozen=True)
class InstallerUnderTest:
    installer: Installer
    packages: Path
    """A folder with package files, the only package source of every spec."""
    make_package: Callable[..., Path]

    def add(self, name: str, version: str = "1.0", **options) -> Path:
        """Make a package with an importable module `name`."""
        return self.make_package(self.packages, name, version, **options)

    def spec(self, *requirements: str, **options) -> EnvironmentSpec:
        sources = PackageSources(find_links=(str(self.packages),), no_index=True)
        return EnvironmentSpec(PYTHON, requirements, sources=sources, **options)


@pytest.fixture(params=["uv", "wheel folder"])
def subject(request, session_data_dir, tmp_path_factory) -> InstallerUnderTest:
    installer = (
        request.getfixturevalue("isolated_toolchain").installer
        if request.param == "uv"
        else WheelFolderInstaller(this_platform())
    )
    # Below parents open to other users: as root, another user installs the packages.
    packages = session_data_dir.root / tmp_path_factory.mktemp("packages").name
    packages.mkdir(mode=0o755)
    return InstallerUnderTest(installer, packages, make_wheel)


@pytest.fixture
def run() -> Iterator[BuildRun]:
    with cancellation_token() as token:
        yield BuildRun(BuildLog(print), token)


@pytest.fixture
def folder(session_data_dir, tmp_path_factory) -> Path:
    """An empty folder for an environment, below parents open to other users, as in production."""
    folder = session_data_dir.environments / tmp_path_factory.mktemp("contract").name
    folder.mkdir()
    return folder


def imported(environment: Path, *modules: str) -> bool:
    command = [environment / "bin" / "python", "-c", f"import {', '.join(modules)}"]
    return subprocess.run(command, check=False, cwd="/", env={}, capture_output=True).returncode == 0


class TestResolve:
    def test_lock_describes_every_package_with_version_hash_and_source(self, subject, run):
        alpha, beta = subject.add("alpha", requires=["beta>=1"]), subject.add("beta", "1.5")
        lock = subject.installer.resolve(subject.spec("alpha"), run)
        described = [(each.name, each.version, each.hashes, each.source) for each in subject.installer.describe(lock)]
        assert described == [
            ("alpha", "1.0", (f"sha256:{hashlib.sha256(alpha.read_bytes()).hexdigest()}",), None),
            ("beta", "1.5", (f"sha256:{hashlib.sha256(beta.read_bytes()).hexdigest()}",), None),
        ]

    def test_newest_version_within_the_constraints_is_chosen(self, subject, run):
        for version in ("1.0", "1.5", "2.0"):
            subject.add("beta", version)
        lock = subject.installer.resolve(subject.spec("beta", constraints=("beta<2",)), run)
        assert [each.version for each in subject.installer.describe(lock)] == ["1.5"]

    def test_lock_of_a_spec_is_the_same_each_time_and_names_no_path(self, subject, run):
        subject.add("alpha")
        first, second = (subject.installer.resolve(subject.spec("alpha"), run) for _ in range(2))
        assert first.digest == second.digest
        assert str(subject.packages) not in first.text

    def test_lock_has_the_full_python_version_and_the_platform(self, subject, run):
        subject.add("alpha")
        lock = subject.installer.resolve(subject.spec("alpha"), run)
        assert lock.python.startswith(f"{PYTHON}.")
        assert lock.platform == this_platform()

    def test_unsatisfiable_requirement_fails_with_a_sentence_that_names_the_package(self, subject, run):
        subject.add("alpha", "1.0")
        with pytest.raises(ResolutionFailed, match=r"^Because .*alpha.*\.$"):
            subject.installer.resolve(subject.spec("alpha>=2"), run)

    def test_loaded_lock_equals_the_resolved_lock(self, subject, run):
        subject.add("alpha")
        lock = subject.installer.resolve(subject.spec("alpha"), run)
        assert subject.installer.load_lock(lock.text, subject.spec("alpha"), run) == lock


class TestInstall:
    def test_environment_imports_the_packages_of_the_lock_and_no_others(self, subject, run, folder):
        subject.add("alpha", requires=["beta"])
        for name in ("beta", "gamma"):
            subject.add(name)
        spec = subject.spec("alpha")
        subject.installer.install(subject.installer.resolve(spec, run), spec.sources, folder, run)
        assert imported(folder, "alpha", "beta")
        assert not imported(folder, "gamma")

    def test_environment_runs_the_python_version_of_the_lock(self, subject, run, folder):
        subject.add("alpha")
        spec = subject.spec("alpha")
        lock = subject.installer.resolve(spec, run)
        subject.installer.install(lock, spec.sources, folder, run)
        program = "import platform; print(platform.python_version())"
        command = [folder / "bin" / "python", "-c", program]
        assert subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip() == lock.python

    def test_package_file_with_another_hash_than_the_lock_fails_the_install(self, subject, run, folder):
        subject.add("alpha")
        spec = subject.spec("alpha")
        lock = subject.installer.resolve(spec, run)
        ((algorithm, digest),) = (each.split(":") for each in subject.installer.describe(lock)[0].hashes)
        other = replace(lock, text=lock.text.replace(digest, "0" * len(digest)))
        assert subject.installer.describe(other)[0].hashes == (f"{algorithm}:{'0' * len(digest)}",)
        with pytest.raises(InstallFailed, match="alpha"):
            subject.installer.install(other, spec.sources, folder, run)

    def test_package_files_install_without_any_package_source(self, subject, run, folder):
        subject.add("alpha", requires=["beta"])
        subject.add("beta")
        lock = subject.installer.resolve(subject.spec("alpha"), run)
        elsewhere = Path(shutil.copytree(subject.packages, subject.packages.with_suffix(".elsewhere")))
        files = sorted(elsewhere.iterdir())
        shutil.rmtree(subject.packages)
        subject.installer.install_files(lock, files, folder, run)
        assert imported(folder, "alpha", "beta")


class TestCancellation:
    def test_cancelled_build_neither_resolves_nor_installs(self, subject, run, folder):
        subject.add("alpha")
        spec = subject.spec("alpha")
        lock = subject.installer.resolve(spec, run)
        run.cancellation.cancel()
        with pytest.raises(BuildCancelled):
            subject.installer.resolve(spec, run)
        with pytest.raises(BuildCancelled):
            subject.installer.install(lock, spec.sources, folder, run)
        with pytest.raises(BuildCancelled):
            subject.installer.install_files(lock, [], folder, run)
