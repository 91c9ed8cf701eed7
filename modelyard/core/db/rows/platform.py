"""Operations, the routing revision, named leases and admin tokens."""

from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import BigInteger
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from modelyard.core.db.rows.base import Base, Leased, Stamped


class OperationRow(Stamped, Base):
    """A long-running operation. The row outlives the resource."""

    __tablename__ = "operations"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid4)
    subscription: Mapped[str]
    kind: Mapped[str]
    resource_id: Mapped[str] = mapped_column(index=True)
    """ARM id of the resource."""
    status: Mapped[str] = mapped_column(index=True)
    error: Mapped[dict[str, Any] | None] = mapped_column(JSONB(none_as_null=True))
    """{"code", "message", "details"?} of a failure."""
    ended_at: Mapped[datetime | None]


class RoutingRow(Base):
    """The only row of the table. The row's lock puts all changes of routes into one order."""

    __tablename__ = "routing"

    id: Mapped[int] = mapped_column(primary_key=True, default=1)
    desired: Mapped[int] = mapped_column(BigInteger, default=0)
    """The newest requested revision."""
    applied: Mapped[int] = mapped_column(BigInteger, default=0)
    """The newest revision that every gateway has applied."""


class NamedLeaseRow(Leased, Base):
    """A role for one process at a time: "host"."""

    __tablename__ = "named_leases"

    name: Mapped[str] = mapped_column(primary_key=True)


class AdminTokenRow(Stamped, Base):
    __tablename__ = "admin_tokens"

    id: Mapped[int] = mapped_column(primary_key=True)
    digest: Mapped[str]
    """salt$scrypt, never the token."""
    sha256: Mapped[str | None]
    """SHA-256 in hex, for a token with 256 random bits. None: the token may be short, and `digest` counts."""
