"""workspaces are boundaries: a folder of data stores for each, and audit events form a chain that outlives them"""

import sqlalchemy as sa
from alembic import op

from modelyard.core.domain.audit import GENESIS, ChainedContent

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "workspaces", sa.Column("has_first_datastores", sa.Boolean(), server_default=sa.false(), nullable=False)
    )
    # Until now, all workspaces had the same data stores. The files stay with the first workspace.
    op.execute("UPDATE workspaces SET has_first_datastores = true WHERE id = (SELECT min(id) FROM workspaces)")
    op.add_column("jobs", sa.Column("logs_prefix", sa.Text(), nullable=True))
    op.execute("UPDATE jobs SET logs_prefix = 'datastores/workspaceblobstore/azureml/' || name || '-run/logs/'")
    op.alter_column("jobs", "logs_prefix", nullable=False)
    op.drop_constraint("uq_jobs_endpoint_request_id", "jobs")
    op.create_unique_constraint(
        "uq_jobs_workspace_id_endpoint_request_id", "jobs", ["workspace_id", "endpoint", "request_id"]
    )
    op.create_table(
        "datastore_removals",
        sa.Column("folder", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("folder", name="pk_datastore_removals"),
    )
    _chain_events()


def _chain_events() -> None:
    op.drop_constraint("fk_audit_events_workspace_id", "audit_events")
    op.alter_column("audit_events", "workspace_id", nullable=True)
    op.alter_column("audit_events", "id", server_default=None)
    op.execute("DROP SEQUENCE IF EXISTS audit_events_id_seq")
    op.add_column("audit_events", sa.Column("hash", sa.Text(), nullable=True))
    event, previous = _chain_old_events(op.get_bind())
    op.alter_column("audit_events", "hash", nullable=False)
    chain = op.create_table(
        "audit_chain",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("event", sa.BigInteger(), nullable=False),
        sa.Column("hash", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_audit_chain"),
    )
    op.bulk_insert(chain, [{"id": 1, "event": event, "hash": previous}])


def _chain_old_events(connection: sa.Connection) -> tuple[int, str]:
    """Chain the events of before in their order. Their numbers keep the gaps. Returns the last number and hash."""
    columns = (
        "id, at, workspace_id, caller, caller_kind, action, resource_id, request_id, from_state, to_state, changes"
    )
    event, previous = 0, GENESIS
    while rows := connection.execute(
        sa.text(f"SELECT {columns} FROM audit_events WHERE id > :event ORDER BY id LIMIT 5000"), {"event": event}
    ).all():
        hashes = []
        for row in rows:
            event, previous = row.id, ChainedContent(**row._mapping).hash_after(previous)
            hashes.append({"event": event, "hash": previous})
        connection.execute(sa.text("UPDATE audit_events SET hash = :hash WHERE id = :event"), hashes)
    return event, previous


def downgrade() -> None:
    op.drop_table("audit_chain")
    op.execute("DELETE FROM audit_events WHERE workspace_id IS NULL OR workspace_id NOT IN (SELECT id FROM workspaces)")
    op.drop_column("audit_events", "hash")
    op.execute("CREATE SEQUENCE audit_events_id_seq OWNED BY audit_events.id")
    op.execute("SELECT setval('audit_events_id_seq', coalesce(max(id), 0) + 1, false) FROM audit_events")
    op.alter_column("audit_events", "id", server_default=sa.text("nextval('audit_events_id_seq')"))
    op.alter_column("audit_events", "workspace_id", nullable=False)
    op.create_foreign_key(
        "fk_audit_events_workspace_id", "audit_events", "workspaces", ["workspace_id"], ["id"], ondelete="CASCADE"
    )
    op.drop_table("datastore_removals")
    op.drop_constraint("uq_jobs_workspace_id_endpoint_request_id", "jobs")
    op.create_unique_constraint("uq_jobs_endpoint_request_id", "jobs", ["endpoint", "request_id"])
    op.drop_column("jobs", "logs_prefix")
    op.drop_column("workspaces", "has_first_datastores")
