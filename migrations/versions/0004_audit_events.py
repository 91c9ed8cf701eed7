"""audit events, and the callers who made and changed a resource"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_AUTHORED = (
    "workspaces",
    "models",
    "model_versions",
    "environments",
    "environment_versions",
    "data_assets",
    "data_versions",
    "computes",
    "online_endpoints",
    "online_deployments",
    "batch_endpoints",
    "batch_deployments",
    "jobs",
)
# Until now, every caller was the admin. The defaults stay for processes of the version before.
_COLUMNS = {"created_by": "admin", "created_by_kind": "user", "modified_by": "admin", "modified_by_kind": "user"}


def upgrade() -> None:
    for table in _AUTHORED:
        for column, default in _COLUMNS.items():
            op.add_column(table, sa.Column(column, sa.Text(), server_default=default, nullable=False))
    op.create_table(
        "audit_events",
        sa.Column("id", sa.BigInteger(), nullable=False),
        sa.Column("workspace_id", sa.Integer(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False),
        sa.Column("caller", sa.Text(), nullable=False),
        sa.Column("caller_kind", sa.Text(), nullable=False),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("resource_id", sa.Text(), nullable=False),
        sa.Column("request_id", sa.Text(), nullable=True),
        sa.Column("from_state", sa.Text(), nullable=True),
        sa.Column("to_state", sa.Text(), nullable=True),
        sa.Column("changes", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.ForeignKeyConstraint(
            ["workspace_id"], ["workspaces.id"], name="fk_audit_events_workspace_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_audit_events"),
    )
    op.create_index("ix_audit_events_at", "audit_events", ["workspace_id", "at"])
    op.create_index(
        "ix_audit_events_resource",
        "audit_events",
        ["workspace_id", sa.func.lower(sa.column("resource_id")).label("resource_lower"), "id"],
        postgresql_ops={"resource_lower": "text_pattern_ops"},
    )
    op.create_index("ix_audit_events_action", "audit_events", ["workspace_id", "action", "id"])
    op.create_index("ix_audit_events_caller", "audit_events", ["workspace_id", "caller", "id"])


def downgrade() -> None:
    op.drop_table("audit_events")
    for table in _AUTHORED:
        for column in _COLUMNS:
            op.drop_column(table, column)
