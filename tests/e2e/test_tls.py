"""A platform with `--tls`: its own clients and foreign ones over https, with the authority of the data dir."""

import json
import shlex
from urllib.parse import urlsplit

import pytest
import requests

from tests.e2e.platform import WORKSPACE, Platform


@pytest.fixture(scope="module")
def variables(platform: Platform) -> dict[str, str]:
    found: dict[str, str] = json.loads(platform.cli("client-env", "--format", "json").stdout)
    return found


@pytest.fixture
def client(variables: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> requests.Session:
    """A client as the variables make it: it trusts the bundle, and asks the identity route for its token."""
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", variables["REQUESTS_CA_BUNDLE"])
    session = requests.Session()
    token = session.get(
        variables["IDENTITY_ENDPOINT"],
        params={"api-version": "2019-08-01", "resource": "https://management.azure.com/"},
        headers={"X-IDENTITY-HEADER": variables["IDENTITY_HEADER"]},
        timeout=60,
    ).json()["access_token"]
    session.headers["Authorization"] = f"Bearer {token}"
    return session


def test_endpoint_scores_over_https_at_the_url_that_the_platform_answers(platform, tour, client, variables):
    base = variables["MODELYARD_URL"]
    found = client.get(f"{base}{WORKSPACE}/onlineEndpoints/{tour}", timeout=60).json()["properties"]
    assert urlsplit(found["scoringUri"])[:2] == urlsplit(platform.facts["https_scoring_url"])[:2]
    key = client.post(f"{base}{WORKSPACE}/onlineEndpoints/{tour}/listKeys", timeout=60).json()["primaryKey"]
    rows = {"input_data": [[1.0, 0.5, 1], [2.0, 0.25, 2]]}
    headers = {"Authorization": f"Bearer {key}"}
    over_tls = client.post(found["scoringUri"], json=rows, headers=headers, timeout=60)
    plain = requests.post(f"{platform.scoring_url}/{tour}/score", json=rows, headers=headers, timeout=60)
    assert (over_tls.status_code, over_tls.json()) == (200, plain.json())


def test_cloud_metadata_and_discovery_name_the_host_that_was_asked(platform, client, variables):
    for host in ("127.0.0.1", "localhost"):
        base = f"https://{host}:{urlsplit(variables['MODELYARD_URL']).port}"
        (cloud,) = client.get(f"{base}/metadata/endpoints", timeout=60).json()
        assert cloud["resourceManager"] == f"{base}/"
        workspace = client.get(f"{base}{WORKSPACE}", timeout=60).json()["properties"]
        assert workspace["discoveryUrl"] == f"{base}/discovery"


def test_long_running_operation_is_polled_over_https(client, variables):
    url = f"{variables['MODELYARD_URL']}{WORKSPACE}/onlineEndpoints/over-tls"
    made = client.put(url, json={"location": "local", "properties": {"authMode": "Key"}}, timeout=60)
    operation = made.headers["Azure-AsyncOperation"]
    assert operation.startswith(variables["MODELYARD_URL"])
    assert client.get(operation, timeout=60).status_code == 200
    assert client.delete(url, timeout=60).status_code in {200, 202}


def test_command_line_works_over_https(platform, variables):
    shown = platform.cli("workspace", "list", "-o", "json", env={**platform.environment, **_own(variables)})
    assert "default" in shown.stdout


def _own(variables: dict[str, str]) -> dict[str, str]:
    return {name: value for name, value in variables.items() if name.startswith("MODELYARD_")}


def test_lines_for_a_shell_have_the_same_variables(platform, variables):
    words = [line.removeprefix("export ") for line in platform.cli("client-env").stdout.splitlines()[1:]]
    assert dict(shlex.split(word)[0].split("=", 1) for word in words) == variables
