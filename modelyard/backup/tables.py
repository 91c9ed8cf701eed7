"""Tables as COPY data: every table of the schema, from one snapshot, and back into a schema of the same revision.

Postgres is asked for its tables, columns, foreign keys and sequences, so that a new table is part of the next backup.
COPY needs neither pg_dump of the server's version nor a superuser, and COPY data runs no SQL when it is restored.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from graphlib import TopologicalSorter
from typing import Any

from psycopg import Connection, Cursor, sql
from psycopg.errors import Error as PostgresError
from psycopg.rows import TupleRow

from modelyard.backup.archive import ArchiveEntry, EntryKind
from modelyard.backup.options import RestoreRefused
from modelyard.core.domain.lifecycle import ENDED_JOBS, JobState

# Text of timestamps and bytes depends on these.
_SESSION = (
    "SET LOCAL timezone = 'UTC'",
    "SET LOCAL datestyle = 'ISO, YMD'",
    "SET LOCAL bytea_output = 'hex'",
    "SET LOCAL statement_timeout = 0",
    "SET LOCAL idle_in_transaction_session_timeout = 0",
)
_SCHEMA_VERSION = "alembic_version"

_TABLES = """
    SELECT c.relname FROM pg_class c
    WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind = 'r' ORDER BY c.relname
"""
_COLUMNS = """
    SELECT c.relname, a.attname, pg_get_serial_sequence(quote_ident(c.relname), a.attname)
    FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
    WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind = 'r'
        AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = ''
    ORDER BY c.relname, a.attnum
"""
_PARENTS = """
    SELECT child.relname, parent.relname
    FROM pg_constraint k JOIN pg_class child ON child.oid = k.conrelid JOIN pg_class parent ON parent.oid = k.confrelid
    WHERE k.contype = 'f' AND child.relnamespace = current_schema()::regnamespace
"""


@dataclass(frozen=True, slots=True)
class _Selection:
    """Rows and values that differ from the table's, in a backup."""

    where: str = "true"
    values: Mapping[str, str] = field(default_factory=dict)
    """SQL by column."""


_ENDED = ", ".join(f"'{state}'" for state in ENDED_JOBS)
_IS_STARTED = f"state IN ('{JobState.PREPARING}', '{JobState.RUNNING}', '{JobState.FINALIZING}')"
_UNPLANNED = f"CASE WHEN state IN ({_ENDED}) THEN {{}} END"

_SELECTIONS: Mapping[str, _Selection] = {
    # The objects of work under way come and go during a backup. After a restore an upload is sent again, and an
    # unfinished job is planned and scored again from its input.
    "uploads": _Selection("false"),
    "upload_chunks": _Selection("false"),
    "blob_blocks": _Selection("false"),
    "jobs": _Selection(
        values={
            "state": f"CASE WHEN {_IS_STARTED} THEN '{JobState.QUEUED}' ELSE state END",
            **{name: _UNPLANNED.format(name) for name in ("files", "mini_batches", "rows", "error")},
        }
    ),
    "mini_batches": _Selection(f"job_id IN (SELECT id FROM jobs WHERE state IN ({_ENDED}))"),
    # Processes of the machine.
    "workers": _Selection("false"),
    # A starting host reads all endpoints.
    "wanted_changes": _Selection("false"),
    "named_leases": _Selection(values={"lease_token": "NULL::uuid", "lease_until": "NULL::timestamptz"}),
}


class Tables:
    """The tables of a connection's schema, in the connection's present transaction."""

    def __init__(self, connection: Connection[TupleRow]) -> None:
        self._cursor: Cursor[TupleRow] = connection.cursor()
        for setting in _SESSION:
            self._cursor.execute(sql.SQL(setting))
        self._columns: dict[str, dict[str, str | None]] = {name: {} for (name,) in self._rows(_TABLES)}
        """By table, the columns with their sequence, if any."""
        for table, column, sequence in self._rows(_COLUMNS):
            self._columns[table][column] = sequence

    @property
    def is_empty(self) -> bool:
        return not self._columns

    def dump(self) -> Iterator[tuple[dict[str, Any], Iterator[bytes]]]:
        """Yield a header and the rows of each table, parents of foreign keys first."""
        for table in self._in_order():
            columns = self._columns[table]
            sequences = {column: self._last_value(name) for column, name in columns.items() if name is not None}
            header = {"kind": EntryKind.TABLE, "name": table, "columns": list(columns), "sequences": sequences}
            yield header, self._copy_out(table)

    def clear(self) -> None:
        """Remove the rows that the migrations made."""
        tables = sql.SQL(", ").join(map(sql.Identifier, self._in_order()))
        self._cursor.execute(sql.SQL("TRUNCATE {}").format(tables))

    def load(self, entry: ArchiveEntry) -> None:
        """Add the rows of an entry. Raises RestoreRefused for rows that do not fit the schema."""
        columns = entry.header.get("columns")
        known = self._columns.get(entry.name, {})
        if entry.name == _SCHEMA_VERSION or not isinstance(columns, list) or columns != list(dict.fromkeys(columns)):
            raise RestoreRefused(f"the backup is damaged: table {entry.name!r} has no list of columns")
        if not set(map(str, columns)) <= known.keys():
            raise RestoreRefused(f"the backup has columns of table {entry.name!r} that its schema does not have")
        statement = sql.SQL("COPY {} ({}) FROM STDIN").format(
            sql.Identifier(entry.name), sql.SQL(", ").join(map(sql.Identifier, columns))
        )
        try:
            with self._cursor.copy(statement) as copy:
                for chunk in entry.chunks():
                    copy.write(chunk)
            self._set_sequences(known, entry.header.get("sequences"))
        except PostgresError as error:
            reason = str(error).splitlines()[0]
            raise RestoreRefused(f"the rows of table {entry.name!r} cannot be restored: {reason}") from None

    def _in_order(self) -> Iterator[str]:
        parents: dict[str, set[str]] = {table: set() for table in self._columns if table != _SCHEMA_VERSION}
        for child, parent in self._rows(_PARENTS):
            if child != parent:
                parents[child].add(parent)
        yield from TopologicalSorter(parents).static_order()

    def _copy_out(self, table: str) -> Iterator[bytes]:
        selection = _SELECTIONS.get(table, _Selection())
        columns = sql.SQL(", ").join(
            sql.SQL(selection.values[column]) if column in selection.values else sql.Identifier(column)
            for column in self._columns[table]
        )
        rows = sql.SQL("COPY (SELECT {} FROM {} WHERE {}) TO STDOUT").format(
            columns,
            sql.Identifier(table),
            sql.SQL(selection.where),
        )
        with self._cursor.copy(rows) as copy:
            for chunk in copy:
                yield bytes(chunk)

    def _last_value(self, sequence: str) -> int | None:
        """Return the last value of a sequence. None: the sequence has given no value yet."""
        last, is_called = self._cursor.execute(
            sql.SQL("SELECT last_value, is_called FROM {}").format(_qualified(sequence))
        ).fetchone() or (None, False)
        return last if is_called else None

    def _set_sequences(self, known: Mapping[str, str | None], last_values: object) -> None:
        for column, last in dict(last_values if isinstance(last_values, Mapping) else {}).items():
            sequence = known.get(column)
            if sequence is not None and last is not None:
                self._cursor.execute("SELECT setval(%s::regclass, %s)", (sequence, int(last)))

    def _rows(self, query: str) -> list[TupleRow]:
        return self._cursor.execute(query).fetchall()


def _qualified(name: str) -> sql.Identifier:
    """An identifier from the text of pg_get_serial_sequence; the names of our sequences need no quotes."""
    return sql.Identifier(*name.split("."))
