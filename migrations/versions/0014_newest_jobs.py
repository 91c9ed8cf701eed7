"""indexes for the newest jobs, and the host's news of the admin token"""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

_NEWEST = ["created_at", "id"]
_TRIGGER = """
CREATE TRIGGER wanted_change AFTER INSERT OR DELETE OR UPDATE OF sha256 ON admin_tokens
    FOR EACH STATEMENT EXECUTE FUNCTION note_token_change()
"""


def upgrade() -> None:
    op.create_index("ix_jobs_newest", "jobs", ["workspace_id", *_NEWEST])
    op.create_index("ix_jobs_newest_of_endpoint", "jobs", ["workspace_id", "endpoint", *_NEWEST])
    archived = sa.text("is_archived")
    op.create_index("ix_jobs_newest_archived", "jobs", ["workspace_id", *_NEWEST], postgresql_where=archived)
    op.execute(_TRIGGER)


def downgrade() -> None:
    op.execute("DROP TRIGGER wanted_change ON admin_tokens")
    for index in ("ix_jobs_newest_archived", "ix_jobs_newest_of_endpoint", "ix_jobs_newest"):
        op.drop_index(index, "jobs")
