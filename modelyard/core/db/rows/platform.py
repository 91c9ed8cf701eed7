"""The platform's own rows: operations, the routing revision, roles and admin tokens."""

from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import BigInteger
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from modelyard.core.db.rows.base import Base, Leased, Stamped


class OperationRow(Stamped, Base):
    """A long-running operation, kept after the resource it is about is gone."""

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
    """One row. Its lock puts all changes that a gateway must hear of into one order."""

    __tablename__ = "routing"

    id: Mapped[int] = mapped_column(primary_key=True, default=1)
    desired: Mapped[int] = mapped_column(BigInteger, default=0)
    """The newest revision that was asked for."""
    applied: Mapped[int] = mapped_column(BigInteger, default=0)
    """The newest revision that every gateway has applied."""


class NamedLeaseRow(Leased, Base):
    """A role that one process at a time may hold: "host"."""

    __tablename__ = "named_leases"

    name: Mapped[str] = mapped_column(primary_key=True)


class AdminTokenRow(Stamped, Base):
    __tablename__ = "admin_tokens"

    id: Mapped[int] = mapped_column(primary_key=True)
    digest: Mapped[str]
    """salt$scrypt, never the token."""
