"""Every request of the control plane is counted and logged: by the path's template, never by the path as sent."""

import json

from tests.control_plane.control import Control, anonymous


def logged(control: Control) -> list[dict]:
    """The access log. A record is written after the response, so a request is followed by another one first."""
    file = control.settings.data_dir.logs / "control-plane-access.log"
    return [json.loads(line) for line in file.read_text().splitlines()]


def test_request_is_logged_with_template_status_bytes_and_request_id(control):
    body = {"properties": {"authMode": "Key"}}
    answer = control.ask("PUT", "/onlineEndpoints/secret-name", body)
    control.ask("GET", "/onlineEndpoints/secret-name")
    record = logged(control)[0]
    assert record["method"] == "PUT"
    assert record["path"].endswith("/onlineEndpoints/{endpoint}")
    assert record["status"] == answer.status_code
    assert record["request_bytes"] == len(answer.request.content)
    assert record["response_bytes"] == len(answer.content)
    assert record["request_id"] == answer.headers["x-ms-request-id"]
    assert record["duration_ms"] > 0


def test_names_tokens_and_query_strings_are_not_logged(control):
    control.ask("GET", "/onlineEndpoints/secret-name?sig=secret-signature")
    anonymous.get(f"{control.url}/secret-path", headers={"Authorization": "Bearer secret-token"})
    control.ask("GET", "/onlineEndpoints")
    assert "secret" not in json.dumps(logged(control))


def test_request_refused_before_routing_is_counted_as_unmatched(control):
    anonymous.get(f"{control.url}/nowhere")
    control.ask("GET", "/onlineEndpoints")
    requests = control.services.telemetry.registry.snapshot()
    assert requests.value("control_plane_requests", "GET", "(unmatched)", "401") == 1
