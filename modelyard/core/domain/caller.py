"""The author of a change, from authentication down to the rows and the audit events."""

from dataclasses import dataclass
from enum import StrEnum

from modelyard.core.domain.roles import EVERY_WORKSPACE, Role, RoleAssignment, has_role
from modelyard.core.errors import AuthorizationFailed


class CallerKind(StrEnum):
    """The credential that proved the identity."""

    USER = "user"
    """The admin token."""
    TOKEN = "token"
    """An access token. The subject is the token's."""
    OPENID = "openid"
    """A bearer token of the OpenID Connect issuer. The subject is a claim of the token."""
    ENDPOINT_KEY = "endpoint_key"
    """A key of a batch endpoint. The subject is the endpoint's name."""
    SIGNED_URL = "signed_url"
    """A URL that carries its own permission. The subject is the path of the URL."""
    ANONYMOUS = "anonymous"
    """No credential, on a path that is open to every client."""
    SYSTEM = "system"
    """A process of the platform, acting by itself. Has no roles: services do not check a process."""


@dataclass(frozen=True, slots=True)
class Caller:
    subject: str
    kind: CallerKind
    roles: frozenset[RoleAssignment] = frozenset()
    request_id: str | None = None
    """The x-ms-request-id of the request. None: a process of the platform acts without a request."""

    def has_role(self, role: Role, workspace: str) -> bool:
        """Whether the caller has the role, or a role that includes it, in the workspace with this ARM id.

        EVERY_WORKSPACE asks for a role that is not bound to one workspace.
        """
        return has_role(self.roles, role, workspace)

    def is_member(self, workspace: str) -> bool:
        """Whether the caller has any role in the workspace with this ARM id, and so may learn of its resources."""
        return any(held.covers(workspace) for held in self.roles)

    def has_role_somewhere(self, role: Role) -> bool:
        return any(held.role.includes(role) for held in self.roles)

    def workspaces_with(self, role: Role) -> frozenset[str] | None:
        """Lower-case ARM ids of the workspaces in which the caller has the role. None: every workspace."""
        if self.has_role(role, EVERY_WORKSPACE):
            return None
        return frozenset(held.scope.lower() for held in self.roles if held.role.includes(role))

    def check_role(self, role: Role, workspace: str) -> None:
        """Raise AuthorizationFailed for a caller without the role in the workspace with this ARM id."""
        if not self.has_role(role, workspace):
            raise AuthorizationFailed(self.subject, role, workspace)


SYSTEM_CONTROL_PLANE = Caller("system:control-plane", CallerKind.SYSTEM)
SYSTEM_HOST = Caller("system:host", CallerKind.SYSTEM)
SYSTEM_BUILDER = Caller("system:builder", CallerKind.SYSTEM)
SYSTEM_BATCH = Caller("system:batch", CallerKind.SYSTEM)
