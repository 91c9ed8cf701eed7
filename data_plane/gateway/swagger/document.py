"""The whole document: the operations of an endpoint, with the schemas of one deployment."""

from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from data_plane.gateway.swagger.bodies import (
    ERROR,
    MLFLOW_ERROR,
    MLFLOW_INPUT,
    MLFLOW_OUTPUT,
    SERVICE_INPUT,
    SERVICE_OUTPUT,
    schemas_of,
)
from data_plane.gateway.swagger.dialect import Dialect
from data_plane.gateway.swagger.schemas import Schema
from data_plane.scoring.loaded_bundle import LoadedBundle
from modelyard.core.domain.required_roles import role_below_endpoint

_JSON = "application/json"
_TEXT: Schema = {"type": "string"}
_BINARY: Schema = {"type": "string", "format": "binary"}
_KEY = "Bearer"
_DEPLOYMENT_HEADER = "azureml-model-deployment"
_REQUIRED_ROLE = "x-required-role"


@dataclass(frozen=True, slots=True)
class _Scoring:
    id: str
    summary: str
    takes: str
    answers: str
    refuses: str
    other_bodies: Mapping[str, Schema]
    errors: Mapping[int, str]


_REFUSALS = {
    400: "The body cannot be read, or the input does not fit the model's signature",
    401: "No valid key or token",
    403: "The token does not have the role scorer in the endpoint's workspace",
    404: "No such deployment, or none with traffic",
    413: "The body is too large",
    429: "Too many requests",
    503: "No worker is ready",
}
_LATE = "The model did not answer in time"
_SCORING = {
    "/score": _Scoring(
        "RunMLService",
        "Score, in Azure's format",
        SERVICE_INPUT,
        SERVICE_OUTPUT,
        ERROR,
        {},
        {**_REFUSALS, 408: _LATE, 424: "The model failed"},
    ),
    "/invocations": _Scoring(
        "RunMLflowModel",
        "Score, in MLflow's formats",
        MLFLOW_INPUT,
        MLFLOW_OUTPUT,
        MLFLOW_ERROR,
        {"text/csv": _TEXT, "application/vnd.apache.parquet": _BINARY},
        {**_REFUSALS, 504: _LATE},
    ),
}


def document(endpoint: str, loaded: LoadedBundle, dialect: Dialect) -> dict[str, Any]:
    bundle = loaded.bundle
    schemas = {name: dialect.schema(schema) for name, schema in schemas_of(loaded).items()}
    info = {
        "title": endpoint,
        "version": bundle.model.version,
        "description": f"Deployment {bundle.deployment} of the model {bundle.model.name}, version "
        f"{bundle.model.version}. The Open Inference Protocol is spoken below /v2.",
    }
    writer = _Writer(dialect)
    paths: dict[str, Any] = {path: {"post": writer.scoring(path, operation)} for path, operation in _SCORING.items()}
    paths["/"] = {"get": writer.health()}
    common = {"info": info, "security": [{_KEY: []}], "paths": paths}
    if dialect.is_swagger_2:
        in_header = {_KEY: {"type": "apiKey", "name": "Authorization", "in": "header"}}
        known = {"definitions": schemas, "securityDefinitions": in_header}
        return {"swagger": dialect.full_version, **common, "basePath": f"/{endpoint}", **known}
    bearer = {_KEY: {"type": "http", "scheme": "bearer"}}
    components = {"schemas": schemas, "securitySchemes": bearer}
    servers = [{"url": f"/{endpoint}"}]
    return {"openapi": dialect.full_version, **common, "servers": servers, "components": components}


@dataclass(frozen=True, slots=True)
class _Writer:
    dialect: Dialect

    def scoring(self, path: str, operation: _Scoring) -> dict[str, Any]:
        header = self._header()
        answers = {"200": self._answer("The predictions", operation.answers)}
        answers |= {str(status): self._answer(why, operation.refuses) for status, why in operation.errors.items()}
        described = {
            "operationId": operation.id,
            "summary": operation.summary,
            _REQUIRED_ROLE: role_below_endpoint(path.lstrip("/")),
            "responses": answers,
        }
        taken = self.dialect.reference(operation.takes)
        if self.dialect.is_swagger_2:
            body = {"name": "serviceInputPayload", "in": "body", "required": True, "schema": taken}
            media_types = {"consumes": [_JSON, *operation.other_bodies], "produces": [_JSON]}
            return {**described, **media_types, "parameters": [header, body]}
        content = {media: {"schema": schema} for media, schema in operation.other_bodies.items()}
        body = {"required": True, "content": {_JSON: {"schema": taken}, **content}}
        return {**described, "parameters": [header], "requestBody": body}

    def health(self) -> dict[str, Any]:
        healthy, unready = HTTPStatus.OK, HTTPStatus.SERVICE_UNAVAILABLE
        answers = {
            str(healthy): self._content("A worker is ready", "text/plain", _TEXT),
            str(unready): self._answer(_REFUSALS[unready], ERROR),
        }
        produces = {"produces": ["text/plain", _JSON]} if self.dialect.is_swagger_2 else {}
        summary = "Whether a worker is ready for a request"
        described = {
            "operationId": "ServiceHealthCheck",
            "summary": summary,
            _REQUIRED_ROLE: role_below_endpoint(""),
            **produces,
        }
        return {**described, "parameters": [self._header()], "responses": answers}

    def _header(self) -> dict[str, Any]:
        typed = _TEXT if self.dialect.is_swagger_2 else {"schema": _TEXT}
        said = "Name of the deployment that answers, whatever its traffic"
        return {"name": _DEPLOYMENT_HEADER, "in": "header", "description": said, **typed}

    def _answer(self, description: str, schema: str) -> dict[str, Any]:
        return self._content(description, _JSON, self.dialect.reference(schema))

    def _content(self, description: str, media_type: str, schema: Schema) -> dict[str, Any]:
        if self.dialect.is_swagger_2:
            return {"description": description, "schema": schema}
        return {"description": description, "content": {media_type: {"schema": schema}}}
