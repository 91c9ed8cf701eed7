"""Settings from MODELYARD_* variables: defaults, groups, former names, refusals without values, and their page."""

import importlib.util
from pathlib import Path

import pytest
from pydantic import ValidationError

from modelyard.core.errors import InvalidSetting
from modelyard.core.settings import PlatformSettings, Tunables
from modelyard.core.settings_variables import read_settings, variables_of

ROOT = Path(__file__).parents[2]


def refusal(**environment: str) -> str:
    with pytest.raises(InvalidSetting) as caught:
        read_settings(Tunables, environment)
    return caught.value.message


def test_settings_of_an_empty_environment_are_the_defaults():
    assert read_settings(Tunables, {}) == Tunables()


def test_variable_of_a_group_sets_the_field_of_the_group_alone():
    settings = read_settings(Tunables, {"MODELYARD_GATEWAY_MAX_BODY_BYTES": "1000"})
    assert settings.gateway.max_body_bytes == 1000
    assert settings.gateway.header_seconds == Tunables().gateway.header_seconds


def test_empty_variable_counts_as_not_set():
    assert read_settings(Tunables, {"MODELYARD_MAX_UPLOAD_BYTES": ""}).max_upload_bytes == 64 << 30


def test_former_name_is_read_unless_the_present_name_is_set():
    former = {"MODELYARD_GUEST_UID": "1234"}
    assert read_settings(Tunables, former).worker.uid == 1234
    assert read_settings(Tunables, {**former, "MODELYARD_WORKER_UID": "5678"}).worker.uid == 5678


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("MODELYARD_WORKER_UID", "nobody", "must be a whole number"),
        ("MODELYARD_GUEST_UID", "nobody", "must be a whole number"),
        ("MODELYARD_WORKER_UID", "-1", "must be at least 0"),
        ("MODELYARD_GATEWAY_SHUTDOWN_SECONDS", "1.5", "must be a whole number"),
        ("MODELYARD_GATEWAY_BODY_SECONDS", "soon", "must be a number"),
        ("MODELYARD_GATEWAY_BODY_SECONDS", "0", "must be greater than 0"),
        ("MODELYARD_RETENTION_LOG_DAYS", "inf", "must be a finite number"),
        ("MODELYARD_BATCH_NICE", "20", "must be at most 19"),
        ("MODELYARD_LOG_LEVEL", "LOUD", "must be 'DEBUG', 'INFO', 'WARNING' or 'ERROR'"),
        ("MODELYARD_PUBLIC_URL", "models.example", "must be a URL that begins with http:// or https://"),
        ("MODELYARD_LEASE_HEARTBEAT_SECONDS", "8", "must be at most half of MODELYARD_LEASE_SECONDS"),
    ],
)
def test_refusal_names_the_variable_and_what_it_must_be(name, value, sentence):
    assert refusal(**{name: value}) == f"{name} {sentence}"


def test_lease_shorter_than_two_heartbeats_is_refused():
    assert refusal(MODELYARD_LEASE_SECONDS="9").startswith("MODELYARD_LEASE_HEARTBEAT_SECONDS must be at most half")


def test_missing_required_variable_is_named():
    with pytest.raises(InvalidSetting, match="MODELYARD_DATA_DIR must be set"):
        read_settings(PlatformSettings, {})


def test_secrets_are_not_in_the_text_of_settings():
    secret = dict.fromkeys(("DATABASE_URL", "BROKER_URL", "MASTER_KEY"), "s3cret")
    others = {"DATA_DIR": "/data", "STORAGE_URL": "file:///data/objects"}
    environment = {f"MODELYARD_{name}": value for name, value in {**secret, **others}.items()}
    settings = read_settings(PlatformSettings, environment)
    assert settings.master_key.get_secret_value() == "s3cret"
    assert settings.data_dir.root == Path("/data")
    assert "s3cret" not in repr(settings)


def test_settings_cannot_be_changed():
    with pytest.raises(ValidationError, match="frozen"):
        Tunables().gateway.max_body_bytes = 1  # type: ignore[misc]


def test_every_tunable_has_a_help_text_and_a_default():
    for variable in variables_of(Tunables):
        assert variable.help, variable.name
        assert not variable.field.is_required(), variable.name


def test_settings_page_is_current():
    spec = importlib.util.spec_from_file_location("generate_settings", ROOT / "docs" / "generate_settings.py")
    assert spec is not None
    assert spec.loader is not None
    program = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(program)
    assert (ROOT / "docs" / "settings.md").read_text() == program.settings_page(), "run `make docs`"
