"""The data dir: all files of the platform on one machine, and the permissions of each folder.

When the platform runs as root, Postgres and the model workers run as other users. These users may pass through the data
dir (mode 0711: passing is not listing) to their own folders; every other folder is closed to them (0700). Each
model and bundle is open to a group of its own (0750), and environments to every user.
"""

import hashlib
import os
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

_PRIVATE = 0o700
_PASSABLE = 0o711
_READABLE = 0o755

# The kernel refuses a Unix socket path over 107 bytes; a worker's is this folder plus "/<12 characters>.sock".
_LONGEST_SOCKET_DIR = 85


@dataclass(frozen=True, slots=True)
class DataDir:
    root: Path

    @property
    def secrets(self) -> Path:
        return self.root / "secrets"

    @property
    def master_key(self) -> Path:
        return self.secrets / "master.key"

    @property
    def admin_token(self) -> Path:
        return self.secrets / "admin.token"

    @property
    def postgres(self) -> Path:
        return self.root / "postgres"

    @property
    def valkey(self) -> Path:
        return self.root / "valkey"

    @property
    def logs(self) -> Path:
        """Logs of the platform's own processes."""
        return self.root / "logs"

    @property
    def objects(self) -> Path:
        """The default object store."""
        return self.root / "objects"

    @property
    def run(self) -> Path:
        """Files about running processes, and the routing snapshot."""
        return self.root / "run"

    @property
    def routing_file(self) -> Path:
        return self.run / "routing.json"

    @property
    def worker_run_files(self) -> Path:
        return self.run / "workers"

    @property
    def environments(self) -> Path:
        return self.root / "environments"

    @property
    def package_cache(self) -> Path:
        """uv's cache, on the file system of the environments: uv links files instead of copying."""
        return self.root / "cache"

    @property
    def models(self) -> Path:
        return self.root / "models"

    @property
    def bundles(self) -> Path:
        return self.root / "bundles"

    @property
    def runtime(self) -> Path:
        """Programs for the users of model workers and Postgres."""
        return self.root / "runtime"

    @property
    def workers(self) -> Path:
        """A private working folder and an output log for each model worker."""
        return self.root / "workers"

    @property
    def socket_dir(self) -> Path:
        """A folder (0700) with a short path for Unix sockets, the same at every start with this data dir."""
        here = self.run / "s"
        return here if len(os.fsencode(here)) <= _LONGEST_SOCKET_DIR else self.shared_socket_dir("s")

    def shared_socket_dir(self, purpose: str) -> Path:
        """A folder with a short path for a server of another user, to whom `run` is closed."""
        digest = hashlib.sha256(os.fsencode(self.root)).hexdigest()[:12]
        return Path(tempfile.gettempdir()) / f"modelyard-{os.getuid()}-{digest}-{purpose}"

    def prepare(self) -> None:
        """Create the folders and set the permissions. Changes no permission outside the data dir."""
        self.root.mkdir(parents=True, exist_ok=True)
        self.root.chmod(_PASSABLE)
        for folder in (self.secrets, self.valkey, self.logs, self.objects, self.run):
            _ensure(folder, _PRIVATE)
        _ensure(self.worker_run_files, _PRIVATE)
        for folder in (self.environments, self.runtime):
            _ensure(folder, _READABLE)
        for folder in (self.models, self.bundles):
            _ensure(folder, _PASSABLE)
        _ensure(self.package_cache, _PRIVATE)
        _ensure(self.workers, _PASSABLE)
        for former in (self.root / "guests", self.run / "guests"):
            # Folders of model workers before version 0.2; the workers have ended with the supervisor.
            shutil.rmtree(former, ignore_errors=True)
        _ensure_own(self.socket_dir)


def _ensure(folder: Path, mode: int) -> None:
    folder.mkdir(exist_ok=True)
    folder.chmod(mode)


def _ensure_own(folder: Path) -> None:
    """Raise PermissionError for a folder of another account, planted in a shared temporary folder for example."""
    folder.mkdir(mode=_PRIVATE, exist_ok=True)
    if folder.is_symlink() or folder.stat().st_uid != os.getuid():
        raise PermissionError(f"{folder} belongs to another account; remove it, or choose another --data-dir")
    folder.chmod(_PRIVATE)


def default_data_path(environment: Mapping[str, str]) -> Path:
    """Return the default data dir: a system folder for root, else a folder in the user's home."""
    if os.getuid() == 0:
        return Path("/var/lib/modelyard")
    return Path(environment.get("XDG_DATA_HOME") or Path.home() / ".local" / "share") / "modelyard"
