"""A field of a request has an effect, or the request is refused, or a warning of the response names the field."""

import json
import re
import runpy
from pathlib import Path
from typing import Annotated, Any

import httpx2
import pytest

from control_plane.resources.arm_body import ArmBody
from control_plane.resources.without_effect import WithoutEffect, body_in, notes_on
from modelyard.client.documents.assets import ENVIRONMENT, MODEL
from modelyard.client.documents.batch_deployment import BATCH_DEPLOYMENT
from modelyard.client.documents.batch_endpoint import BATCH_ENDPOINT
from modelyard.client.documents.data import DATA
from modelyard.client.documents.job import JOB_SETTINGS
from modelyard.client.documents.online_deployment import ONLINE_DEPLOYMENT
from modelyard.client.documents.online_endpoint import ONLINE_ENDPOINT
from modelyard.core.errors import InvalidRequest
from tests.control_plane.accepted_fields import (
    base_of,
    converter,
    marked_fields,
    routes_with_bodies,
    unread_fields,
)

ROOT = Path(__file__).parents[2]
ROUTES = list(routes_with_bodies())


def warnings_in(answer: httpx2.Response) -> list[str]:
    assert answer.is_success, answer.text
    return [
        json.loads(text) for text in re.findall(r'299 modelyard ("(?:[^"\\]|\\.)*")', answer.headers.get("Warning", ""))
    ]


class TestSchemas:
    @pytest.mark.parametrize(("route", "body"), ROUTES, ids=[f"{route.name}" for route, _ in ROUTES])
    def test_every_field_of_a_body_is_read_or_marked(self, route, body):
        """A new field that no code reads fails here: read the field, refuse it, or mark it with WithoutEffect."""
        if set(marked_fields(body)) == {field.alias or name for name, field in body.model_fields.items()}:
            return
        assert unread_fields(body, base_of(body), converter(route, body)) == []

    def test_unread_field_is_found(self):
        class Inner(ArmBody):
            read: int = 0
            not_read: int = 0

        class Body(ArmBody):
            inner: Inner = Inner()
            marked: Annotated[str | None, WithoutEffect("for the test")] = None
            forgotten: str | None = None

        assert unread_fields(Body, {}, lambda body: body.inner.read + 1) == ["inner.notRead", "forgotten"]

    def test_page_of_the_documentation_is_current(self):
        page = runpy.run_path(str(ROOT / "docs" / "generate_accepted_fields.py"))["accepted_fields_page"]()
        assert (ROOT / "docs" / "accepted-fields.md").read_text() == page, "run `make docs`"

    def test_openapi_shows_the_reason(self):
        described = json.dumps(body_of("put_online_deployment").model_json_schema())
        assert '"x-without-effect": "requests and results are not collected"' in described


class Machine(ArmBody):
    size: Annotated[str | None, WithoutEffect("one size", harmless=("small",))] = None
    disks: list["Machine"] | None = None
    named: dict[str, "Machine"] | None = None
    count: int = 1


class Answer(Machine):
    state: str = ""


class TestNotes:
    @pytest.mark.parametrize(
        ("document", "paths"),
        [
            ({"size": "large"}, ["size"]),
            ({"SIZE": "large"}, ["SIZE"]),
            ({"size": "Small"}, []),
            ({"size": "/clusters/small"}, []),
            ({"size": None, "other": None, "more": {}, "most": [], "text": ""}, []),
            ({"count": 2}, []),
            ({"cuont": 2}, ["cuont"]),
            ({"disks": [{"size": "small"}, {"szie": "small", "size": "large"}]}, ["disks.szie", "disks.size"]),
            ({"named": {"a": {"size": "large", "x": False}}}, ["named.a.size", "named.a.x"]),
            ({"state": "Failed"}, []),
            ([1], []),
        ],
    )
    def test_each_field_without_effect_is_named(self, document, paths):
        assert [note.path for note in notes_on(document, Machine, Answer)] == paths

    def test_read_only_field_of_another_request_than_a_put_is_named(self):
        assert [str(note) for note in notes_on({"state": "Failed"}, Machine)] == [
            "state has no effect: this platform does not read the field in this request"
        ]


DEPLOYMENT = "/onlineEndpoints/house-prices/deployments/blue"


class TestWarnings:
    @pytest.fixture
    def model(self, control):
        control.put("/onlineEndpoints/house-prices", {"properties": {"authMode": "Key"}})
        return control.register()

    def put(self, control, model: str, **properties: Any) -> httpx2.Response:
        body = {"sku": {"capacity": 1}, "properties": {"model": model, **properties}}
        return control.ask("PUT", DEPLOYMENT, body)

    def test_fields_of_azure_and_unknown_fields_are_named(self, control, model):
        answer = self.put(
            control,
            model,
            instanceType="Standard_DS3_v2",
            appInsightsEnabled=True,
            livenessProbe={"successThreshold": 3, "timeout": "PT3S"},
            polocy="x",
            ünïcode='say "hi"',
        )
        assert warnings_in(answer) == [
            "properties.instanceType has no effect: all deployments run on the platform's own machines",
            "properties.appInsightsEnabled has no effect: metrics are at /metrics, and logs at …/getLogs",
            "properties.livenessProbe.successThreshold has no effect: a worker is ready, or healthy again, after one "
            "success",
            "properties.polocy has no effect: this platform does not read the field in this request",
            "properties.ünïcode has no effect: this platform does not read the field in this request",
        ]

    def test_stored_fields_are_named_by_a_property_of_the_resource(self, control, model):
        self.put(control, model, instanceType="Standard_DS3_v2", properties={"mine": "1"})
        assert control.get(DEPLOYMENT)["properties"]["properties"] | {"AzureAsyncOperationUri": ""} == {
            "mine": "1",
            "fieldsWithoutEffect": "properties.instanceType",
            "AzureAsyncOperationUri": "",
        }
        asked = {"identity": {"type": "SystemAssigned"}, "properties": {"authMode": "Key"}}
        read = control.put("/onlineEndpoints/e-one", asked)
        assert read["properties"]["properties"]["fieldsWithoutEffect"] == "identity"
        copied = control.put("/onlineEndpoints/e-two", {**read, "identity": None})
        assert "fieldsWithoutEffect" not in copied["properties"]["properties"]

    def test_resource_as_read_gives_no_warning(self, control, model):
        sent = self.put(control, model, appInsightsEnabled=False, scaleSettings={"scaleType": "Default"})
        assert warnings_in(sent) == []
        for path, route in (
            ("/onlineEndpoints/house-prices", "put_online_endpoint"),
            (DEPLOYMENT, "put_online_deployment"),
        ):
            assert notes_on(control.get(path), body_of(route), answer_of(route)) == []

    def test_many_unknown_fields_are_counted(self, control, model):
        found = warnings_in(self.put(control, model, **{f"x{number}": 1 for number in range(50)}))
        assert len(found) == 21
        assert found[-1] == "30 further fields have no effect"

    @pytest.mark.parametrize(
        ("path", "body", "named"),
        [
            (
                "/onlineEndpoints/e-one",
                {"properties": {"authMode": "Key", "publicNetworkAccess": "Disabled"}},
                "properties.publicNetworkAccess",
            ),
            (
                "/onlineEndpoints/e-one",
                {"identity": {"type": "SystemAssigned"}, "properties": {"authMode": "Key"}},
                "identity",
            ),
            ("/batchEndpoints/b-one", {"identity": {"type": "UserAssigned"}, "properties": {}}, "identity"),
            ("/computes/cluster", {"properties": {"computeType": "AmlCompute"}}, "properties"),
            (
                "/environments/env/versions/1",
                {"properties": {"condaFile": "dependencies: [python=3.11]", "image": "ubuntu"}},
                "properties.image",
            ),
            ("", {"tags": {"a": "b"}}, "tags"),
            ("/models/m", {"properties": {"stage": "Production"}}, "properties.stage"),
            (
                "/tokens/t-one",
                {"properties": {"subject": "s", "roles": [{"role": "reader"}], "token": "mine"}},
                "properties.token",
            ),
        ],
    )
    def test_other_resources_name_their_fields(self, control, path, body, named):
        assert [text.partition(" ")[0] for text in warnings_in(control.ask("PUT", path, body))] == [named]

    def test_patch_names_a_field_that_a_put_would_read(self, control):
        control.put("/batchEndpoints/b-one", {"properties": {}})
        answer = control.ask("PATCH", "/batchEndpoints/b-one", {"kind": "x", "properties": {"authMode": "Key"}})
        assert [text.partition(" ")[0] for text in warnings_in(answer)] == ["kind", "properties.authMode"]


def body_of(name: str) -> type[ArmBody]:
    return next(body for route, body in ROUTES if route.name == name)


def answer_of(name: str) -> Any:
    return next(route.response_model for route, _ in ROUTES if route.name == name)


class TestKubernetes:
    @pytest.mark.parametrize(
        ("path", "body", "target"),
        [
            (
                "/onlineEndpoints/k-one",
                {"properties": {"authMode": "Key", "compute": "azureml:k8s"}},
                "properties.compute",
            ),
            ("/onlineEndpoints/k-one", {"kind": "Kubernetes", "properties": {"authMode": "Key"}}, "kind"),
            ("/onlineEndpoints/k-one", {"kind": "K8S", "properties": {"authMode": "Key"}}, "kind"),
            (
                "/computes/k8s",
                {"properties": {"computeType": "Kubernetes", "resourceId": "/x"}},
                "properties.computeType",
            ),
            ("/computes/k8s", {"properties": {"ComputeType": "AKS"}}, "properties.computeType"),
        ],
    )
    def test_kubernetes_is_refused(self, control, path, body, target):
        answer = control.ask("PUT", path, body)
        assert (answer.status_code, answer.json()["error"]["target"]) == (400, target)
        assert control.ask("GET", path).status_code == 404

    def test_kubernetes_deployment_is_refused(self, control):
        control.put("/onlineEndpoints/house-prices", {"properties": {"authMode": "Key"}})
        body = {"properties": {"model": control.register(), "endpointComputeType": "Kubernetes"}}
        assert control.ask("PUT", DEPLOYMENT, body).json()["error"]["target"] == "properties.endpointComputeType"


class TestAllOffenders:
    def test_every_broken_rule_of_an_online_deployment_is_named(self, control):
        control.put("/onlineEndpoints/house-prices", {"properties": {"authMode": "Key"}})
        properties = {
            "codeConfiguration": {"codeId": "c"},
            "modelMountPath": "/x",
            "scaleSettings": {"scaleType": "TargetUtilization"},
            "environmentVariables": {"WORKER_COUNT": "0"},
            "requestSettings": {"requestTimeout": "PT200S", "batching": "perhaps"},
            "livenessProbe": {"period": "PT0S", "failureThreshold": 0},
            "readinessProbe": {"timeout": "PT301S"},
        }
        error = control.ask("PUT", DEPLOYMENT, {"sku": {"capacity": 99}, "properties": properties}).json()["error"]
        assert [detail["target"] for detail in error["details"]] == [
            "properties.codeConfiguration",
            "properties.modelMountPath",
            "properties.scaleSettings.scaleType",
            "properties.model",
            "properties.environmentVariables",
            "properties.requestSettings.requestTimeout",
            "properties.requestSettings.batching",
            "properties.livenessProbe.period",
            "properties.livenessProbe.failureThreshold",
            "properties.readinessProbe.timeout",
            "sku.capacity",
        ]
        assert "readinessProbe.timeout is 301 s: use more than 0 s and less than 300 s" in error["message"]

    def test_every_broken_setting_of_a_batch_deployment_is_named(self, control):
        control.put("/batchEndpoints/be-one", {"properties": {}})
        properties = {"miniBatchSize": 0, "errorThreshold": -2, "retrySettings": {"maxRetries": -1, "timeout": "PT0S"}}
        error = control.ask("PUT", "/batchEndpoints/be-one/deployments/b-one", {"properties": properties}).json()[
            "error"
        ]
        assert [detail["target"].rpartition(".")[2] for detail in error["details"]] == [
            "model", "miniBatchSize", "errorThreshold", "maxRetries", "timeout",
        ]  # fmt: skip

    def test_every_value_of_a_wrong_type_is_named_with_the_accepted_values(self, control):
        properties = {
            "outputAction": "append_rows",
            "outputFormat": 7,
            "miniBatchSize": "many",
            "errorThreshold": 2.5,
            "retrySettings": {"timeout": "30 s"},
            "resources": [],
        }
        error = control.ask("PUT", "/batchEndpoints/be-one/deployments/b-one", {"properties": properties}).json()[
            "error"
        ]
        assert [detail["message"] for detail in error["details"]] == [
            'properties.miniBatchSize must be a whole number, not "many"',
            "properties.errorThreshold must be a whole number, not 2.5",
            'properties.retrySettings.timeout must be an ISO 8601 duration, such as PT30S, not "30 S"',
            'properties.outputAction must be AppendRow or SummaryOnly, not "append_rows"',
            "properties.outputFormat must be azure, csv_with_header or parquet, not 7",
            "properties.resources must be an object, not []",
        ]


INPUT = {"a": {"jobInputType": "UriFolder", "uri": "azureml:d:1"}}
TWO_COUNTS = {"compute": {"instanceCount": 2}, "resources": {"instanceCount": 3}}
TABLE = {"score": {"jobOutputType": "mltable", "uri": "azureml://x"}}


class TestContradictions:
    @pytest.mark.parametrize(
        ("route", "properties", "target"),
        [
            ("submit_job", {"inputData": INPUT, **TWO_COUNTS}, "compute.instanceCount"),
            ("submit_job", {"inputData": INPUT, "outputData": TABLE}, "outputData.jobOutputType"),
            ("put_environment_version", {"condaFile": "dependencies: []", "osType": "Windows"}, "osType"),
        ],
    )
    def test_value_that_would_be_ignored_is_refused(self, route, properties, target):
        with pytest.raises(InvalidRequest) as raised:
            body_of(route).model_validate({"properties": properties}).to_spec()
        assert raised.value.target == f"properties.{target}"


class TestKeys:
    @pytest.mark.parametrize("collection", ["onlineEndpoints", "batchEndpoints"])
    def test_put_with_other_keys_than_the_endpoints_is_refused(self, control, collection):
        path, key = f"/{collection}/e-one", "a-key-of-sixteen-characters"
        body = {"properties": {"authMode": "Key", "keys": {"primaryKey": key}}}
        control.put(path, body)
        body["properties"]["keys"]["primaryKey"] = f"another-{key}"
        refused = control.ask("PUT", path, body)
        assert refused.status_code in (400, 409)
        if collection == "batchEndpoints":
            assert refused.json()["error"]["target"] == "properties.keys"
            body["properties"]["keys"]["primaryKey"] = key
            assert control.ask("PUT", path, body).status_code == 200


TABLES = {
    "put_online_endpoint": ONLINE_ENDPOINT,
    "put_online_deployment": ONLINE_DEPLOYMENT,
    "put_batch_endpoint": BATCH_ENDPOINT,
    "put_batch_deployment": BATCH_DEPLOYMENT,
    "put_model_version": MODEL,
    "put_environment_version": ENVIRONMENT,
    "put_data_version": DATA,
    "submit_job": JOB_SETTINGS,
}
BESIDE_BODY = {"name", "endpoint_name", "version", "path"}


class TestYaml:
    @pytest.mark.parametrize("route", TABLES)
    def test_every_field_of_a_document_is_a_field_of_the_request(self, route):
        """A field of YAML has the effect of a field of REST, is for the client, or is read-only and noted as such."""
        sent = [field for field in TABLES[route].fields if not field.read_only and not field.beside_body]
        names = [f"properties.{field.arm}" if route == "submit_job" else field.arm for field in sent]
        unknown = [name for name in names if not _has_field(body_of(route), name.split("."))]
        assert unknown == []
        assert {field.yaml for field in TABLES[route].fields if field.beside_body} <= BESIDE_BODY


def _has_field(body: type[ArmBody], names: list[str]) -> bool:
    field = next((field for field in body.model_fields.values() if field.alias == names[0]), None)
    if field is None or len(names) == 1:
        return field is not None
    inner = body_in(field.annotation)
    return _has_field(inner, names[1:]) if inner else "dict[" in str(field.annotation)
