"""`modelyard event list` against a control plane."""

import json
from collections.abc import Callable

import pytest
import yaml

from tests.cli.conftest import Modelyard
from tests.client.platform_proxy import PlatformProxy


@pytest.fixture
def event_list(platform: PlatformProxy, modelyard: Modelyard) -> Callable[..., str]:
    """`modelyard event list` after one change by a user, and a completed deployment."""
    control = platform.control
    control.deployment(control.endpoint(), control.register())

    def call(*options: str) -> str:
        done = modelyard("event", "list", *options)
        assert done.code == 0, done.err
        return done.out

    return call


BLUE = "onlineEndpoints/ep-one/deployments/blue"


def test_event_has_caller_action_resource_request_and_state(event_list):
    (event,) = json.loads(event_list("--resource", BLUE, "--action", "create", "--output", "json"))
    assert event["request_id"]
    assert (event["caller"], event["caller_kind"], event["action"]) == ("admin", "user", "create")
    assert (event["resource"], event["to_state"]) == (BLUE, "Creating")


def test_event_table_has_the_newest_event_first(event_list):
    heading, _, *lines = event_list("--resource", BLUE, "--output", "table").splitlines()
    assert heading.split() == ["Time", "Caller", "Action", "Resource", "From", "To"]
    assert [line.split()[1:3] for line in lines] == [
        ["system:host", "succeed"],
        ["system:host", "serve"],
        ["admin", "create"],
    ]


def test_event_list_is_equal_in_yaml_and_json(event_list):
    assert yaml.safe_load(event_list("-o", "yaml")) == json.loads(event_list("-o", "json"))


def test_event_list_filters_by_caller_and_time(event_list):
    everything = json.loads(event_list("-o", "json"))
    by_host = json.loads(event_list("--caller", "system:host", "-o", "json"))
    assert by_host == [event for event in everything if event["caller"] == "system:host"]
    newest = everything[0]["time"]
    assert newest not in [event["time"] for event in json.loads(event_list("--until", newest, "-o", "json"))]
    assert [event["time"] for event in json.loads(event_list("--since", newest, "-o", "json"))] == [newest]


def test_event_list_is_limited_by_max_events(event_list):
    assert len(json.loads(event_list("--max-events", "2", "-o", "json"))) == 2
