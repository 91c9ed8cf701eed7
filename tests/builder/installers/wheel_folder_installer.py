"""A second installer for the contract tests: pure Python, wheels of a folder, and a lock in JSON."""

import hashlib
import json
import platform
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from email import message_from_bytes
from pathlib import Path
from venv import EnvBuilder

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name, parse_wheel_filename
from packaging.version import Version

from builder.build_run import BuildRun
from builder.errors import InstallFailed, ResolutionFailed
from builder.installers.port import LockedPackage
from modelyard.core.domain.environment_spec import EnvironmentLock, EnvironmentSpec, PackageSources


@dataclass(frozen=True)
class WheelFolderInstaller:
    """Takes the newest allowed version of each requirement, without a search for other solutions."""

    platform: str

    def resolve(self, spec: EnvironmentSpec, run: BuildRun) -> EnvironmentLock:
        run.cancellation.raise_if_cancelled()
        chosen: dict[str, Path] = {}
        open_requirements = list(map(Requirement, spec.requirements))
        limits = {canonicalize_name(each.name): each.specifier for each in map(Requirement, spec.constraints)}
        while open_requirements:
            requirement = open_requirements.pop()
            name = canonicalize_name(requirement.name)
            if name in chosen:
                continue
            specifier = requirement.specifier & limits[name] if name in limits else requirement.specifier
            wheels = [wheel for wheel in _wheels(spec.sources, name) if specifier.contains(_version(wheel))]
            if not wheels:
                raise ResolutionFailed(f"Because there is no version of {requirement}, the requirements conflict.")
            chosen[name] = max(wheels, key=_version)
            open_requirements.extend(_requirements(chosen[name]))
        packages = {name: [str(_version(wheel)), _sha256(wheel)] for name, wheel in sorted(chosen.items())}
        return self.load_lock(json.dumps(packages), spec, run)

    def load_lock(self, text: str, spec: EnvironmentSpec, run: BuildRun) -> EnvironmentLock:
        return EnvironmentLock(text, platform.python_version(), self.platform)

    def install(self, lock: EnvironmentLock, sources: PackageSources, folder: Path, run: BuildRun) -> None:
        run.cancellation.raise_if_cancelled()
        files = []
        for package in self.describe(lock):
            wheels = [wheel for wheel in _wheels(sources, package.name) if f"sha256:{_sha256(wheel)}" in package.hashes]
            if not wheels:
                raise InstallFailed(f"no file of {package.name}=={package.version} has the hash of the lock")
            files.append(wheels[0])
        self.install_files(lock, files, folder, run)

    def install_files(self, lock: EnvironmentLock, files: Sequence[Path], folder: Path, run: BuildRun) -> None:
        run.cancellation.raise_if_cancelled()
        EnvBuilder(symlinks=True).create(folder)
        (packages,) = folder.glob("lib/python3.*/site-packages")
        for file in files:
            with zipfile.ZipFile(file) as wheel:
                wheel.extractall(packages)

    def describe(self, lock: EnvironmentLock) -> tuple[LockedPackage, ...]:
        return tuple(
            LockedPackage(name, version, (f"sha256:{sha256}",), None)
            for name, (version, sha256) in json.loads(lock.text).items()
        )


def _wheels(sources: PackageSources, name: str) -> list[Path]:
    wheels = (wheel for folder in sources.find_links for wheel in Path(folder).glob("*.whl"))
    return [wheel for wheel in wheels if parse_wheel_filename(wheel.name)[0] == name]


def _version(wheel: Path) -> Version:
    return parse_wheel_filename(wheel.name)[1]


def _requirements(wheel: Path) -> list[Requirement]:
    with zipfile.ZipFile(wheel) as archive:
        (metadata,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        return list(map(Requirement, message_from_bytes(archive.read(metadata)).get_all("Requires-Dist", [])))


def _sha256(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()
