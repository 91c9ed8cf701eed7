"""Builds of environments, and the built environments."""

from typing import Any

from sqlalchemy import BigInteger
from sqlalchemy.orm import Mapped, mapped_column

from modelyard.core.db.rows.base import Base, Leased, Stamped


class EnvironmentBuildRow(Leased, Stamped, Base):
    """The spec hash finds the lock."""

    __tablename__ = "environment_builds"

    spec_hash: Mapped[str] = mapped_column(primary_key=True)
    spec: Mapped[dict[str, Any]]
    state: Mapped[str]
    lock_hash: Mapped[str | None] = mapped_column(index=True)
    lock: Mapped[str | None]
    error: Mapped[str | None]


class BuiltEnvironmentRow(Stamped, Base):
    """The lock hash finds the environment. The row is written when the folder is complete, and publishes it."""

    __tablename__ = "built_environments"

    lock_hash: Mapped[str] = mapped_column(primary_key=True)
    folder: Mapped[str]
    """Folder name below `environments/` of the data dir."""
    python_version: Mapped[str]
    size_bytes: Mapped[int] = mapped_column(BigInteger, default=0)
