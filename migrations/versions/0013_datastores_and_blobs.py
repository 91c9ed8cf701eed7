"""datastores, properties and blocks of blobs, and the upload that a version's URI names"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql
from sqlalchemy.schema import SchemaItem

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

_URIS = {"model_versions": "model_uri", "data_versions": "data_uri"}
_UPLOAD = "/paths/uploads/([0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12})/"


def upgrade() -> None:
    now = sa.text("now()")
    texts = postgresql.JSONB(astext_type=sa.Text())
    op.create_table(
        "datastores",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("workspace_id", sa.Integer(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("description", sa.Text(), nullable=True),
        sa.Column("tags", texts, nullable=False),
        sa.Column("properties", texts, nullable=False),
        sa.Column("created_by", sa.Text(), server_default="admin", nullable=False),
        sa.Column("created_by_kind", sa.Text(), server_default="user", nullable=False),
        sa.Column("modified_by", sa.Text(), server_default="admin", nullable=False),
        sa.Column("modified_by_kind", sa.Text(), server_default="user", nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=now, nullable=False),
        sa.Column("modified_at", sa.DateTime(timezone=True), server_default=now, nullable=False),
        sa.ForeignKeyConstraint(["workspace_id"], ["workspaces.id"], name="fk_datastores_workspace_id"),
        sa.PrimaryKeyConstraint("id", name="pk_datastores"),
        sa.UniqueConstraint("workspace_id", "name", name="uq_datastores_workspace_id_name"),
    )
    op.create_table(
        "blob_properties",
        *_blob_key("blob_properties"),
        sa.Column("etag", sa.Text(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("headers", texts, nullable=False),
        sa.Column("user_metadata", texts, nullable=False),
        sa.Column("blocks", texts, nullable=True),
        sa.Column("modified_at", sa.DateTime(timezone=True), server_default=now, nullable=False),
        sa.PrimaryKeyConstraint("workspace_id", "store", "path", name="pk_blob_properties"),
    )
    op.create_table(
        "blob_blocks",
        *_blob_key("blob_blocks"),
        sa.Column("block_id", sa.Text(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("object_id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=now, nullable=False),
        sa.PrimaryKeyConstraint("workspace_id", "store", "path", "block_id", name="pk_blob_blocks"),
    )
    op.create_index("ix_blob_blocks_created_at", "blob_blocks", ["created_at"])
    for table, uri in _URIS.items():
        op.add_column(table, sa.Column("upload_id", sa.Uuid(), nullable=True))
        op.execute(f"UPDATE {table} SET upload_id = CAST(substring({uri} from '{_UPLOAD}') AS uuid)")
        op.create_index(f"ix_{table}_upload_id", table, ["upload_id"])


def _blob_key(table: str) -> tuple[SchemaItem, ...]:
    return (
        sa.Column("workspace_id", sa.Integer(), nullable=False),
        sa.Column("store", sa.Text(), nullable=False),
        sa.Column("path", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["workspace_id"], ["workspaces.id"], name=f"fk_{table}_workspace_id", ondelete="CASCADE"
        ),
    )


def downgrade() -> None:
    for table in _URIS:
        op.drop_index(f"ix_{table}_upload_id", table)
        op.drop_column(table, "upload_id")
    for table in ("blob_blocks", "blob_properties", "datastores"):
        op.drop_table(table)
