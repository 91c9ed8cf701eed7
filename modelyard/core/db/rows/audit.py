"""Audit events, and the head of their chain."""

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, Index, func
from sqlalchemy.orm import Mapped, mapped_column

from modelyard.core.db.rows.base import Base


class AuditEventRow(Base):
    """A change of a resource. The row outlives the resource and the workspace."""

    __tablename__ = "audit_events"
    __table_args__ = (
        # An index for each filter of the list, which is read from the newest event on; the resource's is below.
        Index("ix_audit_events_at", "workspace_id", "at"),
        Index("ix_audit_events_action", "workspace_id", "action", "id"),
        Index("ix_audit_events_caller", "workspace_id", "caller", "id"),
    )

    id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    """The place in the chain, without gaps since the chain began."""
    workspace_id: Mapped[int | None]
    """Without a foreign key, because the event stays when the workspace goes. None: an event of the platform."""
    at: Mapped[datetime] = mapped_column(server_default=func.clock_timestamp())
    caller: Mapped[str]
    """Subject of the Caller."""
    caller_kind: Mapped[str]
    action: Mapped[str]
    resource_id: Mapped[str]
    """ARM id."""
    request_id: Mapped[str | None]
    from_state: Mapped[str | None]
    to_state: Mapped[str | None]
    changes: Mapped[dict[str, Any]] = mapped_column(default=dict)
    """Field name -> {"from", "to"}, without secrets."""
    hash: Mapped[str]
    """ChainedContent.hash_after the event before."""


class AuditChainRow(Base):
    """The only row of the table. The row's lock puts all events into one order, from the commit of each on."""

    __tablename__ = "audit_chain"

    id: Mapped[int] = mapped_column(primary_key=True, default=1)
    event: Mapped[int] = mapped_column(BigInteger)
    """The newest event. 0: there is no event yet."""
    hash: Mapped[str]


_RESOURCE = "resource_lower"
Index(
    "ix_audit_events_resource",
    AuditEventRow.workspace_id,
    func.lower(AuditEventRow.resource_id).label(_RESOURCE),
    AuditEventRow.id,
    # For LIKE 'prefix%', whatever the collation.
    postgresql_ops={_RESOURCE: "text_pattern_ops"},
)
