"""indexes for the filters of job lists, and for the users of built environments"""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

_NEWEST = ["created_at", "id"]
_OF_FILTERS = {
    "ix_jobs_newest_in_state": ["state"],
    "ix_jobs_newest_of_name": ["deployment"],
    "ix_jobs_newest_of_deployment": ["endpoint", "deployment"],
}


def upgrade() -> None:
    active = sa.text("NOT is_archived")
    op.create_index("ix_jobs_newest_active", "jobs", ["workspace_id", *_NEWEST], postgresql_where=active)
    op.create_index("ix_jobs_tags", "jobs", ["tags"], postgresql_using="gin")
    op.create_index("ix_jobs_lock_hash", "jobs", ["workspace_id", "lock_hash"])
    for index, columns in _OF_FILTERS.items():
        op.create_index(index, "jobs", ["workspace_id", *columns, *_NEWEST], postgresql_include=["is_archived"])


def downgrade() -> None:
    for index in (*reversed(_OF_FILTERS), "ix_jobs_lock_hash", "ix_jobs_tags", "ix_jobs_newest_active"):
        op.drop_index(index, "jobs")
