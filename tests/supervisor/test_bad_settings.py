"""Malformed settings: exit code 2 and one line that names the variable, before anything is created."""

import pytest

from modelyard.core.errors import InvalidSetting
from modelyard.supervisor.environment_settings import read_environment, server_address
from modelyard.supervisor.generated_secrets import new_master_key
from modelyard.supervisor.roles import ALL_ROLES, Role
from tests.supervisor.starts import ended

DATABASE = "MODELYARD_DATABASE_URL"
BROKER = "MODELYARD_BROKER_URL"
STORAGE = "MODELYARD_STORAGE_URL"
KEY = "MODELYARD_MASTER_KEY"
A_KEY = "A" * 43 + "="
"""A constant, so that all processes that collect the tests agree."""


def refusal(roles: frozenset[Role] = ALL_ROLES, **environment: str) -> str:
    with pytest.raises(InvalidSetting) as caught:
        read_environment(environment, roles)
    assert "\n" not in caught.value.message
    return caught.value.message


def test_malformed_setting_is_one_line_and_exit_code_2_and_nothing_is_created(passable_folder):
    start = ended(passable_folder / "data", MODELYARD_MASTER_KEY="change-me")
    assert start.process.returncode == 2
    assert start.printed.startswith("error: MODELYARD_MASTER_KEY is a placeholder")
    assert len(start.printed.splitlines()) == 1
    assert not start.data_dir.exists()


@pytest.mark.parametrize("value", ["", " ", "change-me", "CHANGEME", "placeholder", "<your key>", "please-change_me"])
@pytest.mark.parametrize("name", [KEY, "MODELYARD_ADMIN_TOKEN"])
def test_placeholder_is_refused_as_a_secret(name, value):
    assert refusal(**{name: value}).startswith(f"{name} is ")


@pytest.mark.parametrize("password", ["", "change-me", "%3Cpassword%3E", "placeholder"])
def test_placeholder_is_refused_as_a_password_in_a_url(password):
    assert DATABASE in refusal(**{DATABASE: f"postgresql+psycopg://user:{password}@db:5432/modelyard"})
    assert BROKER in refusal(**{BROKER: f"redis://:{password}@broker:6379/0"})


@pytest.mark.parametrize(
    ("name", "url"),
    [
        (DATABASE, "postgers://user:s3cret@db/modelyard"),
        (DATABASE, "postgresql://user:s3cret@db:54321x/modelyard"),
        (DATABASE, "postgresql://user:s3cret@db:99999/modelyard"),
        (DATABASE, "postgresql://user:s3cret@/modelyard"),
        (DATABASE, "postgresql://user:s3/cret@db/modelyard"),
        (DATABASE, "user:s3cret@db"),
        (BROKER, "amqp://:s3cret@broker:6379/0"),
        (BROKER, "redis://:s3cret@broker:port/0"),
        (BROKER, "redis://"),
        (STORAGE, "s4://s3cret/prefix"),
        (STORAGE, "/folder/s3cret"),
    ],
)
def test_malformed_url_is_named_and_not_repeated(name, url):
    message = refusal(**{name: url})
    assert name in message
    assert "cret" not in message


@pytest.mark.parametrize("key", ["abc", A_KEY[:-1], f"{A_KEY},", "ä" * 44])
def test_malformed_master_key_is_refused_with_a_command_that_generates_a_key(key):
    assert "is not a Fernet key" in refusal(**{KEY: key})
    assert "/dev/urandom" in refusal(**{KEY: key})


def test_several_master_keys_are_accepted():
    keys = f"{new_master_key()}, {new_master_key()}"
    assert read_environment({KEY: keys}, ALL_ROLES).master_key == keys


def test_machine_without_control_plane_must_be_given_the_servers():
    message = refusal(frozenset({Role.BUILDER, Role.BATCH}), **{DATABASE: "postgresql+psycopg://db/modelyard"})
    assert message.startswith(f"{BROKER}, {STORAGE}, {KEY} must be set for batch, builder")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("MODELYARD_WORKER_UID", "nobody"),
        ("MODELYARD_MAX_UPLOAD_BYTES", "64 GB"),
        ("MODELYARD_START_PATIENCE", "a minute"),
        ("MODELYARD_PUBLIC_URL", "models.example"),
        ("MODELYARD_SCORING_PUBLIC_URL", "http://"),
    ],
)
def test_value_of_the_wrong_type_is_refused(name, value):
    assert refusal(**{name: value}).startswith(f"{name} must be ")


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("postgresql+psycopg://user:pass@db.example/modelyard", "db.example:5432"),
        ("postgresql://user:pass@[::1]:6543/modelyard", "[::1]:6543"),
        ("postgresql://user:pass@/modelyard?host=%2Frun%2Fpg", "/run/pg"),
        ("redis://:pass@broker/0", "broker:6379"),
        ("redis+socket://:pass@/run/valkey.sock", "/run/valkey.sock"),
    ],
)
def test_server_address_is_host_and_port_without_user_and_password(url, address):
    assert server_address(url) == address
