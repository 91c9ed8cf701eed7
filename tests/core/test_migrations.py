from collections.abc import Callable

import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import Engine, text

from migrations.run import _config, check, migrate
from modelyard.core.db.audit import record_for_platform
from modelyard.core.db.audit_verification import verify_chain
from modelyard.core.db.unit_of_work import sessions_of, transaction
from modelyard.core.domain.audit import AuditAction
from modelyard.core.domain.caller import SYSTEM_HOST


def test_declared_tables_equal_the_migrated_tables(own_engine: Engine):
    check(own_engine)


def test_migrating_twice_changes_nothing(own_engine: Engine):
    migrate(own_engine)
    with own_engine.connect() as connection:
        assert connection.scalar(text("SELECT count(*) FROM workspaces")) == 1
        assert connection.scalar(text("SELECT count(*) FROM routing")) == 1


OLD_ROWS = """
    INSERT INTO workspaces (subscription, resource_group, name, location) VALUES ('s', 'g', 'two', 'local');
    INSERT INTO jobs (
        workspace_id, name, endpoint, deployment, bundle_hash, lock_hash, settings, input_kind, input_uri, output_key,
        tags, properties, state, is_archived
    ) VALUES (1, 'j', 'e', 'd', '', '', '{}', '', '', 'k', '{}', '{}', 'Completed', false);
    INSERT INTO audit_events (workspace_id, caller, caller_kind, action, resource_id, changes)
    SELECT 1, 'ada', 'user', 'update', '/x', '{"a": {"to": 0.5, "from": null}}' FROM generate_series(1, 4);
    DELETE FROM audit_events WHERE id = 3
"""


class TestWorkspacesBecomeBoundaries:
    """Migration 0006, with rows of the version before."""

    @pytest.fixture
    def before(self, own_engine: Engine) -> Engine:
        """A database at 0005 with two workspaces, a job and three events with a gap."""
        revise(own_engine, command.downgrade, "0005")
        with own_engine.begin() as connection:
            for statement in OLD_ROWS.split(";"):
                connection.execute(text(statement))
        revise(own_engine, command.upgrade, "head")
        return own_engine

    def test_first_workspace_keeps_the_data_stores_and_old_jobs_their_logs(self, before):
        with before.connect() as connection:
            folders = connection.execute(text("SELECT name, has_first_datastores FROM workspaces ORDER BY id")).all()
            logs = connection.scalar(text("SELECT logs_prefix FROM jobs"))
        assert folders == [("default", True), ("two", False)]
        assert logs == "datastores/workspaceblobstore/azureml/j-run/logs/"

    def test_old_events_are_chained_and_a_later_change_of_one_is_found(self, before):
        sessions = sessions_of(before)
        with transaction(sessions) as work:
            record_for_platform(work.session, SYSTEM_HOST, AuditAction.EXPIRE, {})
        with transaction(sessions) as work:
            report = verify_chain(work.session, None)
        assert (report.events, report.head.event, report.faults) == (4, 5, ())
        with transaction(sessions) as work:
            work.session.execute(text("UPDATE audit_events SET caller = 'eve' WHERE id = 2"))
        with transaction(sessions) as work:
            assert "event 2 was changed" in verify_chain(work.session, None).faults[0]


def revise(engine: Engine, move: Callable[[Config, str], None], revision: str) -> None:
    with engine.begin() as connection:
        move(_config(connection), revision)
