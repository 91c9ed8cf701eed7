"""Access tokens: credentials for colleagues and programs, each with a subject, roles and an expiry."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any
from urllib.parse import quote

from modelyard.client.connection import Connection
from modelyard.client.errors import InvalidDocument
from modelyard.client.platform import Platform
from modelyard.core.domain.resource_ids import workspace_id
from modelyard.core.domain.roles import EVERY_WORKSPACE, Role


class Tokens:
    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def create(
        self, name: str, roles: Sequence[str], *, subject: str | None = None, expires_at: datetime | None = None
    ) -> dict[str, Any]:
        """Make a token. The result has the token's text in properties.token, which the platform does not keep.

        A role is `reader` in the client's workspace, `reader@team-a` in another, or `reader@*` in every workspace. The
        subject is the name in audit events, by default the token's name.
        """
        properties: dict[str, Any] = {
            "subject": subject or name,
            "roles": [_assignment(role, self._connection.platform) for role in roles],
        }
        if expires_at is not None:
            properties["expiresAt"] = expires_at.isoformat()
        return self._connection.put(_path(name), {"properties": properties}).body

    def list(self) -> Iterator[dict[str, Any]]:
        """List the tokens of the workspace by name, expired and revoked tokens too."""
        return self._connection.list("/tokens")

    def get(self, name: str) -> dict[str, Any]:
        return self._connection.get(_path(name))

    def revoke(self, name: str) -> None:
        """End a token at once. Raises ApiError where there is no token of the name."""
        self._connection.get(_path(name))
        self._connection.delete(_path(name))


def _assignment(text: str, platform: Platform) -> dict[str, str]:
    role, _, workspace = text.partition("@")
    if role not in set(Role):
        raise InvalidDocument(f"there is no role {role!r}: use {', '.join(Role)}, alone or followed by @<workspace>")
    if not workspace:
        return {"role": role, "scope": platform.workspace_id}
    if workspace == EVERY_WORKSPACE or workspace.startswith("/subscriptions/"):
        return {"role": role, "scope": workspace}
    return {"role": role, "scope": workspace_id(platform.subscription, platform.resource_group, workspace)}


def _path(name: str) -> str:
    return f"/tokens/{quote(name, safe='')}"
