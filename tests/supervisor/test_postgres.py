"""The embedded Postgres: asks for its password, and keeps its folders closed."""

import hashlib
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.exc import OperationalError

from modelyard.core.data_dir import DataDir
from modelyard.supervisor.postgres import EmbeddedPostgres


def test_postgres_answers_with_its_password_and_listens_on_no_address(postgres: EmbeddedPostgres):
    engine = create_engine(postgres.url("postgres"))
    with engine.connect() as connection:
        assert connection.scalar(text("SHOW server_version")).startswith("18.")
        assert connection.scalar(text("SHOW listen_addresses")) == ""
    engine.dispose()


def test_postgres_refuses_another_password(postgres: EmbeddedPostgres):
    engine = create_engine(postgres.url("postgres").replace(postgres.password, "wrong"))
    with pytest.raises(OperationalError, match="password authentication failed"):
        engine.connect()
    engine.dispose()


def test_folders_of_postgres_are_closed_to_other_users(postgres: EmbeddedPostgres):
    for folder in (postgres.cluster, postgres.socket_dir, postgres.data_dir.postgres):
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_password_file_is_closed_to_other_users(postgres: EmbeddedPostgres):
    file = postgres.data_dir.secrets / "postgres.password"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_incomplete_cluster_is_created_again(passable_folder: Path):
    data_dir = DataDir(passable_folder)
    data_dir.prepare()
    server = EmbeddedPostgres(data_dir)
    data_dir.postgres.mkdir()
    server.cluster.mkdir()
    (server.cluster / "rubbish").touch()
    server.prepare()
    assert (server.cluster / "PG_VERSION").exists()
    assert not (server.cluster / "rubbish").exists()


def test_every_authentication_of_the_server_is_scram(postgres: EmbeddedPostgres):
    lines = [line.split() for line in (postgres.cluster / "pg_hba.conf").read_text().splitlines()]
    assert {words[-1] for words in lines if words and not words[0].startswith("#")} == {"scram-sha-256"}
    assert "require_auth=scram-sha-256" in postgres.url()


def test_socket_is_below_the_data_dir(postgres: EmbeddedPostgres):
    assert postgres.socket_dir.is_relative_to(postgres.data_dir.root)
    assert (postgres.socket_dir / ".s.PGSQL.5432").is_socket()


def test_link_at_the_socket_folder_is_refused_and_its_target_stays_unchanged(passable_folder: Path):
    data_dir, victim = DataDir(passable_folder / "data"), passable_folder / "victim"
    data_dir.prepare()
    victim.mkdir(mode=0o755)
    data_dir.postgres.mkdir()
    (data_dir.postgres / "s").symlink_to(victim)
    with pytest.raises(PermissionError):
        EmbeddedPostgres(data_dir).prepare()
    assert stat.S_IMODE(victim.stat().st_mode) == 0o755
    assert victim.stat().st_uid == os.getuid()


def pretend_initdb(data_dir: DataDir) -> None:
    """Save the time of creating a cluster."""
    data_dir.postgres.mkdir()
    (data_dir.postgres / "cluster.complete").touch()


def test_link_at_the_predictable_path_of_earlier_versions_is_never_followed(passable_folder: Path):
    data_dir, victim = DataDir(passable_folder / "data"), passable_folder / "victim"
    victim.mkdir(mode=0o755)
    digest = hashlib.sha256(os.fsencode(data_dir.root)).hexdigest()[:12]
    planted = [Path(tempfile.gettempdir()) / f"modelyard-{os.getuid()}-{digest}-{purpose}" for purpose in ("pg", "s")]
    for link in planted:
        link.symlink_to(victim)
    try:
        data_dir.prepare()
        pretend_initdb(data_dir)
        EmbeddedPostgres(data_dir).prepare()
        assert stat.S_IMODE(victim.stat().st_mode) == 0o755
        assert victim.stat().st_uid == os.getuid()
        assert list(victim.iterdir()) == []
    finally:
        for link in planted:
            link.unlink()


class TestDataDirWithALongPath:
    @pytest.fixture
    def data_dir(self, passable_folder: Path) -> Iterator[DataDir]:
        data_dir = DataDir(passable_folder / ("long" * 20))
        data_dir.prepare()
        yield data_dir
        data_dir.remove_short_folder()

    def test_sockets_are_in_a_folder_with_a_random_name_that_stays_over_starts(self, data_dir: DataDir):
        pretend_initdb(data_dir)
        EmbeddedPostgres(data_dir).prepare()
        before = data_dir.socket_dir
        assert not before.is_relative_to(data_dir.root)
        data_dir.prepare()
        assert data_dir.socket_dir == before
        assert stat.S_IMODE(before.stat().st_mode) == stat.S_IMODE(data_dir.postgres_socket_dir.stat().st_mode) == 0o700

    def test_planted_link_in_place_of_the_folder_is_left_and_another_folder_is_made(self, data_dir: DataDir):
        folder = data_dir.socket_dir.parent
        shutil.rmtree(folder)
        victim = data_dir.root.parent / "victim"
        victim.mkdir(mode=0o755)
        folder.symlink_to(victim)
        try:
            data_dir.prepare()
            assert data_dir.socket_dir.parent != folder
            assert list(victim.iterdir()) == []
        finally:
            folder.unlink()

    def test_folder_is_removed_after_the_end(self, data_dir: DataDir):
        folder = data_dir.socket_dir.parent
        data_dir.remove_short_folder()
        assert not folder.exists()
