from sqlalchemy import Engine, text

from migrations.run import check, migrate


def test_the_tables_that_the_program_declares_are_those_that_the_migrations_make(engine: Engine):
    check(engine)


def test_migrating_twice_changes_nothing(engine: Engine):
    migrate(engine)
    with engine.connect() as connection:
        assert connection.scalar(text("SELECT count(*) FROM workspaces")) == 1
        assert connection.scalar(text("SELECT count(*) FROM routing")) == 1
