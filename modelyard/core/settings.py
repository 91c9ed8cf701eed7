"""What a platform process is told. Read once, in its `main`, and handed down; nothing else looks at the environment.

`modelyard up` decides the values and gives each process it starts the variables that this module reads. The gateway
is not among them: it gets a data dir and a socket, and no secret.
"""

import os
from pathlib import Path

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

from modelyard.core.data_dir import DataDir
from modelyard.core.worker_user import DEFAULT_WORKER_UID


class PlatformSettings(BaseSettings):
    """The settings that control plane, builder and host share, from `MODELYARD_*` variables."""

    model_config = SettingsConfigDict(env_prefix="MODELYARD_", frozen=True, extra="ignore")

    data_path: Path = Field(validation_alias="MODELYARD_DATA_DIR")
    database_url: SecretStr
    broker_url: SecretStr
    storage_url: str
    master_key: SecretStr
    """Fernet keys, comma-separated, the newest first."""
    public_url: str | None = None
    """Base of absolute control-plane URLs; None: the Host header decides."""
    scoring_public_url: str | None = None
    """Base of scoring URIs; None: the request's host with `scoring_port`."""
    scoring_port: int = 8001
    max_upload_bytes: int = 64 << 30
    worker_uid: int = DEFAULT_WORKER_UID
    """The user that workers run as when the platform runs as root; unused otherwise."""

    @property
    def data_dir(self) -> DataDir:
        return DataDir(self.data_path)

    @property
    def worker_user(self) -> int | None:
        """The user id that workers change to, or None where they cannot: they run as the platform's own account."""
        return self.worker_uid if os.getuid() == 0 else None
