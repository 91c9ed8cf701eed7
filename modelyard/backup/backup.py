"""`modelyard backup`: one consistent archive of a platform that keeps running.

Rows come first, from one snapshot; the objects that these rows refer to exist then and are never removed. Objects that
appear later are surplus, and objects of work under way are left out with their rows.
"""

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import IO

from psycopg import Connection
from psycopg import Error as PostgresError
from psycopg.rows import TupleRow
from sqlalchemy.exc import OperationalError

from migrations.run import current_revision
from modelyard import __version__
from modelyard.backup.archive import ArchiveWriter, EntryKind, Manifest, compressed
from modelyard.backup.contents import prefixes
from modelyard.backup.options import BackupFailed, BackupOptions
from modelyard.backup.place import ArchivePlace
from modelyard.backup.references import ReferenceCheck, write_references
from modelyard.backup.sealed_secrets import seal
from modelyard.backup.tables import Tables
from modelyard.core.adapters.object_stores import open_store
from modelyard.core.data_dir import DataDir
from modelyard.core.db.engine import create_engine
from modelyard.core.ports.object_store import ObjectMissing, ObjectStore, StoreUnavailable
from modelyard.supervisor.environment_settings import EnvironmentSettings, read_environment, server_address
from modelyard.supervisor.options import Announce
from modelyard.supervisor.postgres import EmbeddedPostgres
from modelyard.supervisor.roles import ALL_ROLES

_ATTEMPTS = 3
_SERVER_PASSWORDS = frozenset({"postgres.password", "valkey.password"})
"""Each data dir generates its own."""


def backup(options: BackupOptions, environment: Mapping[str, str], announce: Announce) -> int:
    """Write the archive. Returns the exit code: 0, or 1 if the store has lost objects that rows refer to.

    Raises a PlatformError where there is no archive.
    """
    settings = read_environment(environment, ALL_ROLES)
    data = DataDir(options.data_dir.expanduser().resolve())
    limits = settings.tunables.object_store
    place = ArchivePlace(options.place, environment, limits)
    store = open_store(settings.storage_url or data.objects.as_uri(), environment, settings=limits)
    secrets = _secrets(data, settings) if options.passphrase is not None else {}
    run = _Backup(options, store, secrets)
    try:
        with _snapshot(_database_url(data, settings)) as (connection, revision):
            chunks = run.archive(connection, revision)
            size = place.write(compressed(chunks) if place.is_compressed else chunks)
    except OSError as error:
        raise BackupFailed(_file_error(error)) from None
    tally = run.writer.tally
    announce(f"backup    {place.name}, {_megabytes(size)}")
    announce(f"content   {tally.tables} tables, {tally.objects} objects, {_megabytes(tally.size)}")
    announce(f"secrets   {'encrypted with the passphrase' if secrets else 'left out'}")
    for key in run.check.named if run.check else ():
        announce(f"missing   {key}")
    if run.missing:
        announce(
            f"error: the object store has lost {run.missing} objects that models, data assets or deployments refer to; "
            "the backup has everything else"
        )
        return 1
    return 0


@dataclass(slots=True)
class _Backup:
    options: BackupOptions
    store: ObjectStore
    secrets: Mapping[str, str]
    writer: ArchiveWriter = field(default_factory=ArchiveWriter)
    check: ReferenceCheck | None = None

    @property
    def missing(self) -> int:
        return self.check.missing if self.check else 0

    def archive(self, connection: Connection[TupleRow], revision: str) -> Iterator[bytes]:
        """Yield the archive. Ends the connection's transaction after the tables."""
        created_at = datetime.now(UTC).isoformat(timespec="seconds")
        yield from self.writer.beginning()
        with tempfile.TemporaryFile("w+", encoding="utf-8") as references:
            for header, rows in Tables(connection).dump():
                yield from self.writer.entry(header, rows)
            write_references(connection, references)
            connection.rollback()
            yield from self._objects(references)
        yield from self.writer.ending(self._manifest(created_at, revision))

    def _objects(self, references: IO[str]) -> Iterator[bytes]:
        self.check = ReferenceCheck(references)
        for prefix in prefixes(with_logs=self.options.with_logs, with_wheels=self.options.with_wheels):
            for key in self.store.list(prefix):
                try:
                    yield from self._object(key)
                except ObjectMissing:
                    # Removed since the listing.
                    continue
                self.check.stored(key)
        self.check.end()

    def _object(self, key: str) -> Iterator[bytes]:
        header = {"kind": EntryKind.OBJECT, "name": key}
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                yield from self.writer.entry(header, self.store.get(key))
                return
            except StoreUnavailable:
                # Also an object that is replaced during the read: the next read gets the new version.
                if attempt == _ATTEMPTS:
                    raise

    def _manifest(self, created_at: str, revision: str) -> Manifest:
        facts = self.writer.tally.facts()
        passphrase, digest = self.options.passphrase, facts["entries_sha256"]
        return Manifest(
            modelyard=__version__,
            created_at=created_at,
            schema=revision,
            with_logs=self.options.with_logs,
            with_wheels=self.options.with_wheels,
            missing_objects=self.missing,
            secrets=seal(self.secrets, passphrase, entries_sha256=digest) if passphrase is not None else None,
            **facts,
        )


def _secrets(data: DataDir, settings: EnvironmentSettings) -> dict[str, str]:
    """By file name, the secrets of the data dir. A master key or admin token of the environment takes the file's place.

    Raises BackupFailed without a master key: the passphrase would protect nothing.
    """
    found: dict[str, str] = {}
    try:
        if data.secrets.is_dir():
            files = (each for each in sorted(data.secrets.iterdir()) if each.is_file() and each.name[0] != ".")
            found = {file.name: file.read_text().strip() for file in files if file.name not in _SERVER_PASSWORDS}
    except OSError as error:
        raise BackupFailed(f"{_file_error(error)}: run the command as the platform's account") from None
    preset = {data.master_key.name: settings.master_key, data.admin_token.name: settings.admin_token}
    found |= {name: secret for name, secret in preset.items() if secret is not None}
    if data.master_key.name not in found:
        raise BackupFailed(
            f"{data.root} has no master key, and MODELYARD_MASTER_KEY is not set: name the platform's --data-dir, or "
            "set the variable as for modelyard up"
        )
    return found


def _database_url(data: DataDir, settings: EnvironmentSettings) -> str:
    if settings.database_url is not None:
        return settings.database_url
    postgres = EmbeddedPostgres(data)
    if not postgres.cluster.is_dir():
        raise BackupFailed(
            f"{data.root} has no database, and MODELYARD_DATABASE_URL is not set: name the platform's --data-dir, or "
            "set the variables as for modelyard up"
        )
    return postgres.url()


@contextmanager
def _snapshot(url: str) -> Iterator[tuple[Connection[TupleRow], str]]:
    """Yield a connection in a read-only transaction with one snapshot, and the revision of the schema."""
    engine = create_engine(url)
    try:
        with engine.connect().execution_options(
            isolation_level="REPEATABLE READ", postgresql_readonly=True
        ) as connection:
            revision = current_revision(connection)
            if revision is None:
                raise BackupFailed(
                    f"the database at {server_address(url)} has no schema of Modelyard: start the platform"
                )
            driver_connection = connection.connection.driver_connection
            assert isinstance(driver_connection, Connection)
            yield driver_connection, revision
    except (OperationalError, PostgresError) as error:
        reason = str(error.orig if isinstance(error, OperationalError) else error).strip().partition("\n")[0]
        raise BackupFailed(
            f"the database at {server_address(url)} does not answer ({reason}): a backup needs the running platform"
        ) from None
    finally:
        engine.dispose()


def _file_error(error: OSError) -> str:
    return f"{error.filename or 'a temporary file'}: {error.strerror or error}"


def _megabytes(size: int) -> str:
    return f"{size / 1e6:,.1f} MB"
