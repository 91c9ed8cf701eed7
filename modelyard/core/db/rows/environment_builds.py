"""The builds of environments, and the environments that they made."""

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
    """The lock hash finds the environment. Written once its folder is complete: this row is the publishing."""

    __tablename__ = "built_environments"

    lock_hash: Mapped[str] = mapped_column(primary_key=True)
    folder: Mapped[str]
    """Name below the data dir's environments/."""
    python_version: Mapped[str]
    size_bytes: Mapped[int] = mapped_column(BigInteger, default=0)
