"""Rules for every request: authentication, paths, bodies, errors and absolute URLs; and workspaces."""

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
from tests.control_plane.control import SUBSCRIPTION, TOKEN, WORKSPACE, Control, anonymous, concurrently, error_of


class TestAuthentication:
    @pytest.mark.parametrize("path", ["/health", "/ready", "/openapi.json", "/metadata/endpoints", "/discovery"])
    def test_public_path_needs_no_token(self, control, path):
        assert anonymous.get(f"{control.url}{path}").status_code == 200

    @pytest.mark.parametrize("header", [None, "Bearer wrong", f"Basic {TOKEN}", "Bearer", TOKEN, "Bearer \xfc"])
    @pytest.mark.parametrize("path", [WORKSPACE, "/nowhere", f"{WORKSPACE}/onlineEndpoints/e"])
    def test_request_without_the_token_is_401_on_known_and_unknown_paths(self, control, path, header):
        headers = {"Authorization": header.encode("latin-1")} if header else {}
        answer = anonymous.get(f"{control.url}{path}", headers=headers)
        assert error_of(answer, 401)["code"] == "Unauthorized"
        assert answer.headers["WWW-Authenticate"] == "Bearer"

    def test_bearer_scheme_is_read_in_any_case(self, control):
        assert anonymous.get(control.url + WORKSPACE, headers={"Authorization": f"bearer {TOKEN}"}).status_code == 200

    def test_replaced_token_is_401_after_the_digests_are_reread(self, control):
        assert control.ask("GET", "").status_code == 200
        with control.sessions.begin() as session:
            session.execute(delete(AdminTokenRow))
            session.add(AdminTokenRow(digest=digest_token("another")))
        control.services.verifier.credentials_changed()
        assert control.ask("GET", "").status_code == 401
        assert anonymous.get(control.url + WORKSPACE, headers={"Authorization": "Bearer another"}).status_code == 200


class TestPaths:
    def test_fixed_segments_are_read_in_any_case_and_names_keep_their_spelling(self, control):
        path = WORKSPACE.replace("resourceGroups", "RESOURCEGROUPS").replace("Microsoft.Machine", "microsoft.machine")
        control.endpoint("ep-one")
        answer = control.ask("GET", f"/{path.upper().replace('/EP', '/ep')}/ONLINEENDPOINTS/EP-ONE/")
        assert answer.status_code == 200
        assert answer.json()["id"] == f"{WORKSPACE}/onlineEndpoints/ep-one"

    def test_model_may_have_the_name_of_a_fixed_segment(self, control):
        control.put("/models/VERSIONS", {"properties": {}})
        assert control.get("/models/VERSIONS")["name"] == "VERSIONS"

    def test_any_api_version_is_accepted(self, control):
        assert control.get("", **{"api-version": "1999-01-01"})["name"] == "default"

    @pytest.mark.parametrize("path", ["/models/%00", "/models/%ff", "/nothing/here"])
    def test_path_with_an_impossible_name_is_404(self, control, path):
        assert error_of(control.ask("GET", path), 404)["code"] == "ResourceNotFound"


class TestErrors:
    def test_unknown_route_is_404(self, control):
        assert error_of(control.ask("GET", "//nowhere"), 404)["code"] == "ResourceNotFound"

    def test_unknown_method_is_405_with_an_allow_header(self, control):
        answer = control.ask("POST", "/models/m", {})
        assert error_of(answer, 405)["code"] == "MethodNotAllowed"
        assert answer.headers["Allow"]

    @pytest.mark.parametrize("content", [b"", b"{", b"[]", b"7", b"\xff", b"[" * 100_000, b'{"properties": 1e9999}'])
    def test_body_of_the_wrong_shape_is_400(self, control, content):
        answer = control.http.put(f"{WORKSPACE}/onlineEndpoints/ep-one", content=content)
        assert error_of(answer, 400)["code"] == "InvalidRequestContent"

    def test_error_names_every_invalid_field(self, control):
        properties = {"authMode": "key", "traffic": {"blue": "much"}, "publicNetworkAccess": "perhaps"}
        error = error_of(control.ask("PUT", "/onlineEndpoints/ep-one", {"tags": 7, "properties": properties}), 400)
        named = {detail["target"] for detail in error["details"]}
        assert named == {"tags", "properties.traffic.blue", "properties.publicNetworkAccess"}
        assert all(name in error["message"] for name in named)

    @pytest.mark.parametrize("text", ["a\0b", "\ud800"])
    def test_character_that_cannot_be_stored_is_400(self, control, text):
        body = json.dumps({"tags": {"t": text}, "properties": {"authMode": "key"}})
        answer = control.http.put(f"{WORKSPACE}/onlineEndpoints/ep-one", content=body)
        error_of(answer, 400)
        assert control.get("/onlineEndpoints")["value"] == []

    def test_body_over_the_limit_is_413(self, control):
        body = {"tags": {"t": "x" * (1 << 20)}, "properties": {"authMode": "key"}}
        assert error_of(control.ask("PUT", "/onlineEndpoints/ep-one", body), 413)["code"] == "PayloadTooLarge"

    def test_chunked_body_over_the_limit_is_413_before_its_end(self, control):
        """The client sends a byte over the limit but no end of the body, and then waits for the response."""
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

    def test_internal_error_shows_a_request_id_and_no_internals(self, control, caplog):
        control.put("/onlineEndpoints/ep-one", {"properties": {"authMode": "Key"}})
        with control.sessions.begin() as session:
            session.connection().exec_driver_sql("UPDATE online_endpoints SET auth_mode = 'secret-internal-state'")
        answer = control.ask("GET", "/onlineEndpoints/ep-one")
        error = error_of(answer, 500)
        assert answer.headers["x-ms-request-id"] in error["message"]
        assert "secret-internal-state" not in answer.text
        assert "secret-internal-state" in caplog.text

    def test_every_response_has_its_own_request_id(self, control):
        ids = {control.ask("GET", path).headers["x-ms-request-id"] for path in ("", "//health", "//nowhere")}
        assert len(ids) == 3

    def test_changes_are_503_while_the_database_is_away_and_work_afterwards(self, control, postgres):
        assert control.ask("GET", "").status_code == 200
        with without_database(postgres.url("postgres"), str(control.engine.url.database)):
            assert anonymous.get(f"{control.url}/health").status_code == 200
            assert error_of(anonymous.get(f"{control.url}/ready"), 503)["code"] == "ServiceUnavailable"
            error_of(control.ask("PUT", "/models/m", {"properties": {}}), 503)
        assert control.ask("PUT", "/models/m", {"properties": {}}).status_code == 201


@contextmanager
def without_database(server_url: str, name: str) -> Iterator[None]:
    server = create_engine(server_url, isolation_level="AUTOCOMMIT")
    with server.connect() as connection:
        connection.exec_driver_sql(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
        connection.exec_driver_sql(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'")
        try:
            yield
        finally:
            connection.exec_driver_sql(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")
    server.dispose()


class TestAbsoluteUrls:
    def test_urls_follow_the_host_header(self, control):
        control.endpoint("ep-one")
        answer = control.ask("GET", "/onlineEndpoints/ep-one", headers={"Host": "models.example:9000"})
        properties = answer.json()["properties"]
        assert properties["scoringUri"] == "http://models.example:8001/ep-one/score"
        assert properties["swaggerUri"] == "http://models.example:8001/ep-one/swagger.json"
        assert properties["properties"]["AzureAsyncOperationUri"].startswith("http://models.example:9000/")

    def test_ipv6_host_keeps_its_brackets(self, control):
        control.endpoint("ep-one")
        answer = control.ask("GET", "/onlineEndpoints/ep-one", headers={"Host": "[::1]:9000"})
        assert answer.json()["properties"]["scoringUri"] == "http://[::1]:8001/ep-one/score"

    def test_settings_win_over_the_host_header_and_forwarded_headers_are_ignored(self, make_control):
        control: Control = make_control(public_url="https://m.example", scoring_public_url="https://s.example")
        control.endpoint("ep-one")
        headers = {"X-Forwarded-Host": "evil.example", "X-Forwarded-Proto": "ftp"}
        properties = control.ask("GET", "/onlineEndpoints/ep-one", headers=headers).json()["properties"]
        assert properties["scoringUri"] == "https://s.example/ep-one/score"
        assert properties["properties"]["AzureAsyncOperationUri"].startswith("https://m.example/subscriptions/")

    def test_malformed_host_header_is_not_repeated(self, control):
        control.endpoint("ep-one")
        answer = control.ask("GET", "/onlineEndpoints/ep-one", headers={"Host": "a/b?<script>"})
        assert "<script>" not in answer.text


class TestCloudMetadata:
    def test_cloud_metadata_has_the_fields_that_azures_sdk_reads(self, control):
        (cloud,) = anonymous.get(f"{control.url}/metadata/endpoints").json()
        assert cloud["resourceManager"] == f"{control.url}/"
        assert f"{control.url}/metadata/endpoints".startswith(cloud["resourceManager"])
        assert set(cloud) >= {"name", "portal", "authentication", "suffixes"}

    @pytest.mark.parametrize("host", ["localhost:8443", "ml.example.org", "[::1]:8443"])
    def test_client_finds_the_platform_under_the_name_that_it_asked(self, make_control, host):
        control = make_control(public_url="https://public.example.org")
        clouds = anonymous.get(f"{control.url}/metadata/endpoints", headers={"Host": host}).json()
        assert [cloud["resourceManager"] for cloud in clouds] == ["https://public.example.org/", f"http://{host}/"]
        # Azure's SDK keeps the first URL of a name.
        assert len({cloud["name"] for cloud in clouds}) == 2
        assert clouds[1]["authentication"]["loginEndpoint"] == f"http://{host}"

    def test_client_that_asks_the_public_url_finds_it_once(self, make_control):
        control = make_control(public_url="http://public.example.org")
        (cloud,) = anonymous.get(f"{control.url}/metadata/endpoints", headers={"Host": "public.example.org"}).json()
        assert cloud["resourceManager"] == "http://public.example.org/"


class TestWorkspaces:
    def test_default_workspace_exists(self, control):
        found = control.get("")
        assert (found["name"], found["location"], found["id"]) == ("default", "local", WORKSPACE)
        assert found["properties"]["discoveryUrl"] == f"{control.url}/discovery"
        tracking = f"azureml://{control.url.removeprefix('http://')}/mlflow/v1.0{WORKSPACE}"
        assert found["properties"]["mlFlowTrackingUri"] == tracking
        assert [each["name"] for each in control.get(f"/{WORKSPACE.rpartition('/')[0]}")["value"]] == ["default"]

    def test_put_creates_a_workspace_that_keeps_its_spelling(self, control):
        base = (
            f"//subscriptions/{SUBSCRIPTION}/resourceGroups/Team/providers/Microsoft.MachineLearningServices/workspaces"
        )
        assert control.put(f"{base}/Mine", {"location": "attic"})["location"] == "attic"
        assert control.put(f"{base.lower()}/mine", {"location": "attic"}, 200)["name"] == "Mine"

    def test_unknown_workspace_is_404(self, control):
        error_of(control.ask("GET", f"/{WORKSPACE}x/models"), 404)

    def test_concurrent_puts_create_a_single_workspace(self, control):
        base = (
            f"//subscriptions/{SUBSCRIPTION}/resourceGroups/r/providers/Microsoft.MachineLearningServices/workspaces/w"
        )
        answers = concurrently(6, lambda: control.ask("PUT", base, {"location": "l"}).status_code)
        assert sorted(answers) == [200] * 5 + [201]
