"""The OpenAPI document has every route, and responses fit the declared schemas."""

import json
import re
from typing import Any

import pytest
from fastapi.routing import APIRoute

from control_plane.app import ROUTERS
from control_plane.web.arm_path import canonical_path
from tests.control_plane.control import SUBSCRIPTION, WORKSPACE, Control, anonymous

_METHODS = {"get", "put", "post", "patch", "delete", "head"}


@pytest.fixture
def document(control: Control) -> dict[str, Any]:
    return anonymous.get(f"{control.url}/openapi.json").json()


def operations(document: dict[str, Any]) -> list[tuple[str, str, dict[str, Any]]]:
    return [(path, method, operation) for path, item in document["paths"].items() for method, operation in item.items()]


def test_document_has_every_route(document):
    served = {
        (_template(route.path), method.lower())
        for router in ROUTERS
        for route in router.routes
        if isinstance(route, APIRoute)
        for method in route.methods
    }
    assert served == {(path, method) for path, method, _ in operations(document)}
    assert len(served) > 80


def test_every_fixed_segment_of_a_route_is_read_in_any_case(document):
    for path in document["paths"]:
        if "/subscriptions/" in path:
            shouted = "/".join(part if part.startswith("{") else part.upper() for part in path.split("/"))
            assert canonical_path(shouted) == path


def _template(path: str) -> str:
    return path.replace(":path}", "}")


def test_every_operation_has_a_unique_name_and_declares_its_errors(document):
    names = [operation["operationId"] for _, _, operation in operations(document)]
    assert len(set(names)) == len(names)
    for path, method, operation in operations(document):
        assert method in _METHODS
        refusals = {status: answer for status, answer in operation["responses"].items() if int(status) >= 400}
        assert "500" in refusals, path
        assert "422" not in operation["responses"], path
        for answer in refusals.values():
            schema = answer["content"]["application/json"]["schema"]
            assert schema == {"$ref": "#/components/schemas/ErrorBody"}, path


def test_every_path_but_public_and_signed_paths_needs_the_token(document):
    free = {path for path, _, operation in operations(document) if not operation["security"]}
    signed = {"/uploads/{upload_id}/{path}", "/blobs/{sha256}", "/datastores/{path}"}
    assert free == {"/health", "/ready", "/metadata/endpoints", "/discovery"} | signed
    assert document["components"]["securitySchemes"]


def test_every_schema_reference_resolves(document):
    schemas = document["components"]["schemas"]
    named = set(re.findall(r'"#/components/schemas/([^"]+)"', json.dumps(document)))
    assert named <= set(schemas)
    assert "HTTPValidationError" not in schemas


def test_keys_are_camel_case_and_durations_and_enums_are_declared(document):
    schemas = document["components"]["schemas"]
    settings = schemas["RequestSettingsBody"]["properties"] if "RequestSettingsBody" in schemas else None
    settings = settings or schemas["RequestSettingsBody-Input"]["properties"]
    assert {"type": "string", "format": "duration"} in settings["requestTimeout"]["anyOf"]
    assert schemas["AuthMode"]["enum"] == ["Key", "AMLToken", "AADToken"]
    # Azure's own token route has names with underscores.
    for schema in (schema for name, schema in schemas.items() if name != "IdentityTokenBody"):
        assert not [name for name in schema.get("properties", {}) if "_" in name]


_BY_SUBSCRIPTION = ("workspaces", "locations/local/vmSizes", "locations/local/usages")
READABLE = (
    *("", "/models", "/models/m", "/models/m/versions", "/models/m/versions/1", "/models/m/versions/1/files"),
    *("/environments", "/environments/e", "/environments/e/versions", "/environments/e/versions/1"),
    *("/builtEnvironments", "/onlineEndpoints", "/onlineEndpoints/ep-one", "/onlineEndpoints/ep-one/deployments"),
    *(f"/onlineEndpoints/ep-one/deployments/blue/{what}" for what in ("skus", "workers", "scoringScript")),
    *("/codes", "/codes/c", "/codes/c/versions", "/codes/c/versions?hash=0a&hashVersion=1", "/codes/c/versions/1"),
    *("/data", "/data/d", "/data/d/versions", "/data/d/versions/1", "/computes", "/computes/local"),
    *("/batchEndpoints", "/batchEndpoints/be-one", "/batchEndpoints/be-one/deployments", "/batchEndpoints/be-one/jobs"),
    *("/batchEndpoints/be-one/deployments/bd-one", "/batchEndpoints/be-one/deployments/bd-one/jobs"),
    *("/jobs", "/jobs/job-one", "/jobs/job-one-run", "/jobs/job-one/files", "//batch/be-one/jobs/job-one"),
    *(f"//history/v1.0{WORKSPACE}/runs/job-one{what}" for what in ("", "/details", "/children")),
    *(
        f"//mferp/managementfrontend{WORKSPACE}/batchEndpoints/be-one{what}/jobs"
        for what in ("", "/deployments/bd-one")
    ),
    *(
        f"//subscriptions/{SUBSCRIPTION}/providers/Microsoft.MachineLearningServices/{what}"
        for what in _BY_SUBSCRIPTION
    ),
    *("/nothing", f"/{WORKSPACE.rpartition('/')[0]}", "//health", "//ready", "//metadata/endpoints", "//discovery"),
)


class TestResponses:
    """A tour of the interface, with every response checked against the document."""

    def test_responses_fit_the_declared_schemas(self, control, document):
        check = Checker(control, document)
        model = control.register()
        conda = {"properties": {"condaFile": "dependencies: [python=3.11]", "image": "i"}}
        check("PUT", "/environments/e/versions/1", conda)
        check("PUT", "/environments/f", {"properties": {"tags": {"a": "b"}}})
        check("PUT", "/onlineEndpoints/ep-one", {"identity": {"type": "None"}, "properties": {"authMode": "key"}})
        check("PUT", "/onlineEndpoints/ep-one", {"properties": {"authMode": "key"}})
        control.gateways_apply()
        deployment = "/onlineEndpoints/ep-one/deployments/blue"
        check("PUT", deployment, {"properties": {"model": model, "dataCollector": {"a": [1]}, "description": "d"}})
        check("GET", deployment)
        operation = control.get(deployment)["properties"]["properties"]["AzureAsyncOperationUri"]
        check("GET", "/" + operation.removeprefix(control.url))
        control.fail_builds("no")
        check("GET", deployment)
        check("GET", "/" + operation.removeprefix(control.url))
        check("PUT", deployment, {"properties": {"model": model}})
        control.store.put(f"bundles/{'b' * 64}/score.py", [b"script"])
        control.build_and_start()
        check("PATCH", deployment, {"sku": {"capacity": 2}})
        self._batch(control, check, model)
        for path in READABLE:
            check("GET", path)
        check("POST", "/models/m/versions/2/startPendingUpload", {})
        check("POST", f"{deployment}/getLogs", {"tail": 5})
        check("POST", "/onlineEndpoints/ep-one/listKeys")
        check("POST", "/onlineEndpoints/ep-one/token")
        check("POST", "/onlineEndpoints/ep-one/regenerateKeys", {"keyType": "primary"})
        control.gateways_apply()
        check("PATCH", "/onlineEndpoints/ep-one", {"tags": {"a": "b"}})
        check("PUT", "/onlineEndpoints/ep-one", {"properties": {"authMode": "key"}})
        check("PUT", "/onlineEndpoints/ep-one", {"properties": {}})
        check("DELETE", "/onlineEndpoints/ep-one")
        check("DELETE", "/onlineEndpoints/none")
        check("DELETE", "/environments/e")
        check("DELETE", "/codes/c")
        assert len(check.seen) > 60

    def _batch(self, control, check, model):
        check("PUT", "/computes/c", {"properties": {"computeType": "AmlCompute"}})
        check("PUT", "/data/d/versions/1", {"properties": {"dataType": "uri_file", "dataUri": control.place()["uri"]}})
        check("POST", "/data/d/versions/2/startPendingUpload", {})
        check("PUT", "/datasets/d/versions/3", {"properties": {"paths": [{"folder": control.place()["uri"]}]}})
        check("PUT", "/codes/c/versions/1", {"properties": {"codeUri": control.place()["uri"]}})
        check("POST", "/codes/c/versions/2/startPendingUpload", {})
        check("PUT", "/environments/image/versions/1", {"properties": {"image": "i"}})
        check("PUT", "/batchEndpoints/be-one", {"properties": {"authMode": "aadToken"}})
        deployment = "/batchEndpoints/be-one/deployments/bd-one"
        check("PUT", deployment, {"properties": {"model": {"assetId": model}}})
        control.build_batch()
        check("PATCH", deployment, {"properties": {"retrySettings": {"timeout": "PT5S"}}})
        check("PATCH", "/batchEndpoints/be-one", {"properties": {"defaults": {"deploymentName": "bd-one"}}})
        job = {"properties": {"inputData": {"in": control.place()}, "name": "job-one"}}
        for _ in range(2):
            check("POST", "//batch/be-one/jobs", job)
        check("POST", f"{deployment}/getLogs", {})
        check("POST", "/batchEndpoints/be-one/listKeys")
        control.store.put("datastores/workspaceblobstore/azureml/job-one-run/score/predictions.csv", [b"0,1,a.csv"])
        check("GET", "/jobs/job-one")
        check("PATCH", "/jobs/job-one", {"properties": {"tags": {"a": "b"}}})
        check("POST", "/jobs/job-one/cancel")
        check("POST", "/jobs/none/cancel")


class Checker:
    def __init__(self, control: Control, document: dict[str, Any]) -> None:
        self._control = control
        self._document = document
        self.seen: set[tuple[str, str, int]] = set()

    def __call__(self, method: str, path: str, body: Any = None) -> None:
        answer = self._control.ask(method, path, body)
        target = answer.request.url.path
        template, operation = self._operation(method, target)
        if operation is None:
            assert answer.status_code == 404, target
            return
        self.seen.add((method, template, answer.status_code))
        declared = operation["responses"].get(str(answer.status_code))
        assert declared, f"{method} {template} answered {answer.status_code}, which is not declared: {answer.text}"
        schema = declared.get("content", {}).get("application/json", {}).get("schema")
        if schema is None:
            assert not answer.content, target
        else:
            self._check(answer.json(), schema, target)
        for name in declared.get("headers", {}):
            assert name in answer.headers or answer.status_code == 200, (target, name)

    def _operation(self, method: str, target: str) -> tuple[str, dict[str, Any] | None]:
        for template, item in self._document["paths"].items():
            pattern = re.sub(r"\\{[^/]+?\\}", "[^/]+", re.escape(template))
            if re.fullmatch(pattern, target) and method.lower() in item:
                return template, item[method.lower()]
        return "", None

    def _check(self, value: Any, schema: dict[str, Any], place: str) -> None:
        if "$ref" in schema:
            name = schema["$ref"].rpartition("/")[2]
            self._check(value, self._document["components"]["schemas"][name], place)
        elif "anyOf" in schema:
            self._check_any(value, schema["anyOf"], place)
        else:
            _check_type(value, schema, place)
            for name in schema.get("required", ()) if isinstance(value, dict) else ():
                assert name in value, f"{place}: {name} is missing"
            self._check_members(value, schema, place)

    def _check_any(self, value: Any, schemas: list[dict[str, Any]], place: str) -> None:
        problems = []
        for schema in schemas:
            try:
                return self._check(value, schema, place)
            except AssertionError as problem:
                problems.append(str(problem))
        raise AssertionError(f"{place}: fits none: {problems}")

    def _check_members(self, value: Any, schema: dict[str, Any], place: str) -> None:
        if isinstance(value, list):
            for index, entry in enumerate(value):
                self._check(entry, schema["items"], f"{place}[{index}]")
        if isinstance(value, dict):
            others = schema.get("additionalProperties", "properties" not in schema)
            for name, entry in value.items():
                member = schema.get("properties", {}).get(name, others)
                assert member is not False, f"{place}: {name} is not declared"
                if isinstance(member, dict):
                    self._check(entry, member, f"{place}.{name}")


_TYPES = {
    "string": str,
    "number": (int, float),
    "integer": int,
    "boolean": bool,
    "object": dict,
    "array": list,
    "null": type(None),
}


def _check_type(value: Any, schema: dict[str, Any], place: str) -> None:
    kind = schema.get("type")
    assert kind is None or isinstance(value, _TYPES[kind]), f"{place}: {value!r} is no {kind}"
    assert "enum" not in schema or value in schema["enum"], f"{place}: {value!r} is none of {schema['enum']}"
    if schema.get("format") == "duration":
        assert re.fullmatch(r"-?P(\d+D)?(T.+)?", value), place
    if schema.get("format") == "date-time":
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", value), place
