"""model workers are identified by worker_id"""

from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.alter_column("workers", "guest_id", new_column_name="worker_id")


def downgrade() -> None:
    op.alter_column("workers", "worker_id", new_column_name="guest_id")
