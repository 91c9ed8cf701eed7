"""Endpoints, deployments, their generations and their workers."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, UniqueConstraint, func
from sqlalchemy.orm import Mapped, mapped_column, relationship

from modelyard.core.db.rows.assets import ModelVersionRow
from modelyard.core.db.rows.base import CASCADE, Authored, Base, Leased, Stamped


class OnlineEndpointRow(Authored, Base):
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
    deployments: Mapped[list["OnlineDeploymentRow"]] = relationship(back_populates="endpoint", cascade=CASCADE)


class OnlineDeploymentRow(Authored, Base):
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
    generations: Mapped[list["GenerationRow"]] = relationship(back_populates="deployment", cascade=CASCADE)
    workers: Mapped[list["WorkerRow"]] = relationship(back_populates="deployment", cascade=CASCADE)


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
    """An OperationStep, for the progress display."""
    deployment: Mapped[OnlineDeploymentRow | None] = relationship(back_populates="generations")
    batch_deployment: Mapped["BatchDeploymentRow | None"] = relationship(back_populates="generations")
    model_version: Mapped[ModelVersionRow] = relationship()

    @property
    def owner(self) -> "OnlineDeploymentRow | BatchDeploymentRow":
        owner = self.deployment or self.batch_deployment
        assert owner is not None, "the table's constraint says so"
        return owner


class WorkerRow(Base):
    """A model worker as the host last saw it, for `modelyard status`. Nothing is decided from it."""

    __tablename__ = "workers"

    worker_id: Mapped[str] = mapped_column(primary_key=True)
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


class BatchEndpointRow(Authored, Base):
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
    deployments: Mapped[list["BatchDeploymentRow"]] = relationship(back_populates="endpoint", cascade=CASCADE)


class BatchDeploymentRow(Authored, Base):
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
    generations: Mapped[list["GenerationRow"]] = relationship(back_populates="batch_deployment", cascade=CASCADE)
