"""Everything that environments are made with and of, which stays the same from build to build."""

import platform
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from builder.environment_files.plan import AvailablePythons
from builder.installers.pip_configuration import PipConfiguration, read_pip_configuration
from builder.installers.uv import Uv, UvFolders
from builder.interpreters.find import Interpreters
from builder.interpreters.search import SearchPlaces
from builder.work_folder import remove_abandoned
from modelyard.core.data_dir import DataDir
from modelyard.core.domain.environment_spec import EnvironmentSpec
from modelyard.core.environments.folder import Environments


@dataclass(frozen=True, slots=True)
class BuildToolchain:
    environments: Environments
    interpreters: Interpreters
    uv: Uv
    pip: PipConfiguration
    work: Path
    local_files: Path
    virtualenv_data: Path
    wheels: Path
    """Those that were brought from the object store, to make environments of other machines here."""
    environ: Mapping[str, str]
    platform: str
    worker_user: int | None

    def spec_hash(self, spec: EnvironmentSpec) -> str:
        return spec.digest(platform=self.platform, machine_sources=self.pip.sources)

    def remove_abandoned(self) -> list[str]:
        """Clear away what builders left that were killed."""
        remove_abandoned(self.work)
        return self.environments.remove_abandoned()

    def pythons(self) -> AvailablePythons:
        """What a model that leaves its Python open gets."""
        return AvailablePythons(f"{sys.version_info[0]}.{sys.version_info[1]}", self.interpreters.minors())


def open_toolchain(
    data_dir: DataDir, *, environ: Mapping[str, str], home: Path, worker_user: int | None
) -> BuildToolchain:
    """`environ` and `home` are the platform account's: its pip configuration, its interpreters, its proxies."""
    pip = read_pip_configuration(environ, home=home, prefix=Path(sys.prefix))
    fetched = data_dir.runtime / "python"
    local_files = data_dir.package_cache / "local-files"
    work = data_dir.package_cache / "work"
    folders = UvFolders(data_dir.package_cache / "uv", work=work, local_files=local_files, interpreters=fetched)
    places = SearchPlaces.of(environ, home=home, fetched=fetched)
    return BuildToolchain(
        environments=Environments(data_dir.environments),
        interpreters=Interpreters(places, user=worker_user, copies=fetched),
        uv=Uv(folders, environ=environ, pip=pip),
        pip=pip,
        work=work,
        local_files=local_files,
        virtualenv_data=data_dir.package_cache / "virtualenv",
        wheels=data_dir.package_cache / "wheels",
        environ=environ,
        platform=this_platform(),
        worker_user=worker_user,
    )


def this_platform() -> str:
    """Environments of different platforms are different: "linux-x86_64-glibc2.36"."""
    library, version = platform.libc_ver()
    parts = (sys.platform, platform.machine(), f"{library}{version}")
    return "-".join(part for part in parts if part)
