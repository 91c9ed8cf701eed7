"""The embedded Postgres: a real one, closed to everybody without its password, that touches nothing outside."""

import stat
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.exc import OperationalError

from modelyard.core.data_dir import DataDir
from modelyard.supervisor.postgres import EmbeddedPostgres


def test_it_answers_with_the_password(postgres: EmbeddedPostgres):
    engine = create_engine(postgres.url("postgres"))
    with engine.connect() as connection:
        assert connection.scalar(text("SHOW server_version")).startswith("18.")
        assert connection.scalar(text("SHOW listen_addresses")) == ""
    engine.dispose()


def test_it_refuses_another_password(postgres: EmbeddedPostgres):
    engine = create_engine(postgres.url("postgres").replace(postgres.password, "wrong"))
    with pytest.raises(OperationalError, match="password authentication failed"):
        engine.connect()
    engine.dispose()


def test_its_folders_are_closed_to_others(postgres: EmbeddedPostgres):
    for folder in (postgres.cluster, postgres.socket_dir, postgres.data_dir.postgres):
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_its_password_is_in_a_file_that_nobody_else_reads(postgres: EmbeddedPostgres):
    file = postgres.data_dir.secrets / "postgres.password"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_a_cluster_that_was_left_half_made_is_made_anew(passable_folder: Path):
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
