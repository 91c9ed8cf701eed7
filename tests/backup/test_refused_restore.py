"""Archives and places that `modelyard restore` refuses, before anything is written."""

import gzip
import io
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from modelyard.backup import archive as archive_module
from modelyard.backup.archive import ArchiveWriter, EntryKind, Manifest
from modelyard.core.adapters.folder_store import FolderStore
from modelyard.supervisor.postgres import EmbeddedPostgres
from tests.backup.platform_state import PASSPHRASE, PlatformState
from tests.conftest import own_database, temporary_folder


@pytest.fixture(scope="module")
def backup(postgres: EmbeddedPostgres) -> Iterator[bytes]:
    """The archive of a platform that is gone."""
    with own_database(postgres) as url, temporary_folder() as folder:
        original = PlatformState(folder, url)
        original.fill()
        assert original.command("backup", folder / "b.tar") == 0
        original.engine.dispose()
        yield (folder / "b.tar").read_bytes()


@pytest.fixture
def archive(backup: bytes, tmp_path: Path) -> Path:
    (tmp_path / "b.tar").write_bytes(backup)
    return tmp_path / "b.tar"


def refusal(restored: PlatformState, archive: Path, capfd: pytest.CaptureFixture[str], *options: str) -> str:
    """The one line of a refused restore, which has written nothing."""
    capfd.readouterr()
    assert restored.command("restore", archive, *options) == 1
    assert not restored.data_dir.root.exists()
    return capfd.readouterr().err.splitlines()[-1]


class TestDamage:
    def test_archive_cut_at_any_member_is_incomplete(self, archive, restored, capfd):
        content = archive.read_bytes()
        for length in (1_100, 5_000, len(content) // 2, len(content) - 3_000, len(content) - 1_100):
            archive.write_bytes(content[:length])
            assert "the backup is incomplete" in refusal(restored, archive, capfd)

    def test_cut_gzip_is_incomplete(self, archive, restored, capfd):
        cut = gzip.compress(archive.read_bytes(), 1)
        archive.write_bytes(cut[: len(cut) // 2])
        assert "the backup is incomplete" in refusal(restored, archive, capfd)

    def test_changed_byte_of_an_object_is_named(self, archive, restored, capfd):
        content = bytearray(archive.read_bytes())
        position = content.index(b"x,y\n1,2\n")
        content[position] ^= 1
        archive.write_bytes(content)
        line = refusal(restored, archive, capfd)
        assert "damaged: object 'datastores/workspaceblobstore/a folder/in put.csv' has other content" in line

    def test_changed_manifest_is_refused(self, archive, restored, capfd):
        content = archive.read_bytes().replace(b'"with_logs":false', b'"with_logs":true ')
        archive.write_bytes(content)
        assert "the manifest's checksum differs" in refusal(restored, archive, capfd)

    def test_removed_entry_is_refused_although_every_member_is_intact(self, restored, tmp_path, capfd):
        archive = tmp_path / "b.tar"
        archive.write_bytes(forged(lambda writer: writer.entry(_object("datastores/s/a"), [b"a"]), objects=2))
        assert "the entries differ from the manifest in objects" in refusal(
            restored, archive, capfd, "--without-secrets"
        )

    @pytest.mark.parametrize(
        "content",
        [b"", b"no archive at all", bytes(2048), gzip.compress(b"x")],
        ids=["empty", "text", "zeros", "gzip"],
    )
    def test_other_files_are_not_backups(self, restored, tmp_path, content, capfd):
        (tmp_path / "b.tar").write_bytes(content)
        assert "this is not a backup" in refusal(restored, tmp_path / "b.tar", capfd)

    def test_missing_archive_is_named(self, restored, tmp_path, capfd):
        assert "cannot read" in refusal(restored, tmp_path / "none.tar", capfd)


def _object(key: str) -> dict[str, object]:
    return {"kind": EntryKind.OBJECT, "name": key}


def forged(entries: Callable[[ArchiveWriter], object], **facts: object) -> bytes:
    """An archive with right checksums and hostile entries."""
    writer = ArchiveWriter()
    chunks = [*writer.beginning(), *entries(writer)]
    fields = {
        "modelyard": "0.1.0", "created_at": "2026-01-01T00:00:00+00:00", "schema": "0004", "with_logs": False,
        "with_wheels": True, "missing_objects": 0, **writer.tally.facts(), **facts,
    }  # fmt: skip
    return b"".join([*chunks, *writer.ending(Manifest(**fields))])


def tar_of(*infos: tarfile.TarInfo, size: int = 0) -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for info in infos:
            info.size = size
            tar.addfile(info, io.BytesIO(bytes(size)))
    return file.getvalue()


def info(name: str, **fields: object) -> tarfile.TarInfo:
    made = tarfile.TarInfo(name)
    for field, value in fields.items():
        setattr(made, field, value)
    return made


FIRST = "0000000000.modelyard-backup"
SECOND = "0000000001.begin"


def _begun(rest: bytes) -> bytes:
    return b"".join(ArchiveWriter().beginning()) + rest


HOSTILE_MEMBERS = {
    "parent folder": _begun(tar_of(info("../../etc/passwd"))),
    "absolute name": _begun(tar_of(info("/etc/passwd"))),
    "symbolic link": _begun(tar_of(info(SECOND, type=tarfile.SYMTYPE, linkname="/etc/passwd"))),
    "hard link": _begun(tar_of(info(SECOND, type=tarfile.LNKTYPE, linkname="/etc/passwd"))),
    "device": _begun(tar_of(info(SECOND, type=tarfile.CHRTYPE))),
    "long name": _begun(tar_of(info("a/" * 200))),
    "extended header": _begun(tar_of(info(SECOND, pax_headers={"path": "../x"}))),
    "wrong number": _begun(tar_of(info("0000000002.begin"))),
    "unknown kind": _begun(tar_of(info("0000000001.exe"))),
    "size of 8 GB": _begun(info(SECOND, size=(8 << 30) - 1).tobuf(tarfile.USTAR_FORMAT)),
    "size of an exabyte": _begun(info(SECOND, size=1 << 60).tobuf(tarfile.GNU_FORMAT)),
    "negative size": _begun(info(SECOND, size=-5).tobuf(tarfile.GNU_FORMAT)),
    "data larger than a segment": _begun(info("0000000001.data", size=(4 << 20) + 1).tobuf(tarfile.USTAR_FORMAT)),
    "deep JSON": _begun(info(SECOND, size=200_000).tobuf(tarfile.USTAR_FORMAT) + b"[" * 200_000 + bytes(192)),
}
HOSTILE_KEYS = (
    "../../etc/passwd", "/etc/passwd", "datastores/../../x", "datastores//x", "datastores/s/\x00", "datastores/s/a\\b",
    ".unfinished/x", "secrets/master.key", "batch/1/part", "checks/1", "datastores/" + "k" * 1000, "",
)  # fmt: skip


class TestHostileArchive:
    @pytest.mark.parametrize("name", HOSTILE_MEMBERS)
    def test_member_that_no_backup_has_is_refused(self, restored, tmp_path, name, capfd):
        (tmp_path / "b.tar").write_bytes(HOSTILE_MEMBERS[name])
        assert "the backup is damaged" in refusal(restored, tmp_path / "b.tar", capfd, "--without-secrets")

    @pytest.mark.parametrize("key", HOSTILE_KEYS)
    def test_key_outside_of_the_object_store_is_refused(self, restored, tmp_path, key, capfd):
        (tmp_path / "b.tar").write_bytes(forged(lambda writer: writer.entry(_object(key), [b"x"])))
        assert "is not the key of an object" in refusal(restored, tmp_path / "b.tar", capfd, "--without-secrets")

    @pytest.mark.parametrize(
        ("field", "value"),
        [("created_at", "\x1b[31mnow"), ("modelyard", "\x1b]0;x"), ("schema", "0004; DROP"), ("missing_objects", "x")],
    )
    def test_text_of_the_manifest_is_checked_before_it_is_shown(self, restored, tmp_path, field, value, capfd):
        (tmp_path / "b.tar").write_bytes(forged(lambda _: (), **{field: value}))
        assert "the manifest has other fields" in refusal(restored, tmp_path / "b.tar", capfd, "--without-secrets")

    @pytest.mark.parametrize(
        "header",
        [
            {"name": "pg_authid", "columns": ["rolname"]},
            {"name": "alembic_version", "columns": ["version_num"]},
            {"name": "admin_tokens", "columns": ["id\") FROM PROGRAM 'touch /tmp/x' --"]},
            {"name": "admin_tokens", "columns": "id"},
            {"name": 'admin_tokens"; DROP TABLE jobs; --', "columns": ["id"]},
        ],
    )
    def test_table_that_the_schema_does_not_have_leaves_the_database_empty(self, restored, tmp_path, header, capfd):
        content = forged(lambda writer: writer.entry({"kind": EntryKind.TABLE, **header}, [b"1\n"]))
        (tmp_path / "b.tar").write_bytes(content)
        assert restored.command("restore", tmp_path / "b.tar", "--without-secrets") == 1
        assert restored.tables() == {}
        assert restored.data_dir.unfinished_restore.exists()

    def test_gzip_bomb_is_read_with_bounded_memory(self, restored, tmp_path, monkeypatch, capfd):
        sizes: list[int] = []
        read = archive_module._ByteReader.read

        def watched(self: archive_module._ByteReader, size: int) -> bytes:
            content = read(self, size)
            sizes.append(len(self._held))
            return content

        monkeypatch.setattr(archive_module._ByteReader, "read", watched)
        bomb = _begun(info(SECOND, size=1 << 20).tobuf(tarfile.USTAR_FORMAT)) + bytes(64 << 20)
        (tmp_path / "b.tar.gz").write_bytes(gzip.compress(bomb, 9))
        refusal(restored, tmp_path / "b.tar.gz", capfd, "--without-secrets")
        assert max(sizes) < 8 << 20


class TestPassphrase:
    def test_wrong_passphrase_is_refused_before_anything_is_written(self, archive, restored, capfd):
        restored.variables = {"MODELYARD_BACKUP_PASSPHRASE": "another passphrase"}
        assert "the passphrase does not open" in refusal(restored, archive, capfd)

    def test_restore_without_secrets_tells_what_is_lost(self, archive, restored, capfd):
        assert restored.command("restore", archive, "--without-secrets") == 0
        assert "cannot be shown again" in capfd.readouterr().err
        assert restored.secrets() == {}

    def test_backup_without_secrets_needs_no_passphrase(self, original, restored, tmp_path, capfd):
        original.variables = restored.variables = {"MODELYARD_BACKUP_PASSPHRASE": ""}
        assert original.command("backup", tmp_path / "b.tar", "--without-secrets") == 0
        restored.variables = {"MODELYARD_BACKUP_PASSPHRASE": PASSPHRASE}
        assert "the backup has no secrets" in refusal(restored, tmp_path / "b.tar", capfd)
        assert restored.command("restore", tmp_path / "b.tar", "--without-secrets") == 0

    def test_missing_and_short_passphrases_are_wrong_arguments(self, original, tmp_path, capfd):
        for passphrase, sentence in (("", "pass --without-secrets"), ("short", "has 5 characters: use at least 12")):
            original.variables = {"MODELYARD_BACKUP_PASSPHRASE": passphrase}
            assert original.command("backup", tmp_path / "b.tar") == 2
            assert sentence in capfd.readouterr().err
        assert list(tmp_path.iterdir()) == []

    def test_passphrase_in_a_file(self, original, restored, tmp_path):
        original.variables = restored.variables = {"MODELYARD_BACKUP_PASSPHRASE": ""}
        (tmp_path / "passphrase").write_text("in the first line\nand a second line\n")
        option = ("--passphrase-file", tmp_path / "passphrase")
        assert original.command("backup", tmp_path / "b.tar", *option) == 0
        assert restored.command("restore", tmp_path / "b.tar", *option) == 0
        assert restored.secrets()["master.key"] == original.secrets()["master.key"]

    def test_forged_tables_do_not_open_the_secrets(self, archive, restored, capfd):
        content = archive.read_bytes()
        manifest = archive_module.json.loads(content[content.index(b'{"created_at"') :].split(b"\n")[0])
        forgery = forged(lambda writer: writer.entry(_object("datastores/s/a"), [b"a"]), secrets=manifest["secrets"])
        archive.write_bytes(forgery)
        assert "the passphrase does not open" in refusal(restored, archive, capfd)


class TestPlaces:
    def test_data_dir_with_files_is_refused(self, archive, restored, capfd):
        restored.data_dir.root.mkdir(parents=True)
        (restored.data_dir.root / "mine.txt").touch()
        assert restored.command("restore", archive) == 1
        assert "is not empty" in capfd.readouterr().err
        assert [entry.name for entry in restored.data_dir.root.iterdir()] == ["mine.txt"]

    def test_store_and_database_with_content_are_refused(self, original, archive, restored, another, capfd):
        restored.variables = {"MODELYARD_STORAGE_URL": original.data_dir.objects.as_uri()}
        assert restored.command("restore", archive) == 1
        assert "is not empty (it has" in capfd.readouterr().err
        third = another()
        third.database_url = original.database_url
        assert third.command("restore", archive) == 1
        assert "is not empty: name a new database" in capfd.readouterr().err

    def test_interrupted_restore_is_begun_again(self, archive, restored, monkeypatch, capfd):
        put = FolderStore.put

        def interrupted(self, key, chunks):
            if key.startswith("datastores/"):
                raise KeyboardInterrupt
            return put(self, key, chunks)

        monkeypatch.setattr(FolderStore, "put", interrupted)
        assert restored.command("restore", archive) == 130
        monkeypatch.undo()
        assert restored.data_dir.unfinished_restore.exists()
        restored.data_dir.models.joinpath("rest").mkdir()
        assert restored.command("restore", archive) == 0
        assert not restored.data_dir.unfinished_restore.exists()
        assert not restored.data_dir.models.joinpath("rest").exists()

    def test_platform_does_not_start_on_an_interrupted_restore(self, restored, capfd):
        restored.data_dir.prepare()
        restored.data_dir.unfinished_restore.touch()
        assert restored.command("up", "--port", "0", "--scoring-port", "0") == 1
        assert "has not ended: run modelyard restore" in capfd.readouterr().err

    def test_backup_without_a_platform_names_the_data_dir(self, restored, tmp_path, capfd):
        assert restored.command("backup", tmp_path / "b.tar") == 1
        assert "has no master key" in capfd.readouterr().err

    def test_folder_that_does_not_exist_is_named(self, original, tmp_path, capfd):
        assert original.command("backup", tmp_path / "none" / "b.tar") == 1
        assert f"cannot write {tmp_path}/none/b.tar: No such file" in capfd.readouterr().err

    def test_database_that_refuses_the_user_is_one_line(self, archive, restored, capfd):
        restored.database_url = restored.database_url.replace("//modelyard:", "//stranger:")
        assert restored.command("restore", archive) == 1
        assert "rejected the connection" in capfd.readouterr().err

    def test_url_without_an_object_is_a_wrong_argument(self, original, capfd):
        for place in ("s3://", "s3://bucket/", "ftp://host/b.tar", "s3://user:secret@bucket/b.tar"):
            assert original.command("backup", place) in (1, 2)
            assert "secret" not in capfd.readouterr().err.replace("secrets", "")
