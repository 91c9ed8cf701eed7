"""The database that serves one test after another."""

import pytest
from sqlalchemy import Engine, func, insert, select, text, update

from modelyard.core.db.rows import AdminTokenRow, Base, NamedLeaseRow, WorkspaceRow
from modelyard.core.db.unit_of_work import open_database
from tests.conftest import own_database
from tests.recycled_database import RecycledDatabase


@pytest.fixture
def recycled(postgres):
    with own_database(postgres) as url:
        database = RecycledDatabase(url)
        yield database
        database.close()


def content(engine: Engine) -> dict[str, list[tuple]]:
    """The rows of each table and the state of each sequence, without the times of the migration."""
    with engine.connect() as connection:
        tables = {
            table.name: sorted(
                map(repr, connection.execute(select(*(c for c in table.columns if not c.name.endswith("_at")))))
            )
            for table in Base.metadata.sorted_tables
        }
        sequences = connection.execute(text("SELECT sequencename, last_value FROM pg_sequences ORDER BY 1")).all()
    return {**tables, "sequences": list(sequences)}


def test_reset_restores_the_rows_and_sequences_of_a_new_database(recycled: RecycledDatabase, own_engine: Engine):
    with recycled.engine.begin() as connection:
        connection.execute(update(WorkspaceRow).values(name="renamed"))
        connection.execute(insert(AdminTokenRow).values(digest="x"))
        connection.execute(NamedLeaseRow.__table__.delete())
    assert content(recycled.engine) != content(own_engine)
    recycled.reset()
    assert content(recycled.engine) == content(own_engine)


def test_reset_ends_a_transaction_that_locks_a_table(recycled: RecycledDatabase):
    other = open_database(recycled.engine.url.render_as_string(hide_password=False))
    with other.connect() as forgotten:
        forgotten.execute(text("LOCK TABLE admin_tokens IN ACCESS EXCLUSIVE MODE"))
        recycled.reset()
        with recycled.engine.connect() as connection:
            assert connection.scalar(select(func.count()).select_from(AdminTokenRow)) == 0
        forgotten.invalidate()
    other.dispose()


def test_test_that_keeps_a_connection_fails(recycled: RecycledDatabase, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("tests.recycled_database._CONNECTION_SECONDS", 0.0)
    with recycled.engine.connect() as kept:
        with pytest.raises(AssertionError, match="did not return 1"):
            recycled.check_returned()
        kept.invalidate()
    recycled.check_returned()
