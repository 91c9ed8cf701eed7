"""Starts a model worker under a process shim, as a user of the deployment's own when the platform is root.

The worker inherits a single descriptor: a listening Unix socket in a folder closed to the worker. The worker outlives
the host; the next host finds the worker by the run file.
"""

import json
import os
import secrets
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path

from data_plane.replicas.local import worker_archive
from data_plane.replicas.local.orphans import end_orphans
from data_plane.replicas.local.processes import Process, children, identify
from data_plane.replicas.local.worker_process import WorkerPaths, WorkerProcess, remove, write_run_file
from data_plane.replicas.local.worker_sandbox import WorkerSandbox
from data_plane.replicas.port import ReplicaSpec
from modelyard.core.data_dir import DataDir
from modelyard.core.settings import WorkerSettings
from modelyard.process.accounts import AccountPool, hand_to_group
from modelyard.process.sandbox import Protection, Sandbox
from modelyard.process.shim_command import shim_command

_BACKLOG = 128
_SYSTEM_PATH = "/usr/local/bin:/usr/bin:/bin"
_THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
_USER = "modelyard"
_ENDED = "ended"
"""Start time of a process that ended before identification."""


@dataclass(frozen=True, slots=True)
class LogLimits:
    """Bounds of a worker's log on disk."""

    file_bytes: int = 10 << 20
    files: int = 5
    bytes_per_second: float = 100_000.0
    """Rate that a log takes for long; a burst may have `file_bytes`."""


def log_limits(settings: WorkerSettings) -> LogLimits:
    return LogLimits(settings.log_bytes, settings.log_files, settings.log_bytes_per_second)


@dataclass(frozen=True, slots=True)
class LaunchSettings:
    """Settings of the starting process, the same for all of its workers."""

    data_dir: DataDir
    accounts: AccountPool | None = None
    """Users and groups for the workers. None: the workers run as the platform's own account."""

    sandbox: WorkerSandbox | None = None
    """None: the workers run without a sandbox."""

    log: LogLimits = LogLimits()

    lifeline_fd: int | None = None
    """Read end of a lifeline pipe: the worker ends with the pipe's writers. None: only `host_timeout` ends a worker."""

    host_timeout: float = 60.0
    """Seconds without a host before a worker exits."""

    busy_poll_seconds: float = 0.0
    """Seconds that a worker polls for the next request before it sleeps."""

    def end_orphans(self) -> None:
        """End the processes of workers whose shim was killed."""
        numbers = self.accounts.held() if self.accounts is not None else ()
        end_orphans(str(self.data_dir.root), numbers)


@dataclass(frozen=True, slots=True)
class WorkerAccount:
    """User of one deployment's workers, and the groups whose folders the workers may read."""

    uid: int
    groups: tuple[int, ...]


def worker_accounts(numbers: range | None, data_dir: DataDir) -> AccountPool | None:
    """The accounts out of the range `numbers`, for the model workers of one data dir."""
    if numbers is None:
        return None
    return AccountPool(numbers, str(data_dir.root), (data_dir.bundles, data_dir.models, data_dir.workers))


def spawn(spec: ReplicaSpec, settings: LaunchSettings, *, worker_id: str | None = None) -> WorkerProcess:
    """Return once the process exists; the model loads afterwards, and the worker's STATUS tells the result.

    Raises OSError and NoAccountFree, and leaves no files behind. `worker_id` names files and a socket, and socket paths
    must be short.
    """
    paths = WorkerPaths(settings.data_dir, worker_id or secrets.token_hex(6))
    paths.folder.mkdir(mode=0o700)
    try:
        popen, protections = _start(spec, settings, paths)
    except BaseException:
        paths.remove()
        raise
    worker = _started(spec, paths, popen, protections)
    try:
        write_run_file(worker)
    except BaseException:
        # Without a run file no host could ever find the worker.
        popen.terminate()
        popen.wait()
        remove(worker, keep_log=False)
        raise
    return worker


def _start(
    spec: ReplicaSpec, settings: LaunchSettings, paths: WorkerPaths
) -> "tuple[subprocess.Popen[bytes], tuple[Protection, ...]]":
    archive = worker_archive.build(settings.data_dir.runtime)
    account = _claim_account(spec, settings.accounts)
    configuration = _fill_folder(spec, settings, paths, account)
    sandbox = None
    if settings.sandbox is not None:
        sandbox = settings.sandbox.of(spec, paths.folder, archive, owns_account=account is not None)
    with (
        _listener(paths.socket) as listening,
        _lifeline(settings) as lifeline,
        nullcontext(()) if sandbox is None else sandbox.plan() as confining,
    ):
        command = _shim(account, paths, settings.log, listening, lifeline[0])
        if confining:
            command += ["--confine", str(confining[0])]
        command += ["--", str(spec.python), "-I", "-S", str(archive)]
        command += ["--config", str(configuration), "--listen-fd", str(listening)]
        popen = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env={},
            cwd="/",
            pass_fds=(listening, *lifeline, *confining),
            # The worker outlives its host: a signal to the host's process group must not reach the worker.
            start_new_session=True,
        )
    return popen, _protections(sandbox, account)


def _protections(sandbox: Sandbox | None, account: WorkerAccount | None) -> tuple[Protection, ...]:
    if sandbox is not None:
        return sandbox.protections
    return () if account is None else (Protection.ACCOUNT,)


def _claim_account(spec: ReplicaSpec, accounts: AccountPool | None) -> WorkerAccount | None:
    """Claim the user, and a group for each folder that the worker shares with workers of the same content."""
    if accounts is None:
        return None
    groups = []
    for folder in (spec.bundle_dir, spec.model_dir):
        groups.append(accounts.claim(str(folder)))
        hand_to_group(folder, groups[-1])
    return WorkerAccount(accounts.claim(spec.account), tuple(groups))


def _fill_folder(
    spec: ReplicaSpec, settings: LaunchSettings, paths: WorkerPaths, account: WorkerAccount | None
) -> Path:
    """Write the worker's configuration. The folder changes hands last, so that no worker interferes before."""
    configuration = paths.folder / "worker.json"
    configuration.touch(mode=0o600)
    document = {
        "worker_id": paths.worker_id,
        "endpoint": spec.endpoint,
        "deployment": spec.deployment,
        "generation": spec.generation,
        "bundle_dir": str(spec.bundle_dir),
        "model_dir": str(spec.model_dir),
        "threads": spec.threads,
        "host_timeout": settings.host_timeout,
        "busy_poll_seconds": settings.busy_poll_seconds,
        "environment": _environment_variables(spec, paths.folder),
    }
    configuration.write_text(json.dumps(document, indent=1))
    if account is not None:
        os.chown(configuration, account.uid, account.uid)
        os.chown(paths.folder, account.uid, account.uid)
    return configuration


def _environment_variables(spec: ReplicaSpec, folder: Path) -> dict[str, str]:
    """Without the platform's variables. The deployment's variables come last and override: the code is the user's."""
    return {
        "PATH": f"{spec.python.parent}:{_SYSTEM_PATH}",
        "HOME": str(folder),
        "TMPDIR": str(folder),
        "USER": _USER,
        "LOGNAME": _USER,
        "LANG": "C.UTF-8",
        "TZ": "UTC",
        "PYTHONUNBUFFERED": "1",
        "PYTHONNOUSERSITE": "1",
        **dict.fromkeys(_THREAD_VARIABLES, str(spec.threads)),
        "AZUREML_MODEL_DIR": str(spec.model_dir),
        "AZUREML_ENTRY_SCRIPT": "score.py",
        **spec.environment_variables,
    }


@contextmanager
def _listener(path: Path) -> Iterator[int]:
    """A bound socket for the worker alone: a copy in the platform would make a dead worker look alive."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        listener.bind(os.fspath(path))
        listener.listen(_BACKLOG)
        yield listener.fileno()


@contextmanager
def _lifeline(settings: LaunchSettings) -> Iterator[tuple[int, ...]]:
    """The descriptors by which the shim learns of the supervisor's end."""
    if settings.lifeline_fd is not None:
        yield (settings.lifeline_fd,)
        return
    # A shim with both ends of a pipe never reads an end of file.
    ends = os.pipe()
    try:
        yield ends
    finally:
        for end in ends:
            os.close(end)


def _shim(
    account: WorkerAccount | None, paths: WorkerPaths, log: LogLimits, listening: int, lifeline: int
) -> list[str]:
    command = shim_command(lifeline, "--exit-file", str(paths.exit_file), "--pass-fd", str(listening))
    command += ["--log", str(paths.log), "--log-bytes", str(log.file_bytes), "--log-files", str(log.files)]
    command += ["--log-rate", str(log.bytes_per_second), "--cwd", str(paths.folder)]
    if account is not None:
        command += ["--uid", str(account.uid), "--gid", str(account.uid)]
        for group in account.groups:
            command += ["--group", str(group)]
    return command


def _started(
    spec: ReplicaSpec, paths: WorkerPaths, popen: "subprocess.Popen[bytes]", protections: tuple[Protection, ...]
) -> WorkerProcess:
    return WorkerProcess(
        worker_id=paths.worker_id,
        endpoint=spec.endpoint,
        deployment=spec.deployment,
        generation=spec.generation,
        shim=identify(popen.pid) or Process(popen.pid, _ENDED),
        process=_await_child(popen, paths.exit_file),
        socket=paths.socket,
        log=paths.log,
        folder=paths.folder,
        run_file=paths.run_file,
        started_at=time.time(),
        protections=protections,
        labels=spec.labels,
        popen=popen,
    )


def _await_child(popen: "subprocess.Popen[bytes]", exit_file: Path) -> Process:
    """Return the shim's only child, as the system knows the child: a pid from the worker could be a lie."""
    while popen.poll() is None:
        for pid in children(popen.pid):
            if (process := identify(pid)) is not None:
                return process
        time.sleep(0.002)
    pid = json.loads(exit_file.read_text())["pid"] if exit_file.exists() else popen.pid
    return Process(pid, _ENDED)
