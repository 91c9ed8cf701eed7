"""`modelyard event list` against a control plane."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from sqlalchemy import Engine

from modelyard.cli.main import run
from tests.control_plane.app_server import AppServers
from tests.control_plane.control import TOKEN, Control


@pytest.fixture
def control(engine: Engine, tmp_path: Path) -> Iterator[Control]:
    """A control plane with one change by a user, and a deployment that the platform has finished."""
    servers = AppServers()
    with servers.lend() as server:
        control = Control(server, engine, tmp_path)
        control.deployment(control.endpoint(), control.register())
        yield control
        control.close()
    servers.close()


@pytest.fixture
def event_list(control: Control, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    environment = {"HOME": str(tmp_path), "MODELYARD_URL": control.url, "MODELYARD_TOKEN": TOKEN}

    def call(*options: str) -> str:
        capsys.readouterr()
        code = run(["event", "list", *options], environment)
        captured = capsys.readouterr()
        assert code == 0, captured.err
        return captured.out

    return call


BLUE = "onlineEndpoints/ep-one/deployments/blue"


def test_json_names_author_action_resource_request_and_states(event_list):
    (event,) = json.loads(event_list("--resource", BLUE, "--action", "create", "--output", "json"))
    assert event["request_id"]
    assert (event["caller"], event["caller_kind"], event["action"]) == ("admin", "user", "create")
    assert (event["resource"], event["to_state"]) == (BLUE, "Creating")


def test_table_has_a_line_for_each_event_with_the_newest_first(event_list):
    heading, _, *lines = event_list("--resource", BLUE, "--output", "table").splitlines()
    assert heading.split() == ["Time", "Caller", "Action", "Resource", "From", "To"]
    assert [line.split()[1:3] for line in lines] == [
        ["system:host", "succeed"],
        ["system:host", "serve"],
        ["admin", "create"],
    ]


def test_yaml_and_json_have_the_same_events(event_list):
    assert yaml.safe_load(event_list("-o", "yaml")) == json.loads(event_list("-o", "json"))


def test_filters_by_caller_and_time(event_list):
    everything = json.loads(event_list("-o", "json"))
    by_host = json.loads(event_list("--caller", "system:host", "-o", "json"))
    assert by_host == [event for event in everything if event["caller"] == "system:host"]
    newest = everything[0]["time"]
    assert newest not in [event["time"] for event in json.loads(event_list("--until", newest, "-o", "json"))]
    assert [event["time"] for event in json.loads(event_list("--since", newest, "-o", "json"))] == [newest]


def test_max_events_limits_the_list(event_list):
    assert len(json.loads(event_list("--max-events", "2", "-o", "json"))) == 2
