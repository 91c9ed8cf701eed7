from sqlalchemy import Engine, text

from migrations.run import check, migrate


def test_declared_tables_equal_the_migrated_tables(engine: Engine):
    check(engine)


def test_migrating_twice_changes_nothing(engine: Engine):
    migrate(engine)
    with engine.connect() as connection:
        assert connection.scalar(text("SELECT count(*) FROM workspaces")) == 1
        assert connection.scalar(text("SELECT count(*) FROM routing")) == 1
