"""Access tokens as JSON."""

from typing import Annotated

from pydantic import Field

from control_plane.features.tokens.access_token import AccessToken, AccessTokenSpec, TokenState
from control_plane.resources.arm_body import ArmBody, Timestamp
from control_plane.resources.resource import Resource, SystemData
from control_plane.resources.without_effect import WithoutEffect
from control_plane.resources.workspaces.workspace import WorkspacePath
from modelyard.core.domain.resource_ids import PROVIDER
from modelyard.core.domain.roles import Role, RoleAssignment


class RoleAssignmentBody(ArmBody):
    role: Role
    scope: str | None = None
    """ARM id of a workspace, or "*" for every workspace. Missing in a request: the workspace of the token."""


class AccessTokenRequestProperties(ArmBody):
    subject: str
    """The name of the person or program that uses the token, in audit events."""
    roles: list[RoleAssignmentBody]
    expires_at: Timestamp | None = None
    """Missing: the token works until it is revoked."""
    token: Annotated[str | None, WithoutEffect("the platform makes the text of a token")] = None


class AccessTokenRequest(ArmBody):
    properties: AccessTokenRequestProperties

    def to_spec(self, path: WorkspacePath) -> AccessTokenSpec:
        sent = self.properties
        roles = dict.fromkeys(RoleAssignment(held.role, held.scope or path.text) for held in sent.roles)
        return AccessTokenSpec(sent.subject, tuple(roles), sent.expires_at)


class AccessTokenProperties(ArmBody):
    subject: str
    roles: list[RoleAssignmentBody]
    state: TokenState
    expires_at: Timestamp | None = None
    revoked_at: Timestamp | None = None
    last_used_at: Timestamp | None = None
    """To the minute. Missing: the token was never used."""
    token: str | None = Field(default=None, description="The token's text, in the response to the creation alone.")


class AccessTokenBody(Resource):
    properties: AccessTokenProperties

    @classmethod
    def of(cls, token: AccessToken, text: str | None = None) -> "AccessTokenBody":
        return cls(
            id=token.arm_id,
            name=token.name,
            type=f"{PROVIDER}/workspaces/tokens",
            system_data=SystemData.of(token.authorship),
            properties=AccessTokenProperties(
                subject=token.subject,
                roles=[RoleAssignmentBody(role=held.role, scope=held.scope) for held in token.roles],
                state=token.state,
                expires_at=token.expires_at,
                revoked_at=token.revoked_at,
                last_used_at=token.last_used_at,
                token=text,
            ),
        )
