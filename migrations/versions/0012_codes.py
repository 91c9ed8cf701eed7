"""codes, and environments that name an image alone"""

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

_AUTHORED = {"created_by": "admin", "created_by_kind": "user", "modified_by": "admin", "modified_by_kind": "user"}


def _asset() -> tuple[sa.Column[Any], ...]:
    """The columns of a named asset and of each version."""
    return (
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("description", sa.Text(), nullable=True),
        sa.Column("tags", postgresql.JSONB(), nullable=False),
        sa.Column("properties", postgresql.JSONB(), nullable=False),
        sa.Column("is_archived", sa.Boolean(), nullable=False),
        *(
            sa.Column(name, sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False)
            for name in ("created_at", "modified_at")
        ),
        *(sa.Column(name, sa.Text(), server_default=default, nullable=False) for name, default in _AUTHORED.items()),
    )


def upgrade() -> None:
    op.create_table(
        "codes",
        *_asset(),
        sa.Column("workspace_id", sa.Integer(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_codes"),
        sa.ForeignKeyConstraint(["workspace_id"], ["workspaces.id"], name="fk_codes_workspace_id"),
        sa.UniqueConstraint("workspace_id", "name", name="uq_codes_workspace_id_name"),
    )
    op.create_table(
        "code_versions",
        *_asset(),
        sa.Column("version", sa.Text(), nullable=False),
        sa.Column("is_anonymous", sa.Boolean(), nullable=False),
        sa.Column("code_id", sa.Integer(), nullable=False),
        sa.Column("code_uri", sa.Text(), nullable=False),
        sa.Column("folder_name", sa.Text(), nullable=False),
        sa.Column("manifest", postgresql.JSONB(), nullable=False),
        sa.Column("manifest_hash", sa.Text(), nullable=False),
        sa.Column("client_hash", sa.Text(), nullable=True),
        sa.Column("client_hash_version", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_code_versions"),
        sa.ForeignKeyConstraint(["code_id"], ["codes.id"], name="fk_code_versions_code_id"),
        sa.UniqueConstraint("code_id", "version", name="uq_code_versions_code_id_version"),
    )
    op.create_index("ix_code_versions_code_id", "code_versions", ["code_id"])
    op.create_index("ix_code_versions_client_hash", "code_versions", ["client_hash"])
    op.alter_column("environment_versions", "conda_file", nullable=True)


def downgrade() -> None:
    op.execute("UPDATE environment_versions SET conda_file = '' WHERE conda_file IS NULL")
    op.alter_column("environment_versions", "conda_file", nullable=False)
    op.drop_table("code_versions")
    op.drop_table("codes")
