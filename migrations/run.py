"""Migrate a database to the newest schema, or check the schema."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, text

# An arbitrary constant: concurrent migrations take turns.
_MIGRATION_LOCK = 7_267_401


def migrate(engine: Engine) -> None:
    """Apply the missing migrations in one transaction. Repeated and concurrent calls are harmless."""
    with engine.begin() as connection:
        lock_migrations(connection)
        command.upgrade(_config(connection), "head")


def migrate_to(connection: Connection, revision: str) -> None:
    """Apply the migrations up to `revision` in the caller's transaction. Raises CommandError if it is unknown."""
    lock_migrations(connection)
    command.upgrade(_config(connection), revision)


def current_revision(connection: Connection) -> str | None:
    """Return the revision of the schema. None: the database has no schema."""
    return MigrationContext.configure(connection).get_current_revision()


def lock_migrations(connection: Connection) -> None:
    """Exclude concurrent starts until the end of the transaction."""
    connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _MIGRATION_LOCK})


def is_current(engine: Engine) -> bool:
    """Whether the schema is this version's."""
    with engine.connect() as connection:
        newest = ScriptDirectory.from_config(_config(connection)).get_current_head()
        return current_revision(connection) == newest


def check(engine: Engine) -> None:
    """Raise when the declared tables differ from the migrated tables."""
    with engine.connect() as connection:
        command.check(_config(connection))


def _config(connection: Connection) -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent))
    config.attributes["connection"] = connection
    return config
