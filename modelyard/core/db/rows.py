"""The tables. Rows never leave the repositories and the functions beside this file.

Times are the database's, with zone. What is asked for is kept as JSONB where only the program reads it, and as columns
where a query does.
"""

from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    DateTime,
    ForeignKey,
    Index,
    MetaData,
    Text,
    UniqueConstraint,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship

_CASCADE = "all, delete-orphan"


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


class Leased:
    """Long work is claimed on the row it is about; see leases.py."""

    lease_token: Mapped[UUID | None]
    lease_until: Mapped[datetime | None]
    attempt: Mapped[int] = mapped_column(server_default=text("0"), default=0)


class WorkspaceRow(Stamped, Base):
    __tablename__ = "workspaces"
    __table_args__ = (
        Index(
            "uq_workspaces_path",
            text("lower(subscription)"),
            text("lower(resource_group)"),
            text("lower(name)"),
            unique=True,
        ),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    subscription: Mapped[str]
    resource_group: Mapped[str]
    name: Mapped[str]
    location: Mapped[str] = mapped_column(default="local")


class Asset(Stamped):
    """What a model or environment has in common with each of its versions."""

    description: Mapped[str | None]
    tags: Mapped[dict[str, str]] = mapped_column(default=dict)
    properties: Mapped[dict[str, str]] = mapped_column(default=dict)
    is_archived: Mapped[bool] = mapped_column(default=False)


class ModelRow(Asset, Base):
    """A model's name; its versions hold the files."""

    __tablename__ = "models"
    __table_args__ = (UniqueConstraint("workspace_id", "name"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    workspace_id: Mapped[int] = mapped_column(ForeignKey("workspaces.id"))
    name: Mapped[str]
    versions: Mapped[list["ModelVersionRow"]] = relationship(back_populates="model", cascade=_CASCADE)


class ModelVersionRow(Asset, Base):
    __tablename__ = "model_versions"
    __table_args__ = (UniqueConstraint("model_id", "version"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    model_id: Mapped[int] = mapped_column(ForeignKey("models.id"), index=True)
    version: Mapped[str]
    model_type: Mapped[str]
    model_uri: Mapped[str]
    folder_name: Mapped[str]
    """The registered folder's own name, the first part of every path in the manifest."""
    manifest: Mapped[list[dict[str, Any]]]
    manifest_hash: Mapped[str]
    flavors: Mapped[dict[str, Any]] = mapped_column(default=dict)
    is_anonymous: Mapped[bool] = mapped_column(default=False)
    model: Mapped[ModelRow] = relationship(back_populates="versions")


class UploadRow(Stamped, Base):
    """A pending upload: the folder that a signed URL writes to until a model version takes its files."""

    __tablename__ = "uploads"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid4)
    workspace_id: Mapped[int] = mapped_column(ForeignKey("workspaces.id"))
    expires_at: Mapped[datetime] = mapped_column(index=True)
    chunks: Mapped[list["UploadChunkRow"]] = relationship(back_populates="upload", cascade=_CASCADE)


class UploadChunkRow(Base):
    """A run of bytes of one file, as one PUT brought it. A PUT that broke off leaves what arrived."""

    __tablename__ = "upload_chunks"

    upload_id: Mapped[UUID] = mapped_column(ForeignKey("uploads.id", ondelete="CASCADE"), primary_key=True)
    path: Mapped[str] = mapped_column(primary_key=True)
    start: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    size: Mapped[int] = mapped_column(BigInteger)
    total: Mapped[int | None] = mapped_column(BigInteger)
    """The file's whole size, once its sender has said it."""
    sha256: Mapped[str]
    file_sha256: Mapped[str | None]
    """What its sender says of the whole file: a part of another file is not continued."""
    key: Mapped[str]
    upload: Mapped[UploadRow] = relationship(back_populates="chunks")


class EnvironmentRow(Asset, Base):
    __tablename__ = "environments"
    __table_args__ = (UniqueConstraint("workspace_id", "name"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    workspace_id: Mapped[int] = mapped_column(ForeignKey("workspaces.id"))
    name: Mapped[str]
    versions: Mapped[list["EnvironmentVersionRow"]] = relationship(back_populates="environment", cascade=_CASCADE)


class EnvironmentVersionRow(Asset, Base):
    __tablename__ = "environment_versions"
    __table_args__ = (UniqueConstraint("environment_id", "version"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    environment_id: Mapped[int] = mapped_column(ForeignKey("environments.id"), index=True)
    version: Mapped[str]
    conda_file: Mapped[str]
    image: Mapped[str | None]
    """Recorded and given back; on one machine there is no image to start from."""
    is_anonymous: Mapped[bool] = mapped_column(default=False)
    environment: Mapped[EnvironmentRow] = relationship(back_populates="versions")


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


class OnlineEndpointRow(Stamped, Base):
    __tablename__ = "online_endpoints"

    id: Mapped[int] = mapped_column(primary_key=True)
    workspace_id: Mapped[int] = mapped_column(ForeignKey("workspaces.id"), index=True)
    name: Mapped[str] = mapped_column(unique=True)
    """As Azure's: unique on the whole platform, compared in lower case, which is how it is stored."""
    location: Mapped[str] = mapped_column(default="local")
    kind: Mapped[str | None]
    identity: Mapped[dict[str, Any] | None]
    tags: Mapped[dict[str, str]] = mapped_column(default=dict)
    properties: Mapped[dict[str, str]] = mapped_column(default=dict)
    description: Mapped[str | None]
    auth_mode: Mapped[str]
    public_network_access: Mapped[str] = mapped_column(default="Enabled")
    traffic: Mapped[dict[str, int]] = mapped_column(default=dict)
    mirror_traffic: Mapped[dict[str, int]] = mapped_column(default=dict)
    provisioning_state: Mapped[str]
    awaits_revision: Mapped[int | None] = mapped_column(BigInteger)
    """The change has taken effect when every gateway has applied this routing revision."""
    operation_id: Mapped[UUID | None]
    """The operation under way, or the last one."""
    primary_key_encrypted: Mapped[str]
    secondary_key_encrypted: Mapped[str]
    primary_key_digest: Mapped[str]
    secondary_key_digest: Mapped[str]
    token_key_encrypted: Mapped[str]
    token_public_key: Mapped[str]
    deployments: Mapped[list["OnlineDeploymentRow"]] = relationship(back_populates="endpoint", cascade=_CASCADE)


class OnlineDeploymentRow(Stamped, Base):
    """A deployment keeps the wanted and the serving generation: a failed update leaves the serving one in place."""

    __tablename__ = "online_deployments"
    __table_args__ = (UniqueConstraint("endpoint_id", "name"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    endpoint_id: Mapped[int] = mapped_column(ForeignKey("online_endpoints.id"), index=True)
    name: Mapped[str]
    location: Mapped[str] = mapped_column(default="local")
    tags: Mapped[dict[str, str]] = mapped_column(default=dict)
    properties: Mapped[dict[str, str]] = mapped_column(default=dict)
    body: Mapped[dict[str, Any]] = mapped_column(default=dict)
    """What the PUT said and nothing here acts on, given back as it came (instanceType, appInsightsEnabled, ...)."""
    instance_count: Mapped[int]
    provisioning_state: Mapped[str]
    failure_code: Mapped[str | None]
    failure_message: Mapped[str | None]
    awaits_revision: Mapped[int | None] = mapped_column(BigInteger)
    operation_id: Mapped[UUID | None]
    wanted_generation: Mapped[int]
    serving_generation: Mapped[int | None]
    endpoint: Mapped[OnlineEndpointRow] = relationship(back_populates="deployments")
    generations: Mapped[list["GenerationRow"]] = relationship(back_populates="deployment", cascade=_CASCADE)
    workers: Mapped[list["WorkerRow"]] = relationship(back_populates="deployment", cascade=_CASCADE)


class GenerationRow(Leased, Stamped, Base):
    """One wish of an online or a batch deployment, and what was built for it."""

    __tablename__ = "deployment_generations"
    __table_args__ = (
        UniqueConstraint("deployment_id", "number"),
        UniqueConstraint("batch_deployment_id", "number"),
        CheckConstraint("num_nonnulls(deployment_id, batch_deployment_id) = 1", name="one_deployment"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    deployment_id: Mapped[int | None] = mapped_column(ForeignKey("online_deployments.id"), index=True)
    batch_deployment_id: Mapped[int | None] = mapped_column(ForeignKey("batch_deployments.id"), index=True)
    number: Mapped[int]
    state: Mapped[str] = mapped_column(index=True)
    spec: Mapped[dict[str, Any]]
    """A DeploymentSpec."""
    model_version_id: Mapped[int] = mapped_column(ForeignKey("model_versions.id"))
    environment_version_id: Mapped[int | None] = mapped_column(ForeignKey("environment_versions.id"))
    spec_hash: Mapped[str | None]
    lock_hash: Mapped[str | None] = mapped_column(index=True)
    bundle_hash: Mapped[str | None]
    step: Mapped[str | None]
    """What is being done, for the progress display: resolving, installing, checking, starting workers."""
    deployment: Mapped[OnlineDeploymentRow | None] = relationship(back_populates="generations")
    batch_deployment: Mapped["BatchDeploymentRow | None"] = relationship(back_populates="generations")
    model_version: Mapped[ModelVersionRow] = relationship()

    @property
    def owner(self) -> "OnlineDeploymentRow | BatchDeploymentRow":
        owner = self.deployment or self.batch_deployment
        assert owner is not None, "the table's constraint says so"
        return owner


class WorkerRow(Base):
    """A guest worker as the host last saw it, for `modelyard status`. Nothing is decided from it."""

    __tablename__ = "workers"

    guest_id: Mapped[str] = mapped_column(primary_key=True)
    deployment_id: Mapped[int] = mapped_column(ForeignKey("online_deployments.id", ondelete="CASCADE"), index=True)
    generation: Mapped[int]
    slot: Mapped[int]
    """Which of the deployment's instances it is, from 0."""
    state: Mapped[str]
    pid: Mapped[int | None]
    restarts: Mapped[int] = mapped_column(default=0)
    last_exit_reason: Mapped[str | None]
    started_at: Mapped[datetime | None]
    seen_at: Mapped[datetime] = mapped_column(server_default=func.now(), onupdate=func.now())
    deployment: Mapped[OnlineDeploymentRow] = relationship(back_populates="workers")


class DataRow(Asset, Base):
    """A data asset's name; its versions hold the files."""

    __tablename__ = "data_assets"
    __table_args__ = (UniqueConstraint("workspace_id", "name"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    workspace_id: Mapped[int] = mapped_column(ForeignKey("workspaces.id"))
    name: Mapped[str]
    versions: Mapped[list["DataVersionRow"]] = relationship(back_populates="data", cascade=_CASCADE)


class DataVersionRow(Asset, Base):
    __tablename__ = "data_versions"
    __table_args__ = (UniqueConstraint("data_id", "version"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    data_id: Mapped[int] = mapped_column(ForeignKey("data_assets.id"), index=True)
    version: Mapped[str]
    data_type: Mapped[str]
    """uri_file or uri_folder."""
    data_uri: Mapped[str]
    manifest: Mapped[list[dict[str, Any]] | None] = mapped_column(JSONB(none_as_null=True))
    """Of the files that were uploaded for it. None: whatever lies at `data_uri` when a job begins."""
    is_anonymous: Mapped[bool] = mapped_column(default=False)
    data: Mapped[DataRow] = relationship(back_populates="versions")


class ComputeRow(Stamped, Base):
    """A compute's name, recorded: whatever it says, the workers of this platform do the work."""

    __tablename__ = "computes"
    __table_args__ = (UniqueConstraint("workspace_id", "name"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    workspace_id: Mapped[int] = mapped_column(ForeignKey("workspaces.id"))
    name: Mapped[str]
    location: Mapped[str] = mapped_column(default="local")
    body: Mapped[dict[str, Any]] = mapped_column(default=dict)


class BatchEndpointRow(Stamped, Base):
    __tablename__ = "batch_endpoints"

    id: Mapped[int] = mapped_column(primary_key=True)
    workspace_id: Mapped[int] = mapped_column(ForeignKey("workspaces.id"), index=True)
    name: Mapped[str] = mapped_column(unique=True)
    """As an online endpoint's: unique on the whole platform, in lower case."""
    location: Mapped[str] = mapped_column(default="local")
    kind: Mapped[str | None]
    identity: Mapped[dict[str, Any] | None]
    tags: Mapped[dict[str, str]] = mapped_column(default=dict)
    properties: Mapped[dict[str, str]] = mapped_column(default=dict)
    description: Mapped[str | None]
    auth_mode: Mapped[str]
    default_deployment: Mapped[str | None]
    provisioning_state: Mapped[str]
    operation_id: Mapped[UUID | None]
    primary_key_encrypted: Mapped[str]
    secondary_key_encrypted: Mapped[str]
    primary_key_digest: Mapped[str]
    secondary_key_digest: Mapped[str]
    deployments: Mapped[list["BatchDeploymentRow"]] = relationship(back_populates="endpoint", cascade=_CASCADE)


class BatchDeploymentRow(Stamped, Base):
    """Nothing runs for it until a job does: it has succeeded when its generation is built."""

    __tablename__ = "batch_deployments"
    __table_args__ = (UniqueConstraint("endpoint_id", "name"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    endpoint_id: Mapped[int] = mapped_column(ForeignKey("batch_endpoints.id"), index=True)
    name: Mapped[str]
    location: Mapped[str] = mapped_column(default="local")
    description: Mapped[str | None]
    tags: Mapped[dict[str, str]] = mapped_column(default=dict)
    properties: Mapped[dict[str, str]] = mapped_column(default=dict)
    body: Mapped[dict[str, Any]] = mapped_column(default=dict)
    """What the PUT said and nothing here acts on, given back as it came (compute, ...)."""
    settings: Mapped[dict[str, Any]]
    """BatchSettings. They may change without a new generation."""
    provisioning_state: Mapped[str]
    failure_code: Mapped[str | None]
    failure_message: Mapped[str | None]
    operation_id: Mapped[UUID | None]
    wanted_generation: Mapped[int]
    serving_generation: Mapped[int | None]
    """The one that jobs run: the newest that was built."""
    endpoint: Mapped[BatchEndpointRow] = relationship(back_populates="deployments")
    generations: Mapped[list["GenerationRow"]] = relationship(back_populates="batch_deployment", cascade=_CASCADE)


class JobRow(Leased, Stamped, Base):
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
    parts: Mapped[list["MiniBatchRow"]] = relationship(back_populates="job", cascade=_CASCADE, passive_deletes=True)


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
