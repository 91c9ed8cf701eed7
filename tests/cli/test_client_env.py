"""`modelyard client-env`: the variables for Azure's SDK."""

import json
import subprocess
from pathlib import Path

import pytest

from modelyard.cli.main import run
from modelyard.supervisor.pointer import remember_platform

PLAIN, HTTPS = "http://127.0.0.1:8000", "https://127.0.0.1:8443"


@pytest.fixture
def known(tmp_path: Path) -> dict[str, str]:
    """The environment of a user who started a platform with TLS."""
    environment = {"HOME": str(tmp_path)}
    (tmp_path / "admin.token").write_text("it's secret\n")
    (tmp_path / "bundle.pem").touch()
    remember_platform(
        environment, PLAIN, tmp_path / "admin.token", https_url=HTTPS, certificates=tmp_path / "bundle.pem"
    )
    return environment


def variables(environment: dict[str, str], capsys: pytest.CaptureFixture[str]) -> dict[str, str]:
    assert run(["client-env", "--format", "json"], environment) == 0
    found: dict[str, str] = json.loads(capsys.readouterr().out)
    return found


def test_variables_name_the_platform_over_https(known, tmp_path, capsys):
    bundle = str(tmp_path / "bundle.pem")
    assert variables(known, capsys) == {
        "ARM_CLOUD_METADATA_URL": f"{HTTPS}/metadata/endpoints",
        "IDENTITY_ENDPOINT": f"{PLAIN}/msi/token",
        "IDENTITY_HEADER": "it's secret",
        "MODELYARD_URL": HTTPS,
        "MODELYARD_TOKEN": "it's secret",
        "REQUESTS_CA_BUNDLE": bundle,
        "CURL_CA_BUNDLE": bundle,
        "SSL_CERT_FILE": bundle,
    }


def test_lines_can_be_evaluated_by_a_shell(known, capsys):
    assert run(["client-env"], known) == 0
    lines = capsys.readouterr().out
    assert "secret" in lines.splitlines()[0]
    shown = subprocess.run(
        ["sh", "-c", f'{lines}\nprintf "%s" "$IDENTITY_HEADER"'], capture_output=True, text=True, check=True
    )
    assert shown.stdout == "it's secret"


def test_own_variables_take_precedence(known, capsys):
    named = {"MODELYARD_URL": "https://ml.example.org", "MODELYARD_TOKEN": "t", "MODELYARD_WORKSPACE": "team"}
    found = variables({**known, **named}, capsys)
    assert found["IDENTITY_ENDPOINT"] == "https://ml.example.org/msi/token"
    assert (found["IDENTITY_HEADER"], found["MODELYARD_WORKSPACE"]) == ("t", "team")
    assert "SSL_CERT_FILE" not in found


def test_platform_without_https_is_an_error(known, tmp_path, capsys):
    remember_platform(known, PLAIN, tmp_path / "admin.token")
    assert run(["client-env"], known) == 1
    assert "modelyard up --tls" in capsys.readouterr().err


def test_help_says_that_the_output_contains_a_secret(capsys):
    assert run(["client-env", "--help"], {}) == 0
    assert "CONTAINS A SECRET" in " ".join(capsys.readouterr().out.split()).replace("│ ", "")
