"""The data dir: all files of the platform on one machine, and the permissions of each folder.

When the platform runs as root, Postgres and the model workers run as other users. These users may pass through the data
dir (mode 0711: passing is not listing) to their own folders; every other folder is closed to them (0700). Each
model and bundle is open to a group of its own (0750), and environments to every user.
"""

import errno
import os
import shutil
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from modelyard.process.atomic_files import replace_file
from modelyard.process.owned_folder import ensure_owned_folder, is_own_folder

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
    def tls(self) -> Path:
        """Certificates, which every user may read."""
        return self.root / "tls"

    @property
    def tls_authority(self) -> Path:
        """The certificate of the local certificate authority."""
        return self.tls / "ca.pem"

    @property
    def tls_authority_key(self) -> Path:
        return self.secrets / "tls-ca.key"

    @property
    def tls_certificate(self) -> Path:
        """The server certificate that the local authority signed."""
        return self.tls / "server.pem"

    @property
    def tls_key(self) -> Path:
        return self.secrets / "tls-server.key"

    @property
    def tls_bundle(self) -> Path:
        """The platform's own authority and all authorities of the machine, for clients that read one file."""
        return self.tls / "bundle.pem"

    @property
    def unfinished_restore(self) -> Path:
        """A file that is there from the beginning to the end of `modelyard restore`."""
        return self.root / "restore.unfinished"

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
    def upload_spool(self) -> Path:
        """Bodies of uploads while they arrive, in files without a name. Removed with the control plane's process."""
        return self.root / "spool"

    @property
    def routing_file(self) -> Path:
        return self.run / "routing.json"

    @property
    def worker_run_files(self) -> Path:
        return self.run / "workers"

    @property
    def heartbeats(self) -> Path:
        """A file for each process, touched while its main loop turns, and for each server, touched while it answers."""
        return self.run / "heartbeats"

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
        """A folder (0700) with a short path for the platform's Unix sockets. Exists after `prepare`."""
        return self._with_short_path(self.run / "s", "s")

    @property
    def postgres_socket_dir(self) -> Path:
        """The folder for the socket of Postgres, which runs as another account. `EmbeddedPostgres` creates it."""
        return self._with_short_path(self.postgres / "s", "pg")

    def _with_short_path(self, folder: Path, name: str) -> Path:
        return folder if _fits(folder) else Path(self._short_folder_record.read_text()) / name

    @property
    def _short_folder_record(self) -> Path:
        """The path of a folder with a random name in the system's temporary folder, for a data dir with a long path."""
        return self.run / "socket-folder"

    def prepare(self) -> None:
        """Create the folders and set the permissions. Changes no permission outside the data dir."""
        self.root.mkdir(parents=True, exist_ok=True)
        self.root.chmod(_PASSABLE)
        for folder in (self.secrets, self.valkey, self.logs, self.objects, self.run, self.upload_spool):
            _ensure(folder, _PRIVATE)
        for folder in (self.worker_run_files, self.heartbeats):
            _ensure(folder, _PRIVATE)
        for folder in (self.environments, self.runtime, self.tls):
            _ensure(folder, _READABLE)
        for folder in (self.models, self.bundles):
            _ensure(folder, _PASSABLE)
        _ensure(self.package_cache, _PRIVATE)
        _ensure(self.workers, _PASSABLE)
        for former in (self.root / "guests", self.run / "guests"):
            # Folders of model workers before version 0.2; the workers have ended with the supervisor.
            shutil.rmtree(former, ignore_errors=True)
        if not (_fits(self.run / "s") and _fits(self.postgres / "s")):
            self._prepare_short_folder()
        ensure_owned_folder(self.socket_dir, mode=_PRIVATE)

    def remove_short_folder(self) -> None:
        """Remove the folder outside the data dir, if there is one, after the end of all processes."""
        with suppress(FileNotFoundError):
            folder = Path(self._short_folder_record.read_text())
            self._short_folder_record.unlink()
            if is_own_folder(folder):
                shutil.rmtree(folder, ignore_errors=True)

    def _prepare_short_folder(self) -> None:
        """Keep the folder of an earlier start if it is still this account's, else create another one."""
        with suppress(FileNotFoundError):
            if is_own_folder(Path(self._short_folder_record.read_text())):
                return
        created = Path(tempfile.mkdtemp(prefix="modelyard-"))
        if not _fits(created / "pg"):
            created.rmdir()
            raise OSError(errno.ENAMETOOLONG, "too long for Unix sockets: set TMPDIR to a shorter path", str(created))
        created.chmod(_PASSABLE)
        replace_file(self._short_folder_record, str(created), mode=0o600)


def _ensure(folder: Path, mode: int) -> None:
    folder.mkdir(exist_ok=True)
    folder.chmod(mode)


def _fits(socket_dir: Path) -> bool:
    # A comma or a colon separates hosts and ports in the URL of a database.
    return len(os.fsencode(socket_dir)) <= _LONGEST_SOCKET_DIR and not set(",:") & set(str(socket_dir))


def default_data_path(environment: Mapping[str, str]) -> Path:
    """Return the default data dir: a system folder for root, else a folder in the user's home."""
    if os.getuid() == 0:
        return Path("/var/lib/modelyard")
    return Path(environment.get("XDG_DATA_HOME") or Path.home() / ".local" / "share") / "modelyard"
