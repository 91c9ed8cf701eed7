"""`modelyard token create|list|revoke` against a control plane."""

import json
from datetime import UTC, datetime, timedelta

import pytest

from modelyard.cli.main import run
from tests.cli.conftest import Modelyard
from tests.client.platform_proxy import PlatformProxy


def made(modelyard: Modelyard, *options: str) -> dict[str, object]:
    done = modelyard("token", "create", "-n", "ada", *options)
    assert done.code == 0, done.err
    assert "this once" in done.err
    document: dict[str, object] = json.loads(done.out)
    return document


def test_created_token_opens_what_its_role_allows(modelyard, environment, capsys):
    token = made(modelyard, "--role", "reader", "--subject", "ada@example.org")["token"]
    colleague = {**environment, "MODELYARD_TOKEN": str(token)}
    assert run(["model", "list"], colleague) == 0
    assert run(["token", "list"], colleague) == 1
    assert "does not have the role 'owner'" in capsys.readouterr().err


def test_token_ends_after_90_days_unless_told_otherwise(modelyard):
    in_90_days = datetime.now(UTC) + timedelta(days=90)
    document = made(modelyard, "-r", "scorer", "-r", "reader")
    assert document["roles"] == ["scorer@default", "reader@default"]
    assert abs(datetime.fromisoformat(str(document["expires_at"])) - in_90_days) < timedelta(minutes=5)
    modelyard("token", "revoke", "-n", "ada", "--yes")
    assert "expires_at" not in made(modelyard, "-r", "owner@*", "--expires-in", "never")


def test_list_has_no_text_and_shows_revoked_tokens(modelyard):
    text = str(made(modelyard, "-r", "reader")["token"])
    assert modelyard("token", "revoke", "-n", "ada", "--yes").code == 0
    done = modelyard("token", "list", "-o", "table")
    heading, _, line = done.out.splitlines()
    assert heading.split() == ["Name", "Subject", "Roles", "State", "Expires", "Last", "used"]
    assert line.split()[:4] == ["ada", "ada", "reader@default", "Revoked"]
    assert text not in done.out


def test_revoked_token_is_refused(modelyard, environment, capsys):
    token = made(modelyard, "-r", "reader")["token"]
    modelyard("token", "revoke", "-n", "ada", "--yes")
    assert run(["model", "list"], {**environment, "MODELYARD_TOKEN": str(token)}) == 1
    assert "not valid" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "code", "message"),
    [
        (["-r", "god"], 1, "there is no role 'god'"),
        (["-r", "reader@elsewhere"], 1, "there is no workspace 'elsewhere'"),
        (["-r", "reader", "--expires-in", "soon"], 2, "90d, 12h, 30m or never"),
        (["-r", "reader", "--subject", "admin"], 1, "reserved"),
        ([], 2, "--role"),
    ],
)
def test_wrong_option_is_one_line_and_makes_no_token(modelyard, platform: PlatformProxy, options, code, message):
    done = modelyard("token", "create", "-n", "ada", *options)
    assert (done.code, done.out) == (code, "")
    assert message in done.err
    assert json.loads(modelyard("token", "list", "-o", "json").out) == []


def test_revocation_of_an_unknown_token_fails(modelyard):
    done = modelyard("token", "revoke", "-n", "none", "--yes")
    assert done.code == 1
    assert "there is no token 'none'" in done.err


def test_debug_trace_hides_the_text(modelyard):
    done = modelyard("--debug", "token", "create", "-n", "ada", "-r", "reader")
    text = json.loads(done.out)["token"]
    assert '"token"' in done.err
    assert text not in done.err
