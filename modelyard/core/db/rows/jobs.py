"""Batch jobs and mini-batches."""

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, ForeignKey, Index, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column, relationship

from modelyard.core.db.rows.base import CASCADE, Authored, Base, Leased


def _index_of_filter(name: str, *columns: str) -> Index:
    """Index of the newest jobs of a filter, which holds all columns that a list with the filter reads to skip a job."""
    return Index(name, "workspace_id", *columns, "created_at", "id", postgresql_include=["is_archived"])


class JobRow(Leased, Authored, Base):
    """A batch job. The row is complete: a change or deletion of the endpoint does not change a submitted job.

    The holder of the lease plans the job, or assembles the output.
    """

    __tablename__ = "jobs"
    __table_args__ = (
        UniqueConstraint("workspace_id", "name"),
        UniqueConstraint("workspace_id", "endpoint", "request_id"),
        # For lists, the newest first.
        Index("ix_jobs_newest", "workspace_id", "created_at", "id"),
        Index("ix_jobs_newest_of_endpoint", "workspace_id", "endpoint", "created_at", "id"),
        Index("ix_jobs_newest_archived", "workspace_id", "created_at", "id", postgresql_where=text("is_archived")),
        Index("ix_jobs_newest_active", "workspace_id", "created_at", "id", postgresql_where=text("NOT is_archived")),
        _index_of_filter("ix_jobs_newest_in_state", "state"),
        _index_of_filter("ix_jobs_newest_of_name", "deployment"),
        _index_of_filter("ix_jobs_newest_of_deployment", "endpoint", "deployment"),
        Index("ix_jobs_tags", "tags", postgresql_using="gin"),
        # For the users of built environments.
        Index("ix_jobs_lock_hash", "workspace_id", "lock_hash"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    workspace_id: Mapped[int] = mapped_column(ForeignKey("workspaces.id"), index=True)
    name: Mapped[str]
    display_name: Mapped[str | None]
    experiment_name: Mapped[str | None]
    endpoint: Mapped[str] = mapped_column(index=True)
    deployment: Mapped[str]
    request_id: Mapped[str | None]
    """Idempotency key of the submission: an equal key means the same job."""
    bundle_hash: Mapped[str]
    lock_hash: Mapped[str]
    settings: Mapped[dict[str, Any]]
    """BatchSettings of the deployment with the overrides of the job."""
    input_kind: Mapped[str]
    input_uri: Mapped[str]
    input_files: Mapped[list[dict[str, Any]] | None] = mapped_column(JSONB(none_as_null=True), deferred=True)
    """{"path", "key", "size"} of each InputFile of a data asset. None: planning lists the files below `input_key`.

    The list may have thousands of entries, so the column is loaded on demand.
    """
    input_key: Mapped[str | None]
    output_key: Mapped[str]
    """Key of the predictions in the object store, beside the errors file."""
    logs_prefix: Mapped[str]
    """Prefix of the logs in the object store. Ends in "/"."""
    tags: Mapped[dict[str, str]] = mapped_column(default=dict)
    properties: Mapped[dict[str, str]] = mapped_column(default=dict)
    state: Mapped[str] = mapped_column(index=True)
    error: Mapped[dict[str, Any] | None] = mapped_column(JSONB(none_as_null=True))
    """{"code", "message", "details"?} of a failure."""
    is_archived: Mapped[bool] = mapped_column(default=False)
    files: Mapped[int | None]
    """Files of the input, once known. `mini_batches` and `rows` likewise."""
    mini_batches: Mapped[int | None]
    rows: Mapped[int | None] = mapped_column(BigInteger)
    started_at: Mapped[datetime | None]
    ended_at: Mapped[datetime | None]
    parts: Mapped[list["MiniBatchRow"]] = relationship(back_populates="job", cascade=CASCADE, passive_deletes=True)


class MiniBatchRow(Leased, Base):
    """A part of a job's input, fixed at planning, and the result."""

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
    """A Span for each file, or part of a file, of the mini-batch."""
    part_key: Mapped[str | None]
    """Key of the predictions, with those of the following mini-batches that were scored under the same claim. None: the
    mini-batch has no predictions, or they are in the object of an earlier mini-batch."""
    rows: Mapped[int] = mapped_column(BigInteger, default=0)
    """Scored rows."""
    failures: Mapped[list[dict[str, Any]]] = mapped_column(default=list)
    """{"file", "first_row", "rows", "reason"} of each failure."""
    seconds: Mapped[float | None]
    worker: Mapped[str | None]
    """Name of the batch worker that scores, or scored, the mini-batch."""
    ended_at: Mapped[datetime | None]
    job: Mapped[JobRow] = relationship(back_populates="parts")
