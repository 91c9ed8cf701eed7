"""The database at a start: connected to, created if missing, its schema upgraded, the admin token stored."""

import hmac

from alembic.util.exc import CommandError
from psycopg import errors as postgres_errors
from sqlalchemy import Engine, delete, select, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError, OperationalError, ProgrammingError
from sqlalchemy.orm import Session

from migrations.run import is_current, lock_migrations, migrate
from modelyard.core.adapters.secret_box import digest_token, token_matches
from modelyard.core.db.engine import create_engine
from modelyard.core.db.rows import AdminTokenRow
from modelyard.core.domain.access_tokens import is_long_as_a_made_token, token_digest
from modelyard.supervisor.environment_settings import server_address
from modelyard.supervisor.options import StartRefused
from modelyard.supervisor.start_deadline import NotReady

_ANSWER_SECONDS = 3.0
_SCRAM_REFUSED = "authentication method requirement"
_REJECTIONS = ("authentication failed", "no pg_hba.conf entry", "no password supplied")


def connect_or_create(url: str) -> None:
    """Connect, and create a missing database.

    Raises NotReady while the server does not answer, and StartRefused for a rejected connection.
    """
    try:
        _connect(url)
    except OperationalError as error:
        if not _is_missing(error):
            raise _explained(url, error) from None
        _create(url)


def connect(url: str) -> None:
    """Raises as `connect_or_create` does; a missing database is NotReady: the control plane creates it."""
    try:
        _connect(url)
    except OperationalError as error:
        raise _explained(url, error) from None


def upgrade_schema(engine: Engine, url: str) -> None:
    try:
        migrate(engine)
    except CommandError:
        raise StartRefused(
            f"the schema of the database at {server_address(url)} belongs to a newer version of modelyard: "
            "start that version, or restore a backup from before the upgrade"
        ) from None
    except DBAPIError as error:
        raise StartRefused(
            f"the schema of the database at {server_address(url)} cannot be upgraded: {_first_line(error)}"
        ) from None


def check_schema(engine: Engine) -> None:
    """Raises NotReady until the control plane has upgraded the schema to this version."""
    try:
        current = is_current(engine)
    except OperationalError as error:
        raise NotReady(_first_line(error)) from None
    if not current:
        raise NotReady(
            "the schema has another version: start the control plane of this version, or run modelyard migrate"
        )


def store_admin_token(engine: Engine, token: str, *, replace: bool) -> None:
    """Make `token` the token that opens the control plane; the database keeps a digest.

    Without `replace`, another token in the database stays: a different data dir uses it. Raises StartRefused then.
    """
    with Session(engine) as session, session.begin():
        lock_migrations(session.connection())
        known = session.scalars(select(AdminTokenRow)).all()
        sha256 = token_digest(token) if is_long_as_a_made_token(token) else None
        if len(known) == 1 and _is_token_of(known[0], token):
            known[0].sha256 = sha256
            return
        if known and not replace:
            raise StartRefused(
                "the database has an admin token that this data dir does not know: set MODELYARD_ADMIN_TOKEN to that "
                "token (a new token there replaces it)"
            )
        session.execute(delete(AdminTokenRow))
        session.add(AdminTokenRow(digest=digest_token(token), sha256=sha256))


def _is_token_of(row: AdminTokenRow, token: str) -> bool:
    if row.sha256 is not None:
        return hmac.compare_digest(row.sha256, token_digest(token))
    return token_matches(token, row.digest)


def _connect(url: str) -> None:
    engine = create_engine(url, statement_seconds=_ANSWER_SECONDS)
    try:
        with engine.connect() as connection:
            connection.execute(text("SELECT 1"))
    finally:
        engine.dispose()


def _create(url: str) -> None:
    database_url = make_url(url)
    server = create_engine(
        database_url.set(database="postgres").render_as_string(hide_password=False), isolation_level="AUTOCOMMIT"
    )
    try:
        with server.connect() as connection:
            name = connection.dialect.identifier_preparer.quote(database_url.database or "")
            connection.execute(text(f"CREATE DATABASE {name}"))
    except (OperationalError, ProgrammingError) as error:
        if isinstance(error.orig, postgres_errors.DuplicateDatabase):
            raise NotReady("another process creates the database") from None
        raise StartRefused(
            f"the server at {server_address(url)} has no database {database_url.database!r}, and the database cannot "
            f"be created ({_first_line(error)}): create it, or correct MODELYARD_DATABASE_URL"
        ) from None
    except DBAPIError as error:
        raise NotReady(_first_line(error)) from None
    finally:
        server.dispose()


def _explained(url: str, error: OperationalError) -> Exception:
    reason = _first_line(error)
    if _SCRAM_REFUSED in reason:
        return StartRefused(
            f"the database at {server_address(url)} does not prove by SCRAM that it knows the password ({reason}): "
            "set up SCRAM there, or allow its method with ?require_auth=… in MODELYARD_DATABASE_URL"
        )
    if any(rejection in reason for rejection in _REJECTIONS) or ("role" in reason and "does not exist" in reason):
        return StartRefused(
            f"the database at {server_address(url)} rejected the connection ({reason}): correct user and password in "
            "MODELYARD_DATABASE_URL"
        )
    return NotReady(reason)


def _is_missing(error: OperationalError) -> bool:
    return isinstance(error.orig, postgres_errors.InvalidCatalogName) or (
        'database "' in str(error.orig) and "does not exist" in str(error.orig)
    )


def _first_line(error: DBAPIError) -> str:
    """Return the server's first line without the address, which the surrounding message has."""
    lines = [line.strip() for line in str(error.orig).splitlines() if line.strip()]
    return lines[0].rpartition("failed: ")[2].removeprefix("FATAL:").strip() if lines else "no reason given"
