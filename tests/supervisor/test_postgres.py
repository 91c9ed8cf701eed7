"""The embedded Postgres: asks for its password, and keeps its folders closed."""

import stat
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
    server.clean_up()
