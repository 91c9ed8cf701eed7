"""`modelyard restore`: the whole of a backup into an empty data dir, or into the servers that the settings name.

The archive is read three times. The first pass checks every byte and applies nothing. The second writes the objects,
the third the tables, in one transaction. A marker file in the data dir tells of a restore that has not ended:
`modelyard up` refuses such a folder, and the next restore begins again.
"""

import json
import os
import re
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from alembic.util.exc import CommandError
from psycopg import Connection
from psycopg import Error as PostgresError
from sqlalchemy.exc import DBAPIError

from migrations.run import migrate_to
from modelyard.backup.archive import ArchiveEntry, ArchiveReader, EntryKind, EntryVoided, Manifest
from modelyard.backup.contents import RESTORABLE
from modelyard.backup.options import RestoreOptions, RestoreRefused
from modelyard.backup.place import ArchivePlace
from modelyard.backup.sealed_secrets import unseal
from modelyard.backup.tables import Tables
from modelyard.core.adapters.object_stores import open_store
from modelyard.core.data_dir import DataDir
from modelyard.core.db.engine import create_engine
from modelyard.core.ports.object_store import ObjectStore, check_key
from modelyard.process.atomic_files import replace_file
from modelyard.supervisor.children import Child
from modelyard.supervisor.data_dir_lock import check_passable, lock_data_dir
from modelyard.supervisor.environment_settings import EnvironmentSettings, read_environment, server_address
from modelyard.supervisor.generated_secrets import store_secret
from modelyard.supervisor.options import Announce
from modelyard.supervisor.postgres import EmbeddedPostgres
from modelyard.supervisor.prepare_database import connect_or_create
from modelyard.supervisor.roles import ALL_ROLES
from modelyard.supervisor.start_deadline import StartDeadline

_SECRET_NAME = re.compile(r"[a-z0-9][a-z0-9_-]*\.[a-z0-9._-]+")
_LONGEST_SECRET = 65536
_NO_DATA = frozenset({"lost+found"})
_STOP_SECONDS = 10.0


def restore(options: RestoreOptions, environment: Mapping[str, str], announce: Announce) -> int:
    """Restore a backup. Returns the exit code 0, or raises a PlatformError.

    Before the archive has been checked from end to end, nothing is written.
    """
    settings = read_environment(environment, ALL_ROLES)
    place = ArchivePlace(options.place, environment, settings.tunables.object_store)
    data = DataDir(options.data_dir.expanduser().resolve())
    check_passable(data.root, settings.tunables.worker.uid)
    _check_empty(data)
    announce(f"checking  {place.name}")
    manifest = _checked(place)
    secrets = _unsealed(manifest, options)
    target = _Target(data, settings, environment, announce)
    try:
        with target.claimed():
            announce(f"restoring {manifest.objects} objects, {manifest.size / 1e6:,.1f} MB")
            target.restore_objects(place, manifest)
            target.restore_secrets(secrets)
            announce(f"restoring {manifest.tables} tables")
            target.restore_tables(place, manifest)
    except OSError as error:
        raise RestoreRefused(f"{error.filename or data.root}: {error.strerror or error}") from None
    for note in _notes(manifest, secrets, settings):
        announce(f"note      {note}")
    announce(f"restored  the backup of {manifest.created_at}; start it: modelyard up --data-dir {data.root}")
    return 0


def _check_empty(data: DataDir) -> None:
    if not data.root.exists() or data.unfinished_restore.exists():
        return
    if any(entry.name not in _NO_DATA for entry in data.root.iterdir()):
        raise RestoreRefused(f"{data.root} is not empty: choose a new --data-dir, or move the folder away")


def _checked(place: ArchivePlace) -> Manifest:
    """Read the whole archive without applying anything."""
    reader = ArchiveReader(place.read())
    for entry in reader.entries():
        if entry.kind is EntryKind.OBJECT:
            _check_object_key(entry.name)
    return reader.manifest


def _check_object_key(key: str) -> None:
    try:
        check_key(key)
    except ValueError:
        raise RestoreRefused(f"the backup is damaged: {key!r} is not the key of an object") from None
    if not key.startswith(RESTORABLE):
        raise RestoreRefused(f"the backup is damaged: {key!r} is not the key of an object of the platform")


def _unsealed(manifest: Manifest, options: RestoreOptions) -> dict[str, str]:
    if options.passphrase is None:
        return {}
    if manifest.secrets is None:
        raise RestoreRefused("the backup has no secrets, so it needs no passphrase: pass --without-secrets")
    secrets = unseal(manifest.secrets, options.passphrase, entries_sha256=manifest.entries_sha256)
    for name, secret in secrets.items():
        if not _SECRET_NAME.fullmatch(name) or not isinstance(secret, str) or len(secret) > _LONGEST_SECRET:
            raise RestoreRefused(f"the backup is damaged: {name!r} is not a secret of the platform")
    return secrets


def _notes(manifest: Manifest, secrets: Mapping[str, str], settings: EnvironmentSettings) -> Iterator[str]:
    if not secrets and settings.master_key is None:
        yield (
            "without the master key of the backup, keys of endpoints keep working and cannot be shown again: "
            "regenerate them; endpoints that issue tokens must be created again"
        )
    preset = settings.master_key
    if preset is not None and secrets.get("master.key") not in (None, preset):
        yield (
            "MODELYARD_MASTER_KEY differs from the master key of the backup: start with both, comma-separated, the "
            "newest first"
        )
    if not manifest.with_wheels:
        yield "the backup has no environments: update each deployment once to build its environment again"
    if manifest.missing_objects:
        yield f"{manifest.missing_objects} objects were missing at the backup already"


class _Target:
    """The data dir, the object store and the database of a restore."""

    def __init__(
        self, data: DataDir, settings: EnvironmentSettings, environment: Mapping[str, str], announce: Announce
    ) -> None:
        self._data = data
        self._settings = settings
        self._environment = environment
        self._announce = announce
        self._storage_url = settings.storage_url or data.objects.as_uri()

    @contextmanager
    def claimed(self) -> Iterator[None]:
        """Hold the data dir for the block. The marker file goes at the end of a block without an error."""
        self._data.prepare()
        leftover_seconds = self._settings.tunables.supervisor.leftover_seconds
        self._lock = lock_data_dir(self._data, self._announce, leftover_seconds=leftover_seconds)
        try:
            self._begin()
            yield
            self._data.unfinished_restore.unlink()
        finally:
            os.close(self._lock)

    def _begin(self) -> None:
        marker = self._data.unfinished_restore
        if marker.exists():
            self._announce("removing the rest of a restore that was interrupted")
            is_same_store = json.loads(marker.read_text() or "{}").get("storage_url") == self._storage_url
            _empty(self._data.root, keep={marker, self._data.run / "lock"})
            self._data.prepare()
        else:
            is_same_store = False
        self._store = open_store(self._storage_url, self._environment, settings=self._settings.tunables.object_store)
        if not is_same_store:
            _check_store_empty(self._store, self._storage_url)
        replace_file(marker, json.dumps({"storage_url": self._storage_url}), mode=0o600, durable=True)

    def restore_objects(self, place: ArchivePlace, manifest: Manifest) -> None:
        if self._settings.storage_url is None:
            free = shutil.disk_usage(self._data.root).free
            if free < manifest.size:
                raise RestoreRefused(
                    f"the backup has {manifest.size} bytes, and {self._data.root} has {free} bytes of free space"
                )
        for entry in ArchiveReader(place.read()).entries():
            if entry.kind is EntryKind.OBJECT:
                self._restore_object(entry)

    def _restore_object(self, entry: ArchiveEntry) -> None:
        _check_object_key(entry.name)
        try:
            self._store.put(entry.name, entry.chunks())
        except EntryVoided:
            return

    def restore_secrets(self, secrets: Mapping[str, str]) -> None:
        for name, secret in secrets.items():
            store_secret(self._data.secrets / name, secret)

    def restore_tables(self, place: ArchivePlace, manifest: Manifest) -> None:
        """Create the schema of the backup and load the rows, in one transaction."""
        with self._database_url() as url:
            patience = self._settings.tunables.start_patience
            server = f"the database at {server_address(url)}"
            StartDeadline(patience, self._announce).wait_for(server, lambda: connect_or_create(url))
            engine = create_engine(url)
            try:
                with engine.begin() as connection:
                    driver_connection = connection.connection.driver_connection
                    assert isinstance(driver_connection, Connection)
                    if not Tables(driver_connection).is_empty:
                        raise RestoreRefused(f"{server} is not empty: name a new database in MODELYARD_DATABASE_URL")
                    try:
                        migrate_to(connection, manifest.schema)
                    except CommandError:
                        raise RestoreRefused(
                            f"the backup is of a newer version of modelyard ({manifest.modelyard}): restore it with "
                            "that version or a later one"
                        ) from None
                    self._load(Tables(driver_connection), place, manifest)
            except (DBAPIError, PostgresError) as error:
                reason = str(error.orig if isinstance(error, DBAPIError) else error).strip().partition("\n")[0]
                raise RestoreRefused(f"{server} refused the restore: {reason}") from None
            finally:
                engine.dispose()

    def _load(self, tables: Tables, place: ArchivePlace, manifest: Manifest) -> None:
        tables.clear()
        loaded = 0
        for entry in ArchiveReader(place.read()).entries():
            if entry.kind is not EntryKind.TABLE:
                break
            tables.load(entry)
            loaded += 1
        if loaded != manifest.tables:
            raise RestoreRefused(f"{place.name} has tables after its objects, or has changed during the restore")

    @contextmanager
    def _database_url(self) -> Iterator[str]:
        """Yield the URL of the settings, or start the embedded Postgres for the block."""
        if self._settings.database_url is not None:
            yield self._settings.database_url
            return
        postgres = EmbeddedPostgres(self._data)
        postgres.prepare()
        # The server ends with this process, however it ends: it holds the pipe's read end.
        lifeline, lifeline_end = os.pipe()
        log_bytes = self._settings.tunables.supervisor.log_bytes
        child = Child(postgres.service(), lifeline=lifeline, lock=self._lock, max_log_bytes=log_bytes)
        child.start()
        os.close(lifeline)
        try:
            yield postgres.url()
        finally:
            os.close(lifeline_end)
            if not child.wait(_STOP_SECONDS):
                child.kill_group()
                child.wait(_STOP_SECONDS)


def _check_store_empty(store: ObjectStore, url: str) -> None:
    for prefix in RESTORABLE:
        if (key := next(store.list(prefix), None)) is not None:
            raise RestoreRefused(f"the object store {url} is not empty (it has {key}): name a new folder or prefix")


def _empty(folder: Path, keep: set[Path]) -> None:
    for entry in folder.iterdir():
        if entry in keep or entry.name in _NO_DATA:
            continue
        if any(entry in kept.parents for kept in keep):
            _empty(entry, keep)
        elif entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry)
        else:
            entry.unlink()
