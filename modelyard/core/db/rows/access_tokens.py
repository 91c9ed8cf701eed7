"""Access tokens and their roles."""

from datetime import datetime

from sqlalchemy import ForeignKey, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column, relationship

from modelyard.core.db.rows.base import CASCADE, Authored, Base


class AccessTokenRow(Authored, Base):
    """A token that the platform made for a subject. Revocation keeps the row, so that lists show the ended token."""

    __tablename__ = "access_tokens"
    __table_args__ = (UniqueConstraint("workspace_id", "name"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    workspace_id: Mapped[int] = mapped_column(ForeignKey("workspaces.id", ondelete="CASCADE"))
    """The workspace whose owners manage the token."""
    name: Mapped[str]
    subject: Mapped[str]
    digest: Mapped[str] = mapped_column(unique=True)
    """SHA-256 in hex, never the token."""
    expires_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]
    last_used_at: Mapped[datetime | None]
    """To the minute: uses are written in batches."""
    roles: Mapped[list["RoleAssignmentRow"]] = relationship(
        cascade=CASCADE, passive_deletes=True, lazy="selectin", order_by="RoleAssignmentRow.id"
    )


class RoleAssignmentRow(Base):
    """A role of a token's subject in a workspace. The assignment ends with the token and with the workspace."""

    __tablename__ = "role_assignments"

    id: Mapped[int] = mapped_column(primary_key=True)
    token_id: Mapped[int] = mapped_column(ForeignKey("access_tokens.id", ondelete="CASCADE"), index=True)
    workspace_id: Mapped[int | None] = mapped_column(ForeignKey("workspaces.id", ondelete="CASCADE"))
    """None: every workspace."""
    role: Mapped[str]
    """A Role."""
