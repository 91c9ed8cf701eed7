"""Options of `modelyard up`, and the error of a failed start."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from modelyard.core.errors import PlatformError
from modelyard.supervisor.roles import ALL_ROLES, Role

Announce = Callable[[str], None]
"""Shows the operator one line."""


class StartRefused(PlatformError):
    code = "StartRefused"


@dataclass(frozen=True, slots=True)
class UpOptions:
    data_dir: Path
    roles: frozenset[Role] = ALL_ROLES
    host: str = "127.0.0.1"
    port: int = 8000
    scoring_port: int = 8001
    tls: bool = False
    """Whether both ports are also served over TLS, and the plain ports on the loopback interface alone."""
    tls_port: int = 8443
    scoring_tls_port: int = 8444
    tls_certificate: Path | None = None
    tls_key: Path | None = None
    public_url: str | None = None
    scoring_public_url: str | None = None
    builders: int = 2
    gateways: int = 1
    batch_workers: int | None = None
    """None: as many as cores, at most four."""
    flags: frozenset[str] = frozenset()
    """Names of the options on the command line."""
