"""Batch jobs and the mini-batches that their input is cut into."""

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, ForeignKey, Index, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column, relationship

from modelyard.core.db.rows.base import CASCADE, Authored, Base, Leased


class JobRow(Leased, Authored, Base):
    """A batch job: all that it needs, so that it ends as it began when its endpoint is changed or deleted meanwhile.

    Its lease is that of planning and of putting the output together.
    """

    __tablename__ = "jobs"
    __table_args__ = (UniqueConstraint("workspace_id", "name"), UniqueConstraint("endpoint", "request_id"))

    id: Mapped[int] = mapped_column(primary_key=True)
    workspace_id: Mapped[int] = mapped_column(ForeignKey("workspaces.id"), index=True)
    name: Mapped[str]
    display_name: Mapped[str | None]
    experiment_name: Mapped[str | None]
    endpoint: Mapped[str] = mapped_column(index=True)
    deployment: Mapped[str]
    request_id: Mapped[str | None]
    """The submitter's idempotency key: the same one is the same job."""
    bundle_hash: Mapped[str]
    lock_hash: Mapped[str]
    settings: Mapped[dict[str, Any]]
    """BatchSettings: the deployment's, with what this job asked for instead."""
    input_kind: Mapped[str]
    input_uri: Mapped[str]
    input_files: Mapped[list[dict[str, Any]] | None] = mapped_column(JSONB(none_as_null=True), deferred=True)
    """{"path", "key", "size"} of each InputFile of a data asset. None: what lies below `input_key` at planning.

    There may be thousands, so they are read only where they are asked for.
    """
    input_key: Mapped[str | None]
    output_key: Mapped[str]
    """Of the predictions. Beside it lie the errors file and the logs."""
    tags: Mapped[dict[str, str]] = mapped_column(default=dict)
    properties: Mapped[dict[str, str]] = mapped_column(default=dict)
    state: Mapped[str] = mapped_column(index=True)
    error: Mapped[dict[str, Any] | None] = mapped_column(JSONB(none_as_null=True))
    """{"code", "message", "details"?} of a failure."""
    is_archived: Mapped[bool] = mapped_column(default=False)
    files: Mapped[int | None]
    """Of the input, once that is known; mini-batches and rows likewise."""
    mini_batches: Mapped[int | None]
    rows: Mapped[int | None] = mapped_column(BigInteger)
    started_at: Mapped[datetime | None]
    ended_at: Mapped[datetime | None]
    parts: Mapped[list["MiniBatchRow"]] = relationship(back_populates="job", cascade=CASCADE, passive_deletes=True)


class MiniBatchRow(Leased, Base):
    """A part of a job's input, the same for the job's whole life, and what became of it."""

    __tablename__ = "mini_batches"
    __table_args__ = (
        UniqueConstraint("job_id", "number"),
        Index("ix_mini_batches_open", "job_id", "state", "number"),
        Index("ix_mini_batches_held", "job_id", postgresql_where=text("lease_token IS NOT NULL")),
    )

    id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    job_id: Mapped[int] = mapped_column(ForeignKey("jobs.id", ondelete="CASCADE"))
    number: Mapped[int]
    """From 0, in the order of the output."""
    state: Mapped[str]
    spans: Mapped[list[dict[str, Any]]]
    """What it reads: for each file, or part of one, what the planner noted."""
    part_key: Mapped[str | None]
    """Where its predictions lie. None: it has none."""
    rows: Mapped[int] = mapped_column(BigInteger, default=0)
    """Scored."""
    failures: Mapped[list[dict[str, Any]]] = mapped_column(default=list)
    """{"file", "first_row", "rows", "reason"} of what could not be scored."""
    seconds: Mapped[float | None]
    worker: Mapped[str | None]
    """Who scores it, or did."""
    ended_at: Mapped[datetime | None]
    job: Mapped[JobRow] = relationship(back_populates="parts")
