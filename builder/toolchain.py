"""The toolchain of a builder: installer, interpreters and folders, the same for every build."""

import platform
import sys
from dataclasses import dataclass
from pathlib import Path

from builder.accounts import BuilderAccounts
from builder.build_run import BuildRun
from builder.build_sandbox import BuildSandbox
from builder.environment_files.plan import AvailablePythons, PlanRules
from builder.environment_files.requirements import RequirementPolicy
from builder.installers.port import Installer
from builder.interpreters.find import Interpreters
from builder.interpreters.probe import Interpreter
from builder.work_folder import remove_abandoned
from modelyard.core.domain.environment_spec import EnvironmentLock, EnvironmentSpec, PackageSources
from modelyard.core.environments.folder import Environments


@dataclass(frozen=True, slots=True)
class BuildToolchain:
    environments: Environments
    installer: Installer
    interpreters: Interpreters
    machine_sources: PackageSources
    """Package sources of the platform account; the sources of each spec win."""
    work: Path
    local_files: Path
    """Wheels of models, each in a folder named by the wheel's hash."""
    wheels: Path
    """Wheels from the object store, for environments of other machines."""
    platform: str
    worker_user: int | None
    """A user who must be able to run the interpreters. None: the platform's own account."""
    requirements: RequirementPolicy
    accounts: BuilderAccounts
    sandbox: BuildSandbox | None

    def spec_hash(self, spec: EnvironmentSpec) -> str:
        return spec.digest(platform=self.platform, machine_sources=self.machine_sources)

    def remove_abandoned(self) -> None:
        """Remove the unfinished results of dead builders."""
        remove_abandoned(self.work)
        self.environments.remove_abandoned()

    def base_of(self, lock: EnvironmentLock, run: BuildRun) -> Interpreter:
        """The interpreter that an environment of the lock stands on. Raises NoInterpreter."""
        minor = lock.python.rpartition(".")[0]
        return self.interpreters.get(minor, lock.python, log=run.log, fetch=lambda minor: None)

    def plan_rules(self) -> PlanRules:
        own = f"{sys.version_info[0]}.{sys.version_info[1]}"
        return PlanRules(AvailablePythons(own, self.interpreters.minors()), self.requirements)


def this_platform() -> str:
    """The kind of the machine, "linux-x86_64-glibc2.36". Compiled packages differ from kind to kind."""
    library, version = platform.libc_ver()
    parts = (sys.platform, platform.machine(), f"{library}{version}")
    return "-".join(part for part in parts if part)
