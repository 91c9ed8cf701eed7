"""Run once at each start, before anything else uses the database: schema, first rows, admin token.

    python -m modelyard.supervisor.prepare_database

A process of its own, so that the supervisor stays small. Reads MODELYARD_DATABASE_URL and MODELYARD_ADMIN_TOKEN.
"""

import os
import sys
import time

from sqlalchemy import Engine, create_engine, delete, select, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from migrations.run import migrate
from modelyard.core.adapters.secret_box import digest_token, token_matches
from modelyard.core.db.rows import AdminTokenRow
from modelyard.core.db.unit_of_work import open_database

_PATIENCE_SECONDS = 20.0
_MISSING_DATABASE = "3D000"


def main() -> int:
    url = os.environ["MODELYARD_DATABASE_URL"]
    try:
        wait_for(url)
    except OperationalError as error:
        print(f"the database does not answer: {_reason(error)}", file=sys.stderr)
        return 1
    engine = open_database(url)
    migrate(engine)
    store_admin_token(engine, os.environ["MODELYARD_ADMIN_TOKEN"])
    return 0


def wait_for(url: str) -> None:
    """Return once the database takes connections; make it when the server is there without it."""
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while True:
        try:
            _connect(url)
            return
        except OperationalError as error:
            if getattr(error.orig, "sqlstate", None) == _MISSING_DATABASE or "does not exist" in str(error.orig):
                _create(url)
            elif time.monotonic() > deadline:
                raise
            else:
                time.sleep(0.05)


def _connect(url: str) -> None:
    engine = create_engine(url, connect_args={"connect_timeout": 3})
    try:
        with engine.connect() as connection:
            connection.execute(text("SELECT 1"))
    finally:
        engine.dispose()


def _create(url: str) -> None:
    wanted = make_url(url)
    server = create_engine(wanted.set(database="postgres"), isolation_level="AUTOCOMMIT")
    with server.connect() as connection:
        name = connection.dialect.identifier_preparer.quote(wanted.database or "")
        connection.execute(text(f"CREATE DATABASE {name}"))
    server.dispose()


def store_admin_token(engine: Engine, token: str) -> None:
    """Make `token` the one that opens the control plane; only its digest is kept."""
    with Session(engine) as session, session.begin():
        known = session.scalars(select(AdminTokenRow)).all()
        if any(token_matches(token, row.digest) for row in known) and len(known) == 1:
            return
        session.execute(delete(AdminTokenRow))
        session.add(AdminTokenRow(digest=digest_token(token)))


def _reason(error: OperationalError) -> str:
    lines = [line.strip() for line in str(error.orig).splitlines() if line.strip()]
    return lines[0] if lines else "no reason given"


if __name__ == "__main__":
    sys.exit(main())
