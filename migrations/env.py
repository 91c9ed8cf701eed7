"""Alembic's connection to the database: from `migrations.run`, or from a URL for alembic's tools."""

import os

from alembic import context
from sqlalchemy import Connection, create_engine

from modelyard.core.db.rows import Base


def _migrate(connection: Connection) -> None:
    context.configure(connection=connection, target_metadata=Base.metadata, compare_type=True)
    with context.begin_transaction():
        context.run_migrations()


def _with_own_connection() -> None:
    engine = create_engine(os.environ["MODELYARD_DATABASE_URL"])
    with engine.begin() as connection:
        _migrate(connection)
    engine.dispose()


connection = context.config.attributes.get("connection")
if connection is None:
    _with_own_connection()
else:
    _migrate(connection)
