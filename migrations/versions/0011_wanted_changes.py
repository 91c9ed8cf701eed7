"""changes of the wanted state for the host, users of builds, and indexes for many deployments"""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

# A transaction's equal notifications are sent once. The host also reads the table, so that a lost notification costs
# a second.
_NOTIFY = "PERFORM pg_notify('wanted_changes', ''); RETURN NULL;"
_FUNCTIONS = f"""
CREATE FUNCTION note_endpoint_change() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    INSERT INTO wanted_changes (endpoint_id) VALUES (COALESCE(NEW.id, OLD.id));
    {_NOTIFY}
END $$;
CREATE FUNCTION note_deployment_change() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    INSERT INTO wanted_changes (endpoint_id) VALUES (COALESCE(NEW.endpoint_id, OLD.endpoint_id));
    {_NOTIFY}
END $$;
CREATE FUNCTION note_generation_change() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    INSERT INTO wanted_changes (endpoint_id)
    SELECT endpoint_id FROM online_deployments WHERE id = COALESCE(NEW.deployment_id, OLD.deployment_id);
    {_NOTIFY}
END $$;
CREATE FUNCTION note_token_change() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    INSERT INTO wanted_changes (endpoint_id) VALUES (NULL);
    {_NOTIFY}
END $$;
CREATE FUNCTION note_routing_change() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    {_NOTIFY}
END $$
"""
_HOSTED = "state IN ('Built', 'Serving')"
_TRIGGERS = f"""
CREATE TRIGGER wanted_change AFTER INSERT OR UPDATE OR DELETE ON online_endpoints
    FOR EACH ROW EXECUTE FUNCTION note_endpoint_change();
CREATE TRIGGER wanted_change AFTER INSERT OR UPDATE OR DELETE ON online_deployments
    FOR EACH ROW EXECUTE FUNCTION note_deployment_change();
CREATE TRIGGER wanted_change_new AFTER INSERT ON deployment_generations
    FOR EACH ROW WHEN (NEW.{_HOSTED}) EXECUTE FUNCTION note_generation_change();
CREATE TRIGGER wanted_change AFTER UPDATE ON deployment_generations
    FOR EACH ROW WHEN (NEW.{_HOSTED} OR OLD.{_HOSTED}) EXECUTE FUNCTION note_generation_change();
CREATE TRIGGER wanted_change_gone AFTER DELETE ON deployment_generations
    FOR EACH ROW WHEN (OLD.{_HOSTED}) EXECUTE FUNCTION note_generation_change();
CREATE TRIGGER wanted_change AFTER INSERT OR DELETE OR UPDATE OF revoked_at, expires_at, digest ON access_tokens
    FOR EACH STATEMENT EXECUTE FUNCTION note_token_change();
CREATE TRIGGER wanted_change AFTER INSERT OR DELETE OR UPDATE ON role_assignments
    FOR EACH STATEMENT EXECUTE FUNCTION note_token_change();
CREATE TRIGGER wanted_change AFTER UPDATE ON routing
    FOR EACH STATEMENT EXECUTE FUNCTION note_routing_change()
"""
_NAMES = ("endpoint", "deployment", "generation", "token", "routing")


def upgrade() -> None:
    op.create_table(
        "wanted_changes",
        sa.Column("id", sa.BigInteger(), nullable=False),
        sa.Column("endpoint_id", sa.Integer(), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_wanted_changes"),
    )
    op.execute(_FUNCTIONS)
    op.execute(_TRIGGERS)
    for table in ("online_endpoints", "online_deployments"):
        waits = sa.text("awaits_revision IS NOT NULL")
        op.create_index(f"ix_{table}_awaits_revision", table, ["awaits_revision"], postgresql_where=waits)
    generations = "deployment_generations"
    op.add_column(generations, sa.Column("created_by", sa.Text(), server_default="admin", nullable=False))
    op.add_column(generations, sa.Column("created_by_kind", sa.Text(), server_default="user", nullable=False))
    op.add_column(generations, sa.Column("build_started_at", sa.DateTime(timezone=True), nullable=True))
    user = ["created_by", "created_by_kind", "build_started_at"]
    op.create_index("ix_deployment_generations_user", generations, user)


def downgrade() -> None:
    op.drop_index("ix_deployment_generations_user", "deployment_generations")
    for column in ("build_started_at", "created_by_kind", "created_by"):
        op.drop_column("deployment_generations", column)
    for table in ("online_endpoints", "online_deployments"):
        op.drop_index(f"ix_{table}_awaits_revision", table)
    for name in _NAMES:
        op.execute(f"DROP FUNCTION note_{name}_change() CASCADE")
    op.drop_table("wanted_changes")
