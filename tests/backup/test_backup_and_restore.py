"""Backup and restore of rows, objects and secrets, without the processes of a platform."""

import json
import resource
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest
from psycopg import Connection
from sqlalchemy import create_engine, text

from migrations.run import migrate, migrate_to
from modelyard.backup.contents import LEFT_OUT, RESTORABLE
from modelyard.backup.tables import Tables
from modelyard.core.adapters.folder_store import FolderStore
from tests.backup.platform_state import LEFT_OUT_TABLES, MODEL_FILES, OBJECTS, PlatformState, blob_key
from tests.conftest import embedded_postgres, wait_for_database
from tests.object_stores.servers import s3_server

DOCS = Path(__file__).parents[2] / "docs"


def members(archive: Path) -> list[tuple[str, bytes]]:
    with tarfile.open(archive) as tar:
        return [(member.name, tar.extractfile(member).read()) for member in tar]


def manifest_of(archive: Path) -> dict:
    return next(json.loads(content) for name, content in members(archive) if name.endswith(".manifest"))


class TestEqualAfterRestore:
    def test_rows_objects_and_secrets_are_those_of_the_original(self, restored_pair):
        original, restored = restored_pair
        before, after = original.tables(), restored.tables()
        changed = {table for table in before if before[table] != after[table]}
        assert changed == {"uploads", "jobs", "mini_batches", "wanted_changes"}
        assert all(after[table] == [] for table in LEFT_OUT_TABLES)
        kept = {key: content for key, content in OBJECTS.items() if not key.startswith(LEFT_OUT)}
        assert restored.objects() == {**kept, **{blob_key(content): content for content in MODEL_FILES.values()}}
        secrets = original.secrets()
        del secrets["postgres.password"]
        assert restored.secrets() == secrets
        assert restored.data_dir.master_key.stat().st_mode & 0o777 == 0o600
        assert not restored.data_dir.unfinished_restore.exists()

    def test_restore_without_a_database_makes_and_fills_the_embedded_postgres(self, original, another, tmp_path):
        assert original.command("backup", tmp_path / "b.tar", "--without-secrets") == 0
        restored = another()
        environment = {name: value for name, value in restored.environment.items() if "DATABASE" not in name}
        assert restored.command_with(environment, "restore", tmp_path / "b.tar", "--without-secrets") == 0
        with embedded_postgres(restored.data_dir) as server:
            wait_for_database(server.url())
            restored.engine = create_engine(server.url())
            assert restored.tables()["models"] == original.tables()["models"]
            assert [row[3] for row in restored.tables()["access_tokens"] if row[6] is not None] == ["revoked"]
            restored.engine.dispose()

    def test_unfinished_job_begins_again_and_a_finished_job_stays(self, restored_pair):
        with restored_pair[1].engine.connect() as connection:
            jobs = connection.execute(text("SELECT name, state, mini_batches, rows FROM jobs ORDER BY name")).all()
            parts = connection.execute(
                text("SELECT j.name, count(*) FROM mini_batches m JOIN jobs j ON j.id = m.job_id GROUP BY j.name")
            ).all()
        assert list(map(tuple, jobs)) == [("done", "Completed", 2, 6), ("under-way", "Queued", None, None)]
        assert list(map(tuple, parts)) == [("done", 2)]

    def test_new_rows_get_ids_that_the_original_has_never_given(self, restored_pair):
        insert = text("INSERT INTO admin_tokens (digest) VALUES ('d') RETURNING id")
        with restored_pair[0].engine.begin() as ours, restored_pair[1].engine.begin() as theirs:
            assert theirs.scalar(insert) == ours.scalar(insert)

    def test_wheels_and_logs_are_optional(self, original, tmp_path):
        original.command("backup", tmp_path / "small.tar", "--without-wheels", "--without-secrets")
        content = (tmp_path / "small.tar").read_bytes()
        assert b"datastores/workspaceblobstore/empty" in content
        optional = [key for key in OBJECTS if key.startswith(("wheels/", "environments/", "logs/"))]
        assert not [key for key in optional if key.encode() in content]

    def test_schema_of_an_older_version_is_restored_and_then_migrates_forward(self, another, tmp_path):
        old, restored = another(), another()
        old.data_dir.prepare()
        old.variables = {"MODELYARD_MASTER_KEY": "A" * 43 + "="}
        restored.variables = old.variables
        server = old.engine.url.set(database="postgres").render_as_string(hide_password=False)
        self._create(server, old.engine.url.database)
        with old.engine.begin() as connection:
            migrate_to(connection, "0003")
        assert old.command("backup", tmp_path / "old.tar") == 0
        assert restored.command("restore", tmp_path / "old.tar") == 0
        assert restored.scalar("SELECT version_num FROM alembic_version") == "0003"
        migrate(restored.engine)
        assert restored.scalar("SELECT count(*) FROM audit_events") == 0

    def _create(self, server: str, name: str) -> None:
        engine = create_engine(server, isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            connection.execute(text(f"CREATE DATABASE {name}"))
        engine.dispose()

    def test_archive_and_objects_in_s3(self, original, restored, capfd):
        with s3_server() as server:
            original.variables = server.environment
            place = f"{server.url}/backups/today.tar.gz"
            assert original.command("backup", place) == 0
            restored.variables = {**server.environment, "MODELYARD_STORAGE_URL": server.another().url}
            assert restored.command("restore", place) == 0, capfd.readouterr().err
        assert restored.tables()["models"] == original.tables()["models"]


class TestSnapshot:
    def test_rows_written_during_the_backup_are_not_in_it(self, original):
        with original.engine.connect().execution_options(isolation_level="REPEATABLE READ") as connection:
            driver_connection = connection.connection.driver_connection
            assert isinstance(driver_connection, Connection)
            tables = Tables(driver_connection)
            with original.engine.begin() as writer:
                writer.execute(text("INSERT INTO admin_tokens (digest) VALUES ('too late')"))
            rows = {header["name"]: b"".join(content) for header, content in tables.dump()}
        assert b"salt$digest" in rows["admin_tokens"]
        assert b"too late" not in rows["admin_tokens"]

    def test_object_that_vanishes_during_the_backup_is_left_out(self, original, tmp_path, monkeypatch):
        monkeypatch.setattr(FolderStore, "list", _listing_with("datastores/workspaceblobstore/gone"))
        assert original.command("backup", tmp_path / "b.tar", "--without-secrets") == 0
        assert manifest_of(tmp_path / "b.tar")["objects"] == 7

    def test_lost_object_of_a_model_is_named_and_the_exit_code_is_1(self, original, restored, tmp_path, capfd):
        lost = blob_key(MODEL_FILES["m/MLmodel"])
        original.store.delete(lost)
        assert original.command("backup", tmp_path / "b.tar") == 1
        shown = capfd.readouterr().err
        assert f"missing   {lost}" in shown
        assert "lost 1 objects" in shown
        assert restored.command("restore", tmp_path / "b.tar") == 0
        assert "1 objects were missing" in capfd.readouterr().err

    def test_every_key_prefix_of_the_documentation_is_backed_up_or_left_out_on_purpose(self):
        table = (DOCS / "object-storage.md").read_text().partition("## Keys and retention")[2].partition("## The")[0]
        documented = {part.split("/")[0] + "/" for part in table.split("`")[1::2] if "/" in part and "<" in part}
        assert documented - {".unfinished/"} == {*RESTORABLE, *LEFT_OUT}


def _listing_with(gone: str):
    list_keys = FolderStore.list

    def listing(self: FolderStore, prefix: str):
        yield from list_keys(self, prefix)
        if gone.startswith(prefix):
            yield gone

    return listing


class TestArchiveFile:
    def test_old_backup_stays_until_the_new_one_is_complete(self, original, tmp_path):
        archive = tmp_path / "b.tar"
        original.command("backup", archive)
        content = archive.read_bytes()
        original.engine.dispose()
        wrong = PlatformState(original.folder, original.database_url.replace("/test_", "/missing_"))
        assert wrong.command("backup", archive) == 1
        assert archive.read_bytes() == content
        assert list(tmp_path.iterdir()) == [archive]
        assert archive.stat().st_mode & 0o777 == 0o600

    def test_manifest_is_the_last_word_and_has_no_secret_in_the_clear(self, original, tmp_path):
        original.command("backup", tmp_path / "b.tar")
        names = [name.partition(".")[2] for name, _ in members(tmp_path / "b.tar")]
        assert (names[0], names[-2:]) == ("modelyard-backup", ["manifest", "checksum"])
        manifest = manifest_of(tmp_path / "b.tar")
        assert manifest["tables"] > 20
        assert manifest["schema"] == original.scalar("SELECT version_num FROM alembic_version")
        content = (tmp_path / "b.tar").read_bytes()
        for secret in original.secrets().values():
            assert secret.encode() not in content

    @pytest.mark.long
    def test_memory_does_not_grow_with_an_object_of_a_gigabyte(self, original, restored, tmp_path):
        original.store.put("datastores/workspaceblobstore/large", (bytes(1 << 20) for _ in range(1024)))
        for command, state in (("backup", original), ("restore", restored)):
            arguments = [command, tmp_path / "b.tar", "--data-dir", state.data_dir.root]
            subprocess.run([sys.executable, "-m", "modelyard.cli.main", *arguments], env=state.environment, check=True)
        assert resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss < 300 << 10
