"""batch endpoints, their jobs, data assets and computes"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "batch_endpoints",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("workspace_id", sa.Integer(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("location", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=True),
        sa.Column("identity", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.Column("tags", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("properties", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("description", sa.Text(), nullable=True),
        sa.Column("auth_mode", sa.Text(), nullable=False),
        sa.Column("default_deployment", sa.Text(), nullable=True),
        sa.Column("provisioning_state", sa.Text(), nullable=False),
        sa.Column("operation_id", sa.Uuid(), nullable=True),
        sa.Column("primary_key_encrypted", sa.Text(), nullable=False),
        sa.Column("secondary_key_encrypted", sa.Text(), nullable=False),
        sa.Column("primary_key_digest", sa.Text(), nullable=False),
        sa.Column("secondary_key_digest", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("modified_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(["workspace_id"], ["workspaces.id"], name="fk_batch_endpoints_workspace_id"),
        sa.PrimaryKeyConstraint("id", name="pk_batch_endpoints"),
        sa.UniqueConstraint("name", name="uq_batch_endpoints_name"),
    )
    op.create_index("ix_batch_endpoints_workspace_id", "batch_endpoints", ["workspace_id"], unique=False)
    op.create_table(
        "computes",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("workspace_id", sa.Integer(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("location", sa.Text(), nullable=False),
        sa.Column("body", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("modified_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(["workspace_id"], ["workspaces.id"], name="fk_computes_workspace_id"),
        sa.PrimaryKeyConstraint("id", name="pk_computes"),
        sa.UniqueConstraint("workspace_id", "name", name="uq_computes_workspace_id_name"),
    )
    op.create_table(
        "data_assets",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("workspace_id", sa.Integer(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("description", sa.Text(), nullable=True),
        sa.Column("tags", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("properties", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("is_archived", sa.Boolean(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("modified_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(["workspace_id"], ["workspaces.id"], name="fk_data_assets_workspace_id"),
        sa.PrimaryKeyConstraint("id", name="pk_data_assets"),
        sa.UniqueConstraint("workspace_id", "name", name="uq_data_assets_workspace_id_name"),
    )
    op.create_table(
        "jobs",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("workspace_id", sa.Integer(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("display_name", sa.Text(), nullable=True),
        sa.Column("experiment_name", sa.Text(), nullable=True),
        sa.Column("endpoint", sa.Text(), nullable=False),
        sa.Column("deployment", sa.Text(), nullable=False),
        sa.Column("request_id", sa.Text(), nullable=True),
        sa.Column("bundle_hash", sa.Text(), nullable=False),
        sa.Column("lock_hash", sa.Text(), nullable=False),
        sa.Column("settings", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("input_kind", sa.Text(), nullable=False),
        sa.Column("input_uri", sa.Text(), nullable=False),
        sa.Column("input_files", postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=True),
        sa.Column("input_key", sa.Text(), nullable=True),
        sa.Column("output_key", sa.Text(), nullable=False),
        sa.Column("tags", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("properties", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("error", postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=True),
        sa.Column("is_archived", sa.Boolean(), nullable=False),
        sa.Column("files", sa.Integer(), nullable=True),
        sa.Column("mini_batches", sa.Integer(), nullable=True),
        sa.Column("rows", sa.BigInteger(), nullable=True),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("lease_token", sa.Uuid(), nullable=True),
        sa.Column("lease_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("attempt", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("modified_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(["workspace_id"], ["workspaces.id"], name="fk_jobs_workspace_id"),
        sa.PrimaryKeyConstraint("id", name="pk_jobs"),
        sa.UniqueConstraint("endpoint", "request_id", name="uq_jobs_endpoint_request_id"),
        sa.UniqueConstraint("workspace_id", "name", name="uq_jobs_workspace_id_name"),
    )
    op.create_index("ix_jobs_endpoint", "jobs", ["endpoint"], unique=False)
    op.create_index("ix_jobs_state", "jobs", ["state"], unique=False)
    op.create_index("ix_jobs_workspace_id", "jobs", ["workspace_id"], unique=False)
    op.create_table(
        "batch_deployments",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("endpoint_id", sa.Integer(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("location", sa.Text(), nullable=False),
        sa.Column("description", sa.Text(), nullable=True),
        sa.Column("tags", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("properties", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("body", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("settings", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("provisioning_state", sa.Text(), nullable=False),
        sa.Column("failure_code", sa.Text(), nullable=True),
        sa.Column("failure_message", sa.Text(), nullable=True),
        sa.Column("operation_id", sa.Uuid(), nullable=True),
        sa.Column("wanted_generation", sa.Integer(), nullable=False),
        sa.Column("serving_generation", sa.Integer(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("modified_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(["endpoint_id"], ["batch_endpoints.id"], name="fk_batch_deployments_endpoint_id"),
        sa.PrimaryKeyConstraint("id", name="pk_batch_deployments"),
        sa.UniqueConstraint("endpoint_id", "name", name="uq_batch_deployments_endpoint_id_name"),
    )
    op.create_index("ix_batch_deployments_endpoint_id", "batch_deployments", ["endpoint_id"], unique=False)
    op.create_table(
        "data_versions",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("data_id", sa.Integer(), nullable=False),
        sa.Column("version", sa.Text(), nullable=False),
        sa.Column("data_type", sa.Text(), nullable=False),
        sa.Column("data_uri", sa.Text(), nullable=False),
        sa.Column("manifest", postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=True),
        sa.Column("is_anonymous", sa.Boolean(), nullable=False),
        sa.Column("description", sa.Text(), nullable=True),
        sa.Column("tags", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("properties", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("is_archived", sa.Boolean(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("modified_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(["data_id"], ["data_assets.id"], name="fk_data_versions_data_id"),
        sa.PrimaryKeyConstraint("id", name="pk_data_versions"),
        sa.UniqueConstraint("data_id", "version", name="uq_data_versions_data_id_version"),
    )
    op.create_index("ix_data_versions_data_id", "data_versions", ["data_id"], unique=False)
    op.create_table(
        "mini_batches",
        sa.Column("id", sa.BigInteger(), nullable=False),
        sa.Column("job_id", sa.Integer(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("spans", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("part_key", sa.Text(), nullable=True),
        sa.Column("rows", sa.BigInteger(), nullable=False),
        sa.Column("failures", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("seconds", sa.Double(), nullable=True),
        sa.Column("worker", sa.Text(), nullable=True),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("lease_token", sa.Uuid(), nullable=True),
        sa.Column("lease_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("attempt", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name="fk_mini_batches_job_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name="pk_mini_batches"),
        sa.UniqueConstraint("job_id", "number", name="uq_mini_batches_job_id_number"),
    )
    op.create_index("ix_mini_batches_open", "mini_batches", ["job_id", "state", "number"], unique=False)
    op.create_index(
        "ix_mini_batches_held",
        "mini_batches",
        ["job_id"],
        unique=False,
        postgresql_where=sa.text("lease_token IS NOT NULL"),
    )
    op.add_column("deployment_generations", sa.Column("batch_deployment_id", sa.Integer(), nullable=True))
    op.alter_column("deployment_generations", "deployment_id", existing_type=sa.Integer(), nullable=True)
    op.create_index(
        "ix_deployment_generations_batch_deployment_id", "deployment_generations", ["batch_deployment_id"], unique=False
    )
    op.create_unique_constraint(
        "uq_deployment_generations_batch_deployment_id_number",
        "deployment_generations",
        ["batch_deployment_id", "number"],
    )
    op.create_foreign_key(
        "fk_deployment_generations_batch_deployment_id",
        "deployment_generations",
        "batch_deployments",
        ["batch_deployment_id"],
        ["id"],
    )
    op.create_check_constraint(
        "one_deployment",
        "deployment_generations",
        "num_nonnulls(deployment_id, batch_deployment_id) = 1",
    )


def downgrade() -> None:
    op.execute("DELETE FROM deployment_generations WHERE batch_deployment_id IS NOT NULL")
    op.drop_constraint("one_deployment", "deployment_generations", type_="check")
    op.drop_constraint("fk_deployment_generations_batch_deployment_id", "deployment_generations", type_="foreignkey")
    op.drop_constraint("uq_deployment_generations_batch_deployment_id_number", "deployment_generations", type_="unique")
    op.drop_index("ix_deployment_generations_batch_deployment_id", table_name="deployment_generations")
    op.alter_column("deployment_generations", "deployment_id", existing_type=sa.Integer(), nullable=False)
    op.drop_column("deployment_generations", "batch_deployment_id")
    op.drop_table("mini_batches")
    op.drop_table("data_versions")
    op.drop_table("batch_deployments")
    op.drop_table("jobs")
    op.drop_table("data_assets")
    op.drop_table("computes")
    op.drop_table("batch_endpoints")
