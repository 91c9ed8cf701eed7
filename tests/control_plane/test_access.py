"""What every request meets: who may come in, how paths and bodies are read, how refusals look."""

import json
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPResponse
from urllib.parse import urlsplit

import pytest
from sqlalchemy import create_engine, delete

from modelyard.core.adapters.secret_box import digest_token
from modelyard.core.db.rows import AdminTokenRow
from modelyard.core.settings import ControlPlaneSettings
from tests.control_plane.control import SUBSCRIPTION, TOKEN, WORKSPACE, Control, anybody, at_once, error_of


class TestWhoMayComeIn:
    @pytest.mark.parametrize("path", ["/health", "/ready", "/openapi.json", "/metadata/endpoints"])
    def test_a_few_doors_are_open_to_all(self, control, path):
        assert anybody.get(f"{control.url}{path}").status_code == 200

    @pytest.mark.parametrize("header", [None, "Bearer wrong", f"Basic {TOKEN}", "Bearer", TOKEN, "Bearer \xfc"])
    @pytest.mark.parametrize("path", [WORKSPACE, "/nowhere", f"{WORKSPACE}/onlineEndpoints/e"])
    def test_without_the_token_everything_else_is_closed_even_what_is_not_there(self, control, path, header):
        headers = {"Authorization": header.encode("latin-1")} if header else {}
        answer = anybody.get(f"{control.url}{path}", headers=headers)
        assert error_of(answer, 401)["code"] == "Unauthorized"
        assert answer.headers["WWW-Authenticate"] == "Bearer"

    def test_the_scheme_is_read_in_any_case(self, control):
        assert anybody.get(control.url + WORKSPACE, headers={"Authorization": f"bearer {TOKEN}"}).status_code == 200

    def test_a_replaced_token_opens_nothing_once_the_rows_are_read_again(self, control):
        assert control.ask("GET", "").status_code == 200
        with control.sessions.begin() as session:
            session.execute(delete(AdminTokenRow))
            session.add(AdminTokenRow(digest=digest_token("another")))
        control.app.state.services.verifier._read_at = float("-inf")
        assert control.ask("GET", "").status_code == 401
        assert anybody.get(control.url + WORKSPACE, headers={"Authorization": "Bearer another"}).status_code == 200


class TestPaths:
    def test_the_fixed_words_are_read_in_any_case_and_the_names_kept(self, control):
        path = WORKSPACE.replace("resourceGroups", "RESOURCEGROUPS").replace("Microsoft.Machine", "microsoft.machine")
        control.endpoint("ep-one")
        answer = control.ask("GET", f"/{path.upper().replace('/EP', '/ep')}/ONLINEENDPOINTS/EP-ONE/")
        assert answer.status_code == 200
        assert answer.json()["id"] == f"{WORKSPACE}/onlineEndpoints/ep-one"

    def test_a_model_may_be_called_like_a_fixed_word(self, control):
        control.put("/models/VERSIONS", {"properties": {}})
        assert control.get("/models/VERSIONS")["name"] == "VERSIONS"

    def test_any_api_version_is_accepted(self, control):
        assert control.get("", **{"api-version": "1999-01-01"})["name"] == "default"

    @pytest.mark.parametrize("path", ["/models/%00", "/models/%ff", "/models/a%2Fb", "/nothing/here"])
    def test_what_no_name_can_be_is_not_found(self, control, path):
        assert error_of(control.ask("GET", path), 404)["code"] == "ResourceNotFound"


class TestRefusals:
    def test_an_unknown_route(self, control):
        assert error_of(control.ask("GET", "//nowhere"), 404)["code"] == "ResourceNotFound"

    def test_a_method_that_a_route_does_not_take(self, control):
        answer = control.ask("POST", "/models/m", {})
        assert error_of(answer, 405)["code"] == "MethodNotAllowed"
        assert answer.headers["Allow"]

    @pytest.mark.parametrize("content", [b"", b"{", b"[]", b"7", b"\xff", b"[" * 100_000, b'{"properties": 1e9999}'])
    def test_a_body_that_is_not_the_json_asked_for(self, control, content):
        answer = control.http.put(f"{WORKSPACE}/onlineEndpoints/ep-one", content=content)
        assert error_of(answer, 400)["code"] == "InvalidRequestContent"

    def test_every_wrong_field_is_named(self, control):
        properties = {"authMode": "key", "traffic": {"blue": "much"}, "publicNetworkAccess": "perhaps"}
        error = error_of(control.ask("PUT", "/onlineEndpoints/ep-one", {"tags": 7, "properties": properties}), 400)
        named = {detail["target"] for detail in error["details"]}
        assert named == {"tags", "properties.traffic.blue", "properties.publicNetworkAccess"}
        assert all(name in error["message"] for name in named)

    @pytest.mark.parametrize("text", ["a\0b", "\ud800"])
    def test_characters_that_cannot_be_stored(self, control, text):
        body = json.dumps({"tags": {"t": text}, "properties": {"authMode": "key"}})
        answer = control.http.put(f"{WORKSPACE}/onlineEndpoints/ep-one", content=body)
        error_of(answer, 400)
        assert control.get("/onlineEndpoints")["value"] == []

    def test_a_body_over_the_limit(self, control):
        body = {"tags": {"t": "x" * (1 << 20)}, "properties": {"authMode": "key"}}
        assert error_of(control.ask("PUT", "/onlineEndpoints/ep-one", body), 413)["code"] == "PayloadTooLarge"

    def test_chunked_body_over_the_limit_is_413_before_its_end(self, control):
        """The client sends one byte too many and no end of the body, and then waits for the response."""
        address = urlsplit(control.url)
        head = (
            f"PUT {WORKSPACE}/onlineEndpoints/ep-one HTTP/1.1\r\nHost: {address.netloc}\r\n"
            f"Authorization: Bearer {TOKEN}\r\nTransfer-Encoding: chunked\r\n\r\n"
        )
        size = ControlPlaneSettings().max_json_bytes + 1
        with socket.create_connection((address.hostname, address.port), timeout=30) as connection:
            connection.sendall(head.encode() + f"{size:x}\r\n".encode() + b" " * size)
            response = HTTPResponse(connection, method="PUT")
            response.begin()
            assert response.status == 413
            assert json.load(response)["error"]["code"] == "PayloadTooLarge"

    def test_a_fault_of_ours_is_told_in_one_line_with_a_reference_and_without_internals(self, control, caplog):
        control.put("/onlineEndpoints/ep-one", {"properties": {"authMode": "Key"}})
        with control.sessions.begin() as session:
            session.connection().exec_driver_sql("UPDATE online_endpoints SET auth_mode = 'secret-internal-state'")
        answer = control.ask("GET", "/onlineEndpoints/ep-one")
        error = error_of(answer, 500)
        assert answer.headers["x-ms-request-id"] in error["message"]
        assert "secret-internal-state" not in answer.text
        assert "secret-internal-state" in caplog.text

    def test_every_answer_has_a_request_id(self, control):
        ids = {control.ask("GET", path).headers["x-ms-request-id"] for path in ("", "//health", "//nowhere")}
        assert len(ids) == 3

    def test_while_the_database_is_away_changes_are_refused_readably_and_then_taken_again(self, control, postgres):
        assert control.ask("GET", "").status_code == 200
        with without_database(postgres.url("postgres"), str(control.engine.url.database)):
            assert anybody.get(f"{control.url}/health").status_code == 200
            assert error_of(anybody.get(f"{control.url}/ready"), 503)["code"] == "ServiceUnavailable"
            error_of(control.ask("PUT", "/models/m", {"properties": {}}), 503)
        assert control.ask("PUT", "/models/m", {"properties": {}}).status_code == 201


@contextmanager
def without_database(server_url: str, name: str) -> Iterator[None]:
    server = create_engine(server_url, isolation_level="AUTOCOMMIT")
    with server.connect() as connection:
        connection.exec_driver_sql(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
        connection.exec_driver_sql(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'")
        yield
        connection.exec_driver_sql(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")
    server.dispose()


class TestAbsoluteUrls:
    def test_they_follow_the_host_header(self, control):
        control.endpoint("ep-one")
        answer = control.ask("GET", "/onlineEndpoints/ep-one", headers={"Host": "models.example:9000"})
        properties = answer.json()["properties"]
        assert properties["scoringUri"] == "http://models.example:8001/ep-one/score"
        assert properties["swaggerUri"] == "http://models.example:8001/ep-one/swagger.json"
        assert properties["properties"]["AzureAsyncOperationUri"].startswith("http://models.example:9000/")

    def test_an_ipv6_host_keeps_its_brackets(self, control):
        control.endpoint("ep-one")
        answer = control.ask("GET", "/onlineEndpoints/ep-one", headers={"Host": "[::1]:9000"})
        assert answer.json()["properties"]["scoringUri"] == "http://[::1]:8001/ep-one/score"

    def test_the_settings_go_before_it_and_forwarded_headers_are_not_believed(self, make_control):
        control: Control = make_control(public_url="https://m.example", scoring_public_url="https://s.example")
        control.endpoint("ep-one")
        headers = {"X-Forwarded-Host": "evil.example", "X-Forwarded-Proto": "ftp"}
        properties = control.ask("GET", "/onlineEndpoints/ep-one", headers=headers).json()["properties"]
        assert properties["scoringUri"] == "https://s.example/ep-one/score"
        assert properties["properties"]["AzureAsyncOperationUri"].startswith("https://m.example/subscriptions/")

    def test_a_host_header_that_is_no_host_is_not_repeated(self, control):
        control.endpoint("ep-one")
        answer = control.ask("GET", "/onlineEndpoints/ep-one", headers={"Host": "a/b?<script>"})
        assert "<script>" not in answer.text


class TestCloudMetadata:
    def test_it_names_this_platform_as_azures_sdk_asks(self, control):
        (cloud,) = anybody.get(f"{control.url}/metadata/endpoints").json()
        assert cloud["resourceManager"] == f"{control.url}/"
        assert f"{control.url}/metadata/endpoints".startswith(cloud["resourceManager"])
        assert set(cloud) >= {"name", "portal", "authentication", "suffixes"}


class TestWorkspaces:
    def test_the_default_one_is_there(self, control):
        found = control.get("")
        assert (found["name"], found["location"], found["id"]) == ("default", "local", WORKSPACE)
        assert [each["name"] for each in control.get(f"/{WORKSPACE.rpartition('/')[0]}")["value"]] == ["default"]

    def test_another_is_made_by_a_put_and_keeps_its_spelling(self, control):
        base = (
            f"//subscriptions/{SUBSCRIPTION}/resourceGroups/Team/providers/Microsoft.MachineLearningServices/workspaces"
        )
        assert control.put(f"{base}/Mine", {"location": "attic"})["location"] == "attic"
        assert control.put(f"{base.lower()}/mine", {"location": "attic"}, 200)["name"] == "Mine"

    def test_in_one_that_is_not_there_nothing_is_found(self, control):
        error_of(control.ask("GET", f"/{WORKSPACE}x/models"), 404)

    def test_raced_puts_make_one(self, control):
        base = (
            f"//subscriptions/{SUBSCRIPTION}/resourceGroups/r/providers/Microsoft.MachineLearningServices/workspaces/w"
        )
        answers = at_once(6, lambda: control.ask("PUT", base, {"location": "l"}).status_code)
        assert sorted(answers) == [200] * 5 + [201]
