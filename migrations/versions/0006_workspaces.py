"""workspaces are boundaries: a folder of data stores for each, logs of jobs by prefix, request ids by workspace"""

import sqlalchemy as sa
from alembic import op

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


def downgrade() -> None:
    op.drop_constraint("uq_jobs_workspace_id_endpoint_request_id", "jobs")
    op.create_unique_constraint("uq_jobs_endpoint_request_id", "jobs", ["endpoint", "request_id"])
    op.drop_column("jobs", "logs_prefix")
    op.drop_column("workspaces", "has_first_datastores")
