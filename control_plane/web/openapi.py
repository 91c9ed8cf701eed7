"""The OpenAPI document: derived by FastAPI, and corrected where Resource Manager differs."""

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from control_plane.web.openapi_responses import error_schemas
from modelyard.core.domain.required_roles import OpenAccess, RequiredRole, role_of_operation

_BEARER = "bearerToken"
_IDENTITY = "identityHeader"
_BEARER_DESCRIPTION = (
    "The admin token, an access token, or a token of the OpenID Connect issuer. `x-required-role` names the role that "
    "an operation needs in the workspace of the path."
)
_SIGNED_PATHS = ("/uploads/", "/blobs/", "/datastores/")
_API_VERSION: dict[str, Any] = {
    "name": "api-version",
    "in": "query",
    "required": False,
    "description": "Accepted and ignored.",
    "schema": {"type": "string"},
}
_SIGNATURE: list[dict[str, Any]] = [
    {"name": name, "in": "query", "required": name in {"se", "sig"}, "schema": {"type": "string"}}
    for name in ("se", "sig", "sv", "sr", "sp")
]


def openapi_document(app: FastAPI) -> dict[str, Any]:
    if app.openapi_schema is None:
        document = get_openapi(
            title=app.title, version=app.version, description=app.description, routes=app.routes, tags=app.openapi_tags
        )
        _correct(document)
        app.openapi_schema = document
    return app.openapi_schema


def _correct(document: dict[str, Any]) -> None:
    components = document.setdefault("components", {})
    bearer = {"type": "http", "scheme": "bearer", "description": _BEARER_DESCRIPTION}
    identity = {"type": "apiKey", "in": "header", "name": "X-IDENTITY-HEADER"}
    components["securitySchemes"] = {_BEARER: bearer, _IDENTITY: identity}
    # FastAPI's shape for invalid bodies. This platform answers 400 with the canonical body, as for every error.
    for name in ("HTTPValidationError", "ValidationError"):
        components.get("schemas", {}).pop(name, None)
    components.setdefault("schemas", {}).update(error_schemas())
    for path, item in document["paths"].items():
        for operation in item.values():
            operation["responses"].pop("422", None)
            required = role_of_operation(operation["operationId"])
            operation["x-required-role"] = required
            operation["security"] = _security(required)
            operation.setdefault("parameters", []).extend(_more_parameters(path))


def _security(required: RequiredRole) -> list[dict[str, list[str]]]:
    match required:
        case OpenAccess.IDENTITY_HEADER:
            return [{_IDENTITY: []}]
        case OpenAccess():
            return []
        case _:
            return [{_BEARER: []}]


def _more_parameters(path: str) -> list[dict[str, Any]]:
    return _SIGNATURE if path.startswith(_SIGNED_PATHS) else [_API_VERSION]
