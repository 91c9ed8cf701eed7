"""`token`: an access token in az's words."""

from collections.abc import Mapping
from typing import Any

from modelyard.client.documents.fields import Field, FieldTable
from modelyard.client.documents.reading import Document

_WORKSPACES = "/workspaces/"

TOKEN = FieldTable(
    (
        Field("name", "name"),
        Field("subject", "properties.subject"),
        Field("roles", "roles"),
        Field("state", "properties.state"),
        Field("expires_at", "properties.expiresAt"),
        Field("revoked_at", "properties.revokedAt"),
        Field("last_used_at", "properties.lastUsedAt"),
        Field("created_by", "systemData.createdBy"),
        Field("token", "properties.token"),
    )
)


def token_document(resource: Mapping[str, Any]) -> Document:
    """The token with each role as `reader@team-a`, in the form of the option `--role`."""
    roles = [f"{held['role']}@{_shown_scope(held['scope'])}" for held in resource["properties"]["roles"]]
    return TOKEN.document({**resource, "roles": roles})


def _shown_scope(scope: str) -> str:
    """The name of a workspace in place of its ARM id."""
    return scope.rpartition(_WORKSPACES)[2]
