"""The sandbox of programs that run code of packages and models during a build.

Such a program writes into the folders of its own step, reads its environment, the base interpreter and the system's
libraries, and nothing else of the machine: no other model, environment or cache, no secret, no home.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from modelyard.core.data_dir import DataDir
from modelyard.core.settings import MachineSettings
from modelyard.process.landlock import OWN, READ, PathRule
from modelyard.process.sandbox import SHARED_MEMORY, Kernel, Sandbox, check_kernel, probe, tasks_of_this_user

_TASKS = 4096
_OPEN_FILES = 4096
_FILE_BYTES = 16 << 30
_SHARED_MEMORY_BYTES = 256 << 20
# For git, and for the resolver of host names.
_READ_OF_SYSTEM = (Path("/etc/gitconfig"), Path("/run/systemd/resolve"))


@dataclass(frozen=True, slots=True)
class BuildSandbox:
    data_dir: DataDir
    kernel: Kernel

    def of(self, *, own: Iterable[Path], read: Iterable[Path], has_network: bool, owns_account: bool) -> Sandbox:
        """`own` are the folders of the step, `read` further files and folders to read."""
        has_private_memory = not has_network and not self.data_dir.root.is_relative_to(SHARED_MEMORY)
        rules = [PathRule(folder, OWN) for folder in own]
        rules += [PathRule(place, READ) for place in (*read, *_READ_OF_SYSTEM)]
        tasks = _TASKS if owns_account else _TASKS + tasks_of_this_user()
        return Sandbox(
            # With the network, a build needs no namespace: uv asks the machine's own resolver.
            kernel=replace(self.kernel, namespaces=()) if has_network else self.kernel,
            rules=tuple(rules),
            has_network=has_network,
            owns_account=owns_account,
            limits={
                "RLIMIT_CORE": 0,
                "RLIMIT_FSIZE": _FILE_BYTES,
                "RLIMIT_NOFILE": _OPEN_FILES,
                "RLIMIT_NPROC": tasks,
            },
            shared_memory_bytes=_SHARED_MEMORY_BYTES if has_private_memory else 0,
        )


def open_build_sandbox(settings: MachineSettings) -> BuildSandbox | None:
    """Return None where the setting turns the sandbox off. Raises SandboxUnavailable where 'require' is not met."""
    if settings.sandbox == "off":
        return None
    kernel = probe()
    if settings.sandbox == "require":
        check_kernel(kernel, owns_account=settings.worker_numbers is not None)
    return BuildSandbox(settings.data_dir, kernel)
