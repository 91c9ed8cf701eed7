"""Files on their way into the platform."""

from datetime import datetime
from uuid import UUID, uuid4

from sqlalchemy import BigInteger, ForeignKey
from sqlalchemy.orm import Mapped, mapped_column, relationship

from modelyard.core.db.rows.base import CASCADE, Base, Stamped


class UploadRow(Stamped, Base):
    """A pending upload: the folder that a signed URL writes to until a model version takes the files."""

    __tablename__ = "uploads"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid4)
    workspace_id: Mapped[int] = mapped_column(ForeignKey("workspaces.id"))
    expires_at: Mapped[datetime] = mapped_column(index=True)
    chunks: Mapped[list["UploadChunkRow"]] = relationship(back_populates="upload", cascade=CASCADE)


class UploadChunkRow(Base):
    """Consecutive bytes of one file, from one PUT. A broken PUT leaves the bytes that arrived."""

    __tablename__ = "upload_chunks"

    upload_id: Mapped[UUID] = mapped_column(ForeignKey("uploads.id", ondelete="CASCADE"), primary_key=True)
    path: Mapped[str] = mapped_column(primary_key=True)
    start: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    size: Mapped[int] = mapped_column(BigInteger)
    total: Mapped[int | None] = mapped_column(BigInteger)
    """Size of the whole file, once the client has sent it."""
    sha256: Mapped[str]
    file_sha256: Mapped[str | None]
    """Hash of the whole file, as the client sent it: a chunk of another file is not continued."""
    key: Mapped[str]
    upload: Mapped[UploadRow] = relationship(back_populates="chunks")
