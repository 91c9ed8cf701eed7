"""The base of every table: names of constraints, types of columns, timestamps, authors and leases."""

from datetime import datetime
from typing import Any, ClassVar
from uuid import UUID

from sqlalchemy import DateTime, ForeignKey, MetaData, Text, func, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

CASCADE = "all, delete-orphan"


class Base(DeclarativeBase):
    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map = {  # noqa: RUF012 - SQLAlchemy reads the class attribute
        dict[str, Any]: JSONB,
        dict[str, str]: JSONB,
        dict[str, int]: JSONB,
        list[dict[str, Any]]: JSONB,
        datetime: DateTime(timezone=True),
        str: Text,
    }


class Stamped:
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    modified_at: Mapped[datetime] = mapped_column(server_default=func.now(), onupdate=func.now())


class Authored(Stamped):
    """The author of a resource and the author of the last requested change.

    `core/db/audit.py` sets the columns together with the audit event. Rows older than the columns belong to the admin.
    """

    created_by: Mapped[str] = mapped_column(server_default="admin")
    created_by_kind: Mapped[str] = mapped_column(server_default="user")
    """A CallerKind."""
    modified_by: Mapped[str] = mapped_column(server_default="admin")
    modified_by_kind: Mapped[str] = mapped_column(server_default="user")


class NamedResource(Authored):
    """A resource with a name in its workspace."""

    collection: ClassVar[str]
    """Path segment of the noun, such as "models"."""
    id: Mapped[int] = mapped_column(primary_key=True)
    workspace_id: Mapped[int] = mapped_column(ForeignKey("workspaces.id"))
    name: Mapped[str]


class Leased:
    """A row whose work a process claims; see leases.py."""

    lease_token: Mapped[UUID | None]
    lease_until: Mapped[datetime | None]
    attempt: Mapped[int] = mapped_column(server_default=text("0"), default=0)
