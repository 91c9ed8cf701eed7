"""The sandbox of a model worker: its own folder, its model and environment, and nothing else of the machine."""

import logging
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from data_plane.replicas.port import ReplicaSpec
from modelyard.core.data_dir import DataDir
from modelyard.core.settings import Tunables
from modelyard.process.cgroups import make_group
from modelyard.process.landlock import OWN, READ, PathRule
from modelyard.process.sandbox import (
    SHARED_MEMORY,
    Kernel,
    Sandbox,
    check_kernel,
    mark,
    missing,
    probe,
    tasks_of_this_user,
)

_log = logging.getLogger(__name__)

# In /proc/<pid>/stat, after the name.
# Of the machine's memory, for one worker's process tree, without a setting.
_MEMORY_SHARE = 0.9
_INTERPRETER_FOLDERS = ("bin", "include", "lib", "lib64", "ssl")


@dataclass(frozen=True, slots=True)
class WorkerSandbox:
    """Makes the sandbox of each worker of one data dir."""

    data_dir: DataDir
    kernel: Kernel
    memory_bytes: int
    """0: as much as the machine has."""
    processes: int
    open_files: int
    file_bytes: int
    network: Literal["deployment", "none", "all"]

    def of(self, spec: ReplicaSpec, folder: Path, archive: Path, *, owns_account: bool) -> Sandbox:
        """`folder` is the worker's own, and names the worker's control group; `archive` is the worker's program."""
        rules = (
            PathRule(folder, OWN),
            *(PathRule(path, READ) for path in (archive, spec.bundle_dir, spec.model_dir)),
            *(PathRule(path, READ) for path in _python_folders(spec.python)),
        )
        memory = self.memory_bytes or _machine_memory()
        has_private_memory = not self.data_dir.root.is_relative_to(SHARED_MEMORY)
        return Sandbox(
            kernel=self.kernel,
            rules=rules,
            has_network=self.network == "all" or (self.network == "deployment" and spec.has_network),
            owns_account=owns_account,
            limits={
                "RLIMIT_CORE": 0,
                "RLIMIT_DATA": memory,
                "RLIMIT_FSIZE": self.file_bytes,
                "RLIMIT_NOFILE": self.open_files,
                "RLIMIT_NPROC": self._most_tasks(spec, owns_account=owns_account),
                **mark(str(self.data_dir.root)),
            },
            shared_memory_bytes=memory // 2 if has_private_memory else 0,
            cgroup_files=make_group(
                folder.name, memory_bytes=self.memory_bytes or int(memory * _MEMORY_SHARE), tasks=self.processes
            ),
        )

    def _most_tasks(self, spec: ReplicaSpec, *, owns_account: bool) -> int:
        """The kernel counts the threads of all processes of the user, and refuses the worker one more."""
        if owns_account:
            return self.processes * spec.workers
        return self.processes + tasks_of_this_user()


def open_worker_sandbox(settings: Tunables, data_dir: DataDir) -> WorkerSandbox | None:
    """Return None where the setting turns the sandbox off. Raises SandboxUnavailable where 'require' is not met."""
    if settings.sandbox == "off":
        return None
    kernel = probe()
    if settings.sandbox == "require":
        check_kernel(kernel, owns_account=settings.worker_numbers is not None)
    elif absent := missing(kernel, owns_account=settings.worker_numbers is not None):
        _log.warning("The sandbox of model workers is incomplete: this machine offers no %s", ", no ".join(absent))
    worker = settings.worker
    return WorkerSandbox(
        data_dir,
        kernel,
        memory_bytes=worker.memory_bytes,
        processes=worker.processes,
        open_files=worker.open_files,
        file_bytes=worker.file_bytes,
        network=worker.network,
    )


def _python_folders(python: Path) -> Iterator[Path]:
    """The environment, and of the interpreter's own prefix the folders that a Python has."""
    yield python.parent.parent
    prefix = python.resolve().parent.parent
    for name in _INTERPRETER_FOLDERS:
        yield prefix / name


def _machine_memory() -> int:
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
