"""The database at a start: reached, made where it is missing, brought to this version's schema; the admin token."""

import time

from alembic.util.exc import CommandError
from psycopg import errors as postgres_errors
from sqlalchemy import Engine, create_engine, delete, select, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError, OperationalError, ProgrammingError
from sqlalchemy.orm import Session

from migrations.run import is_current, lock_migrations, migrate
from modelyard.core.adapters.secret_box import digest_token, token_matches
from modelyard.core.db.rows import AdminTokenRow
from modelyard.supervisor.environment_settings import place_of
from modelyard.supervisor.options import StartRefused
from modelyard.supervisor.patience import NotYet

_PATIENCE_SECONDS = 20.0
_ANSWER_SECONDS = 3
_REFUSALS = ("password authentication failed", "no pg_hba.conf entry", "authentication failed", "no password supplied")


def wait_for(url: str) -> None:
    """Return once the database takes connections; make it when the server is there without it."""
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while True:
        try:
            reach_or_make(url)
            return
        except NotYet:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)


def reach_or_make(url: str) -> None:
    """Raises NotYet while nobody answers, and StartRefused when the answer is no."""
    try:
        _connect(url)
    except OperationalError as error:
        if not _is_missing(error):
            raise _understood(url, error) from None
        _make(url)


def reach(url: str) -> None:
    """The same, for those who wait until the control plane has made the database."""
    try:
        _connect(url)
    except OperationalError as error:
        raise _understood(url, error) from None


def bring_up_to_date(engine: Engine, url: str) -> None:
    try:
        migrate(engine)
    except CommandError:
        raise StartRefused(
            f"the schema of the database at {place_of(url)} is that of another, newer version of modelyard: "
            "start that version, or restore the database from before it"
        ) from None
    except DBAPIError as error:
        raise StartRefused(
            f"the schema of the database at {place_of(url)} cannot be brought up to date: {_first_line(error)}"
        ) from None


def wait_for_schema(engine: Engine) -> None:
    """Raises NotYet until the schema is this version's; making it so is the control plane's."""
    try:
        current = is_current(engine)
    except OperationalError as error:
        raise NotYet(_first_line(error)) from None
    if not current:
        raise NotYet("it is not this version's: start the control plane of this version, or run modelyard migrate")


def store_admin_token(engine: Engine, token: str, *, replace: bool = True) -> None:
    """Make `token` the one that opens the control plane; only its digest is kept.

    Without `replace` another one that is there is left alone, and the start refused: it belongs to somebody.
    """
    with Session(engine) as session, session.begin():
        lock_migrations(session.connection())
        known = session.scalars(select(AdminTokenRow)).all()
        if any(token_matches(token, row.digest) for row in known) and len(known) == 1:
            return
        if known and not replace:
            raise StartRefused(
                "the database has an admin token that this data dir does not know: give it in MODELYARD_ADMIN_TOKEN "
                "(another one given there takes its place)"
            )
        session.execute(delete(AdminTokenRow))
        session.add(AdminTokenRow(digest=digest_token(token)))


def _connect(url: str) -> None:
    engine = create_engine(url, connect_args={"connect_timeout": _ANSWER_SECONDS})
    try:
        with engine.connect() as connection:
            connection.execute(text("SELECT 1"))
    finally:
        engine.dispose()


def _make(url: str) -> None:
    wanted = make_url(url)
    server = create_engine(wanted.set(database="postgres"), isolation_level="AUTOCOMMIT")
    try:
        with server.connect() as connection:
            name = connection.dialect.identifier_preparer.quote(wanted.database or "")
            connection.execute(text(f"CREATE DATABASE {name}"))
    except (OperationalError, ProgrammingError) as error:
        if isinstance(error.orig, postgres_errors.DuplicateDatabase):
            raise NotYet("somebody else is making it") from None
        raise StartRefused(
            f"the server at {place_of(url)} has no database {wanted.database!r}, and it cannot be made "
            f"({_first_line(error)}): make it, or correct MODELYARD_DATABASE_URL"
        ) from None
    except DBAPIError as error:
        raise NotYet(_first_line(error)) from None
    finally:
        server.dispose()


def _understood(url: str, error: OperationalError) -> Exception:
    reason = _first_line(error)
    if any(refusal in reason for refusal in _REFUSALS) or ("role" in reason and "does not exist" in reason):
        return StartRefused(
            f"the database at {place_of(url)} refuses us ({reason}): correct user and password in "
            "MODELYARD_DATABASE_URL"
        )
    return NotYet(reason)


def _is_missing(error: OperationalError) -> bool:
    return isinstance(error.orig, postgres_errors.InvalidCatalogName) or (
        'database "' in str(error.orig) and "does not exist" in str(error.orig)
    )


def _first_line(error: DBAPIError) -> str:
    """The server's own words, without which server and port it was, which our sentence says already."""
    lines = [line.strip() for line in str(error.orig).splitlines() if line.strip()]
    return lines[0].rpartition("failed: ")[2].removeprefix("FATAL:").strip() if lines else "no reason given"
