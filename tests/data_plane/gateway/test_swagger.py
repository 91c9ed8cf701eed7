"""`/swagger.json`: valid documents for every kind of model, whose schemas accept the model's example."""

import json
from collections.abc import Iterator
from typing import Any

import jsonschema
import pytest
from openapi_spec_validator import OpenAPIV2SpecValidator, OpenAPIV30SpecValidator, OpenAPIV31SpecValidator

from tests.data_plane.gateway.conftest import gateways
from tests.data_plane.gateway.gateway_process import DOUBLES, MIRROR, GatewayProcess

VALIDATORS: dict[str, Any] = {
    "2": OpenAPIV2SpecValidator,
    "3": OpenAPIV30SpecValidator,
    "3.1": OpenAPIV31SpecValidator,
}
SCALARS = ["boolean", "integer", "long", "float", "double", "string", "binary", "datetime", "any", "sparkml_vector"]
POINT = {"type": "object", "properties": {"x": {"type": "double"}, "unit": {"type": "string", "required": False}}}
NESTED = [
    {"name": "points", "type": "array", "items": POINT},
    {"name": "weights", "type": "map", "values": {"type": "array", "items": {"type": "long"}}},
    {"name": "nullable", "type": "string", "required": False},
    # Names of columns that a careless translation would take for keywords of a schema.
    {"name": "properties", "type": "object", "properties": {"anyOf": {"type": "long"}, "example": {"type": "long"}}},
]
NESTED_ROW = [[{"x": 1.5}], {"a": [1]}, None, {"anyOf": 1, "example": 2}]
PARAMS = [
    {"name": "k", "type": "long", "default": 3, "shape": None},
    {"name": "stop", "type": "string", "default": ["a", "b"], "shape": [-1]},
    {"name": "none", "type": "double", "default": None, "shape": None},
    {"name": "nan", "type": "double", "default": float("nan"), "shape": None},
    {"name": "since", "type": "datetime", "default": "2024-05-31T00:00:00", "shape": None},
    {"name": "point", "type": "object", "properties": {"x": {"type": "double"}}, "default": {"x": 1.0}},
]


def tensor(shape: list[int], dtype: str = "float32", **name: str) -> dict[str, Any]:
    return {"type": "tensor", "tensor-spec": {"dtype": dtype, "shape": shape}, **name}


def columns(*types: str) -> list[dict[str, Any]]:
    return [{"type": each, "name": each} for each in types]


# The signature of each model, and the saved example.
MODELS: dict[str, dict[str, Any]] = {
    "columns": {"inputs": json.loads(DOUBLES), "example": {"input_data": [{"alcohol": 1.0, "acidity": 2.0}]}},
    "every-type": {"inputs": columns(*SCALARS), "outputs": columns(*SCALARS)},
    "records": {"inputs": columns("long"), "example": {"input_data": [{"long": 1}]}},
    "nested": {
        "inputs": NESTED,
        "outputs": NESTED,
        "example": {"input_data": {"columns": [each["name"] for each in NESTED], "data": [NESTED_ROW]}},
    },
    "unnamed": {"inputs": [{"type": "double"}, {"type": "string"}], "example": {"input_data": [[1.5, "x"]]}},
    "unnamed-column": {"inputs": [{"type": "double"}], "outputs": [{"type": "double"}]},
    "tensor": {"inputs": [tensor([-1, 2])], "outputs": [tensor([-1])], "example": {"input_data": [[1.0, 2.0]]}},
    "scalar-tensor": {"inputs": [tensor([], "bool")], "outputs": [tensor([0], "str")]},
    "tensors": {
        "inputs": [tensor([-1], "int64", name="ids"), tensor([-1, 1], "object", name="words")],
        "example": {"input_data": {"ids": [1], "words": [["a"]]}},
    },
    "params": {"inputs": columns("string"), "params": PARAMS, "example": {"input_data": [["x"]], "params": {"k": 5}}},
    "params-only": {"params": PARAMS},
    "chat": {
        "inputs": [{"name": "messages", "type": "array", "items": POINT}],
        "example": {"input_data": {"messages": [{"x": 1.0}]}},
    },
    "type-hint": {"inputs": [POINT], "type_hints": True, "example": {"input_data": [{"x": 1.0}]}},
    "undeclared": {"example": {"input_data": {"any": ["thing", None]}}},
    "broken-outputs": {"inputs": columns("long"), "outputs": {"no": "list"}},
    "strange-names": {"inputs": [{"name": name, "type": "long"} for name in ("a b/c~d", "$ref", "ä", "\ud800")]},
}


@pytest.fixture(scope="module")
def gateway() -> Iterator[GatewayProcess]:
    with gateways() as start:
        front = start()
        routes = [_deployed(front, name, **model) for name, model in MODELS.items()]
        front.endpoint(*routes, traffic={"columns": 100})
        front.publish()
        yield front


def _deployed(front: GatewayProcess, name: str, example: Any = None, type_hints: bool = False, **signature: Any) -> Any:
    written = {part: json.dumps(declared) for part, declared in signature.items()}
    return front.deployment(
        MIRROR,
        instances=0,
        name=name,
        type_hints=type_hints,
        input_example=example,
        model_version="7",
        # Requests do not wait for a worker.
        max_queue_wait_seconds=0.0,
        **written,
    )[0]


def document(gateway: GatewayProcess, deployment: str, version: str = "2") -> Any:
    answered = gateway.request(
        "GET", f"/wines/swagger.json?version={version}", headers={"azureml-model-deployment": deployment}
    )
    assert (answered.status, answered.headers["content-type"]) == (200, "application/json")
    assert answered.headers["azureml-model-deployment"] == deployment
    return answered.json


def schemas(gateway: GatewayProcess, deployment: str) -> Any:
    return document(gateway, deployment, "3.1")["components"]["schemas"]


class TestDocuments:
    @pytest.mark.parametrize("version", VALIDATORS)
    @pytest.mark.parametrize("deployment", MODELS)
    def test_documents_are_valid_in_every_version(self, gateway: GatewayProcess, deployment: str, version: str) -> None:
        VALIDATORS[version](document(gateway, deployment, version)).validate()

    @pytest.mark.parametrize("deployment", [name for name, model in MODELS.items() if "example" in model])
    def test_document_has_the_models_example_and_its_schemas_accept_it(
        self, gateway: GatewayProcess, deployment: str
    ) -> None:
        described = document(gateway, deployment, "3.1")
        example = MODELS[deployment]["example"]
        assert described["components"]["schemas"]["ServiceInput"]["examples"] == [example]
        assert document(gateway, deployment, "2")["definitions"]["ServiceInput"]["example"] == example
        assert document(gateway, deployment, "3")["components"]["schemas"]["ServiceInput"]["example"] == example
        validate(example, described)

    @pytest.mark.parametrize("deployment", [name for name in MODELS if name != "params-only"])
    def test_shown_sample_is_accepted(self, gateway: GatewayProcess, deployment: str) -> None:
        shown = document(gateway, deployment)["definitions"]["ServiceInput"]["example"]
        named = {"azureml-model-deployment": deployment}
        answered = gateway.request("POST", "/wines/score", json.dumps(shown).encode(), headers=named)
        # The deployments have no workers, and a refused body would be a 400.
        assert (answered.status, answered.error["code"]) == (503, "NoReadyWorker"), answered.content

    @pytest.mark.parametrize(
        ("deployment", "wrong"),
        [
            ("columns", {"input_data": [{"alcohol": "strong"}]}),
            ("columns", {}),
            ("nested", {"input_data": [{"points": [{"y": 1}]}]}),
            ("tensor", {"input_data": [[1.0]]}),
            ("tensors", {"input_data": {"ids": [1]}}),
            ("params", {"input_data": [["x"]], "params": {"k": "many"}}),
        ],
    )
    def test_document_schemas_refuse_a_wrong_body(self, gateway: GatewayProcess, deployment: str, wrong: Any) -> None:
        with pytest.raises(jsonschema.ValidationError):
            validate(wrong, document(gateway, deployment, "3.1"))

    def test_document_writes_each_type_in_the_form_of_its_version(self, gateway: GatewayProcess) -> None:
        of = {version: document(gateway, "every-type", version) for version in VALIDATORS}
        assert of["2"]["definitions"]["Record"]["properties"]["double"] == {
            "type": "number",
            "format": "double",
            "x-nullable": True,
        }
        record = of["3"]["components"]["schemas"]["Record"]["properties"]
        assert record["double"] == {"type": "number", "format": "double", "nullable": True}
        assert (record["long"], record["any"]) == ({"type": "integer", "format": "int64"}, {})
        record = of["3.1"]["components"]["schemas"]["Record"]["properties"]
        assert record["double"] == {"type": ["number", "null"], "format": "double"}

    def test_document_has_params_with_their_defaults(self, gateway: GatewayProcess) -> None:
        params = schemas(gateway, "params")["Params"]["properties"]
        assert params["k"] == {"type": ["integer", "null"], "format": "int64", "default": 3}
        assert params["stop"]["default"] == ["a", "b"]
        assert "default" not in params["none"]
        assert "default" not in params["nan"]

    def test_document_has_the_sizes_of_tensors(self, gateway: GatewayProcess) -> None:
        rows = schemas(gateway, "tensor")["ServiceInput"]["properties"]["input_data"]
        assert "minItems" not in rows
        assert (rows["items"]["minItems"], rows["items"]["maxItems"]) == (2, 2)

    def test_document_has_the_base_path_and_the_authentication(self, gateway: GatewayProcess) -> None:
        second, third = document(gateway, "columns", "2"), document(gateway, "columns", "3")
        assert (second["basePath"], third["servers"]) == ("/wines", [{"url": "/wines"}])
        assert second["info"] == third["info"]
        assert (second["info"]["title"], second["info"]["version"]) == ("wines", "7")
        assert second["securityDefinitions"]["Bearer"]["name"] == "Authorization"
        assert third["components"]["securitySchemes"]["Bearer"]["scheme"] == "bearer"
        assert list(third["paths"]) == list(second["paths"]) == ["/score", "/invocations", "/"]


def validate(body: Any, described: Any) -> None:
    """Validate a body of /score."""
    jsonschema.Draft202012Validator({"$ref": "#/components/schemas/ServiceInput", **described}).validate(body)


class TestRequests:
    @pytest.mark.parametrize("query", ["", "?", "?other=1", "?version=2", "?version=3&version=2"])
    def test_swagger_2_is_the_default_version(self, gateway: GatewayProcess, query: str) -> None:
        assert gateway.request("GET", f"/wines/swagger.json{query}").json["swagger"] == "2.0"

    @pytest.mark.parametrize(("version", "full"), [("3", "3.0.3"), ("3.1", "3.1.0")])
    def test_openapi_versions_are_answered_on_request(self, gateway: GatewayProcess, version: str, full: str) -> None:
        assert gateway.request("GET", f"/wines/swagger.json?version={version}").json["openapi"] == full

    @pytest.mark.parametrize("query", ["version=", "version=4", "version=2.0", "version=%ff", "version=3;"])
    def test_unknown_version_is_refused_with_the_choices(self, gateway: GatewayProcess, query: str) -> None:
        refused = gateway.request("GET", f"/wines/swagger.json?{query}")
        assert (refused.status, refused.error["code"]) == (400, "BadArgument")
        assert "2, 3, 3.1" in refused.error["message"]

    def test_query_with_too_many_fields_is_refused(self, gateway: GatewayProcess) -> None:
        assert gateway.request("GET", f"/wines/swagger.json?{'a&' * 99}").error["code"] == "BadArgument"

    def test_document_describes_the_deployment_that_a_request_would_reach(self, gateway: GatewayProcess) -> None:
        answered = gateway.request("GET", "/wines/swagger.json")
        assert answered.headers["azureml-model-deployment"] == "columns"
        assert "alcohol" in answered.json["definitions"]["Record"]["properties"]
        assert "Frame" not in document(gateway, "tensor")["definitions"]

    @pytest.mark.parametrize(
        ("headers", "status"), [({"Authorization": ""}, 401), ({"azureml-model-deployment": "none"}, 404)]
    )
    def test_document_is_refused_like_a_request(
        self, gateway: GatewayProcess, headers: dict[str, str], status: int
    ) -> None:
        assert gateway.request("GET", "/wines/swagger.json", headers=headers).status == status

    def test_new_generation_has_its_own_document(self, gateway: GatewayProcess) -> None:
        routes = dict(gateway.endpoints["wines"].deployments)
        routes["records"] = gateway.deployment(
            MIRROR, instances=0, name="records", generation=4, inputs=json.dumps(columns("string"))
        )[0]
        before = schemas(gateway, "records")["Record"]["properties"]
        gateway.endpoint(*routes.values(), traffic={"columns": 100})
        gateway.publish()
        assert list(before) == ["long"]
        assert list(schemas(gateway, "records")["Record"]["properties"]) == ["string"]
