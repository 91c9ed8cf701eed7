"""Endpoints, deployments, generations and workers."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Index, UniqueConstraint, func, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column, relationship

from modelyard.core.db.rows.assets import ModelVersionRow
from modelyard.core.db.rows.base import CASCADE, Authored, Base, Leased, Stamped


class Endpoint(Authored):
    """Columns of online and batch endpoints."""

    id: Mapped[int] = mapped_column(primary_key=True)
    workspace_id: Mapped[int] = mapped_column(ForeignKey("workspaces.id"), index=True)
    name: Mapped[str] = mapped_column(unique=True)
    """In lower case, and unique on the whole platform, as Azure's names are unique in a region."""
    location: Mapped[str] = mapped_column(default="local")
    kind: Mapped[str | None]
    identity: Mapped[dict[str, Any] | None]
    tags: Mapped[dict[str, str]] = mapped_column(default=dict)
    properties: Mapped[dict[str, str]] = mapped_column(default=dict)
    description: Mapped[str | None]
    auth_mode: Mapped[str]
    provisioning_state: Mapped[str]
    operation_id: Mapped[UUID | None]
    """The operation under way, or the last operation."""
    primary_key_encrypted: Mapped[str]
    secondary_key_encrypted: Mapped[str]
    primary_key_digest: Mapped[str]
    secondary_key_digest: Mapped[str]


class Deployment(Authored):
    """Columns of online and batch deployments. A failed update leaves the serving generation in place."""

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]
    location: Mapped[str] = mapped_column(default="local")
    tags: Mapped[dict[str, str]] = mapped_column(default=dict)
    properties: Mapped[dict[str, str]] = mapped_column(default=dict)
    body: Mapped[dict[str, Any]] = mapped_column(default=dict)
    """Fields of the PUT without an effect on this platform (instanceType, compute), returned as sent."""
    provisioning_state: Mapped[str]
    failure_code: Mapped[str | None]
    failure_message: Mapped[str | None]
    operation_id: Mapped[UUID | None]
    wanted_generation: Mapped[int]
    serving_generation: Mapped[int | None]
    """The newest generation that was built. Jobs of a batch deployment run this generation."""


def _index_of_waiting(table: str) -> Index:
    """Index of the few rows whose operation waits for the gateways."""
    return Index(f"ix_{table}_awaits_revision", "awaits_revision", postgresql_where=text("awaits_revision IS NOT NULL"))


class OnlineEndpointRow(Endpoint, Base):
    __tablename__ = "online_endpoints"
    __table_args__ = (_index_of_waiting("online_endpoints"),)

    public_network_access: Mapped[str] = mapped_column(default="Enabled")
    traffic: Mapped[dict[str, int]] = mapped_column(default=dict)
    mirror_traffic: Mapped[dict[str, int]] = mapped_column(default=dict)
    rate_limit: Mapped[dict[str, int]] = mapped_column(default=dict, server_default="{}")
    """A RateLimit."""
    awaits_revision: Mapped[int | None] = mapped_column(BigInteger)
    """The change has taken effect when every gateway has applied this routing revision."""
    token_key_encrypted: Mapped[str]
    token_public_key: Mapped[str]
    deployments: Mapped[list["OnlineDeploymentRow"]] = relationship(back_populates="endpoint", cascade=CASCADE)


class OnlineDeploymentRow(Deployment, Base):
    __tablename__ = "online_deployments"
    __table_args__ = (UniqueConstraint("endpoint_id", "name"), _index_of_waiting("online_deployments"))

    endpoint_id: Mapped[int] = mapped_column(ForeignKey("online_endpoints.id"), index=True)
    instance_count: Mapped[int]
    awaits_revision: Mapped[int | None] = mapped_column(BigInteger)
    endpoint: Mapped[OnlineEndpointRow] = relationship(back_populates="deployments")
    generations: Mapped[list["GenerationRow"]] = relationship(back_populates="deployment", cascade=CASCADE)
    workers: Mapped[list["WorkerRow"]] = relationship(back_populates="deployment", cascade=CASCADE)


class GenerationRow(Leased, Stamped, Base):
    """One spec of an online or a batch deployment, and the build of that spec."""

    __tablename__ = "deployment_generations"
    __table_args__ = (
        UniqueConstraint("deployment_id", "number"),
        UniqueConstraint("batch_deployment_id", "number"),
        CheckConstraint("num_nonnulls(deployment_id, batch_deployment_id) = 1", name="one_deployment"),
        Index("ix_deployment_generations_user", "created_by", "created_by_kind", "build_started_at"),
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
    """An OperationStep, for the progress display."""
    created_by: Mapped[str] = mapped_column(server_default="admin")
    """Subject of the caller that asked for the generation. Builders serve the users in turn."""
    created_by_kind: Mapped[str] = mapped_column(server_default="user")
    """A CallerKind."""
    build_started_at: Mapped[datetime | None]
    """Start of the newest attempt to build the generation."""
    deployment: Mapped[OnlineDeploymentRow | None] = relationship(back_populates="generations")
    batch_deployment: Mapped["BatchDeploymentRow | None"] = relationship(back_populates="generations")
    model_version: Mapped[ModelVersionRow] = relationship()

    @property
    def owner(self) -> "OnlineDeploymentRow | BatchDeploymentRow":
        owner = self.deployment or self.batch_deployment
        assert owner is not None, "the table's constraint"
        return owner


class WantedChangeRow(Base):
    """A change of the wanted state since the host's last read. Triggers add the rows, and the host removes them."""

    __tablename__ = "wanted_changes"

    id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    endpoint_id: Mapped[int | None]
    """None: a change of access tokens, which concerns every endpoint with access tokens."""


class WorkerRow(Base):
    """A model worker as the host last saw it, for `modelyard status`. No decision depends on the row."""

    __tablename__ = "workers"

    worker_id: Mapped[str] = mapped_column(primary_key=True)
    deployment_id: Mapped[int] = mapped_column(ForeignKey("online_deployments.id", ondelete="CASCADE"), index=True)
    generation: Mapped[int]
    slot: Mapped[int]
    """Number of the worker's place in the deployment, from 0."""
    state: Mapped[str]
    pid: Mapped[int | None]
    restarts: Mapped[int] = mapped_column(default=0)
    last_exit_reason: Mapped[str | None]
    protections: Mapped[list[str]] = mapped_column(JSONB, default=list, server_default=text("'[]'"))
    """Names of the sandbox's protections in force."""
    started_at: Mapped[datetime | None]
    seen_at: Mapped[datetime] = mapped_column(server_default=func.now(), onupdate=func.now())
    deployment: Mapped[OnlineDeploymentRow] = relationship(back_populates="workers")


class BatchEndpointRow(Endpoint, Base):
    __tablename__ = "batch_endpoints"

    default_deployment: Mapped[str | None]
    deployments: Mapped[list["BatchDeploymentRow"]] = relationship(back_populates="endpoint", cascade=CASCADE)


class BatchDeploymentRow(Deployment, Base):
    """Nothing runs between jobs: the deployment has succeeded when its generation is built."""

    __tablename__ = "batch_deployments"
    __table_args__ = (UniqueConstraint("endpoint_id", "name"),)

    endpoint_id: Mapped[int] = mapped_column(ForeignKey("batch_endpoints.id"), index=True)
    description: Mapped[str | None]
    settings: Mapped[dict[str, Any]]
    """BatchSettings, which may change without a new generation."""
    endpoint: Mapped[BatchEndpointRow] = relationship(back_populates="deployments")
    generations: Mapped[list["GenerationRow"]] = relationship(back_populates="batch_deployment", cascade=CASCADE)
