"""`modelyard config show`: each setting in force and its source, for a start to come and for a running platform."""

import json
import subprocess
from pathlib import Path

from tests.supervisor.starts import MODELYARD, environment, started

KEY = "A" * 43 + "="
SHARED = {
    "MODELYARD_DATABASE_URL": "postgresql+psycopg://modelyard:s3cret@db.example:5432/modelyard",
    "MODELYARD_MASTER_KEY": KEY,
    "MODELYARD_GATEWAY_MAX_BODY_BYTES": "1000",
    "MODELYARD_GUEST_UID": "1234",
}


def shown(data_dir: Path, **variables: str) -> dict[str, tuple[str, str]]:
    done = subprocess.run(
        [MODELYARD, "config", "show", "--data-dir", data_dir, "--output", "json"],
        env=environment(data_dir.parent, **variables),
        capture_output=True,
        text=True,
        check=True,
    )
    return {setting["name"]: (setting["value"], setting["source"]) for setting in json.loads(done.stdout)}


def test_source_of_each_setting_is_default_data_dir_flag_or_variable(tmp_path):
    settings = shown(tmp_path / "data", **SHARED)
    assert settings["--data-dir"] == (str(tmp_path / "data"), "flag")
    assert settings["--port"] == ("8000", "default")
    assert settings["MODELYARD_GATEWAY_HEADER_SECONDS"] == ("10.0", "default")
    assert settings["MODELYARD_GATEWAY_MAX_BODY_BYTES"] == (
        "1000",
        "environment variable MODELYARD_GATEWAY_MAX_BODY_BYTES",
    )
    assert settings["MODELYARD_WORKER_UID"] == ("1234", "environment variable MODELYARD_GUEST_UID")
    assert settings["MODELYARD_BROKER_URL"] == ("embedded Valkey", "data dir")


def test_secrets_are_masked(tmp_path):
    settings = shown(tmp_path / "data", **SHARED)
    assert settings["MODELYARD_DATABASE_URL"] == ("db.example:5432", "environment variable MODELYARD_DATABASE_URL")
    assert settings["MODELYARD_MASTER_KEY"] == ("********", "environment variable MODELYARD_MASTER_KEY")
    assert "s3cret" not in str(settings)
    assert KEY not in str(settings)


def test_setting_that_a_start_would_refuse_is_reported_with_exit_code_2(tmp_path):
    done = subprocess.run(
        [MODELYARD, "config", "show", "--data-dir", tmp_path],
        env=environment(tmp_path, MODELYARD_BATCH_NICE="20"),
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (2, "error: MODELYARD_BATCH_NICE must be at most 19\n")


def test_settings_of_a_running_platform_are_those_of_its_start(passable_folder, servers):
    data_dir = passable_folder / "data"
    variables = {**servers, "MODELYARD_RETENTION_LOG_DAYS": "3"}
    with started(data_dir, "--role", "control-plane", **variables) as start:
        start.says("stop with Ctrl-C")
        settings = shown(data_dir)
        assert settings["MODELYARD_RETENTION_LOG_DAYS"] == ("3.0", "environment variable MODELYARD_RETENTION_LOG_DAYS")
        assert settings["--role"] == ("control-plane", "flag")
        assert settings["--port"] == ("0", "flag")
    assert shown(data_dir)["MODELYARD_RETENTION_LOG_DAYS"] == ("30.0", "default")
