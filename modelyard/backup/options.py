"""Options of `modelyard backup` and `modelyard restore`, and their errors."""

from dataclasses import dataclass
from pathlib import Path

from modelyard.core.errors import PlatformError


class BackupFailed(PlatformError):
    code = "BackupFailed"


class RestoreRefused(PlatformError):
    code = "RestoreRefused"


@dataclass(frozen=True, slots=True)
class BackupOptions:
    place: str
    """Path of a file, or a URL."""
    data_dir: Path
    passphrase: str | None
    """None: the backup has no secrets."""
    with_logs: bool = False
    with_wheels: bool = True


@dataclass(frozen=True, slots=True)
class RestoreOptions:
    place: str
    """Path of a file, or a URL."""
    data_dir: Path
    passphrase: str | None
    """None: secrets in the backup are left out."""
